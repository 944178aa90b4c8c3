#include "datagrams.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

// linux/udp.h; libc's header knows it only since a while.
constexpr int kUdpSegment = 103;
constexpr size_t kBatchMax = 128;
// What waits for the kernel beyond its own buffer; then datagrams are dropped, as a router would.
constexpr size_t kLineMaxBytes = 4 * 1024 * 1024;
constexpr size_t kLineMaxCount = 4096;

struct Control {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(uint16_t))];
};

socklen_t LengthOf(const Address& address) { return address.base.sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }

size_t CountOf(const Message& message) { return (message.bytes + message.segment_bytes - 1) / message.segment_bytes; }

void Fill(msghdr* header, iovec* part, Control* control, const uint8_t* bytes, const Message& message) {
  part->iov_base = const_cast<uint8_t*>(bytes + message.start);
  part->iov_len = message.bytes;
  std::memset(header, 0, sizeof *header);
  header->msg_name = const_cast<sockaddr*>(&message.to.base);
  header->msg_namelen = LengthOf(message.to);
  header->msg_iov = part;
  header->msg_iovlen = 1;
  if (message.bytes > message.segment_bytes) {
    header->msg_control = control->bytes;
    header->msg_controllen = sizeof control->bytes;
    std::memset(control->bytes, 0, sizeof control->bytes);
    cmsghdr* entry = CMSG_FIRSTHDR(header);
    entry->cmsg_level = IPPROTO_UDP;
    entry->cmsg_type = kUdpSegment;
    entry->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const uint16_t segment = static_cast<uint16_t>(message.segment_bytes);
    std::memcpy(CMSG_DATA(entry), &segment, sizeof segment);
  }
}

bool IsFull(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

}  // namespace

Datagrams::Datagrams(UdpSocket socket, bool may_cut) : socket_(std::move(socket)), may_cut_(may_cut) {}

void Datagrams::Send(const uint8_t* bytes, std::vector<Message>* messages, std::vector<uint32_t>* uncut_peers) {
  Retry(uncut_peers);
  const size_t done = line_.empty() ? Transmit(bytes, messages->data(), messages->size(), uncut_peers) : 0;
  for (size_t at = done; at < messages->size(); at += 1) {
    Wait(bytes, (*messages)[at]);
  }
}

void Datagrams::Retry(std::vector<uint32_t>* uncut_peers) {
  while (!line_.empty()) {
    Waiting& first = line_.front();
    const size_t before = first.message.bytes;
    const size_t done = Transmit(first.bytes.data(), &first.message, 1, uncut_peers);
    if (done == 0) {
      line_bytes_ -= before - first.message.bytes;
      return;
    }
    line_bytes_ -= before;
    line_.pop_front();
  }
}

void Datagrams::Wait(const uint8_t* bytes, const Message& message) {
  if (line_.size() >= kLineMaxCount || line_bytes_ + message.bytes > kLineMaxBytes) {
    counts_.dropped += CountOf(message);
    return;
  }
  Waiting waiting{message, std::vector<uint8_t>(bytes + message.start, bytes + message.start + message.bytes)};
  waiting.message.start = 0;
  line_bytes_ += message.bytes;
  line_.push_back(std::move(waiting));
}

// How many are done with, sent or refused; fewer than `count` when the kernel's buffer is full.
size_t Datagrams::Transmit(const uint8_t* bytes, Message* messages, size_t count, std::vector<uint32_t>* uncut_peers) {
  size_t at = 0;
  while (at < count) {
    Message& message = messages[at];
    int error = 0;
    if (message.is_single) {
      error = TransmitSingly(bytes, &message);
      at += error == 0 ? 1 : 0;
    } else {
      at += TransmitMany(bytes, messages + at, count - at, &error);
    }
    if (error == 0) {
      continue;
    }
    if (IsFull(error)) {
      counts_.full += 1;
      return at;
    }
    Message& failed = messages[at];
    if (failed.bytes > failed.segment_bytes) {
      // EIO: the device computes no checksums; EINVAL, EMSGSIZE: it takes less at once.
      failed.is_single = true;
      counts_.uncut += 1;
      uncut_peers->push_back(failed.peer);
    } else {
      counts_.refused += 1;
      at += 1;
    }
  }
  return at;
}

// Up to the next one that goes singly. How many left; then `error` says why the one after did not.
size_t Datagrams::TransmitMany(const uint8_t* bytes, const Message* messages, size_t count, int* error) {
  mmsghdr headers[kBatchMax];
  iovec parts[kBatchMax];
  Control controls[kBatchMax];
  size_t filled = 0;
  const size_t most = has_sendmmsg_ ? std::min(count, kBatchMax) : 1;
  while (filled < most && !messages[filled].is_single) {
    Fill(&headers[filled].msg_hdr, &parts[filled], &controls[filled], bytes, messages[filled]);
    filled += 1;
  }
  int result;
  do {
    counts_.calls += 1;
    if (has_sendmmsg_) {
      result = sendmmsg(socket_.fd(), headers, static_cast<unsigned>(filled), MSG_DONTWAIT);
    } else {
      result = sendmsg(socket_.fd(), &headers[0].msg_hdr, MSG_DONTWAIT) < 0 ? -1 : 1;
    }
  } while (result < 0 && errno == EINTR);
  if (result < 0 && errno == ENOSYS && has_sendmmsg_) {
    has_sendmmsg_ = false;
    return 0;
  }
  if (result < 0) {
    *error = errno;
    return 0;
  }
  counts_.writes += result;
  for (int at = 0; at < result; at += 1) {
    counts_.sent += CountOf(messages[at]);
  }
  return static_cast<size_t>(result);
}

// 0 when the whole message is done with; else the kernel's buffer is full and the message is what is left of it.
int Datagrams::TransmitSingly(const uint8_t* bytes, Message* message) {
  while (message->bytes > 0) {
    Message one = *message;
    one.bytes = std::min(message->bytes, message->segment_bytes);
    msghdr header;
    iovec part;
    Control control;
    Fill(&header, &part, &control, bytes, one);
    counts_.calls += 1;
    if (sendmsg(socket_.fd(), &header, MSG_DONTWAIT) >= 0) {
      counts_.sent += 1;
      counts_.writes += 1;
    } else if (errno == EINTR) {
      continue;
    } else if (IsFull(errno)) {
      return errno;
    } else {
      counts_.refused += 1;
    }
    message->start += one.bytes;
    message->bytes -= one.bytes;
  }
  return 0;
}

bool KernelCutsDatagrams() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return false;
  }
  Message message{};
  message.to.v4.sin_family = AF_INET;
  message.to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  message.bytes = 3;
  message.segment_bytes = 2;
  socklen_t length = sizeof message.to;
  const uint8_t bytes[3] = {1, 2, 3};
  uint8_t got[8];
  msghdr header;
  iovec part;
  Control control;
  bool is_cut = false;
  if (bind(fd, &message.to.base, sizeof message.to.v4) == 0 && getsockname(fd, &message.to.base, &length) == 0) {
    Fill(&header, &part, &control, bytes, message);
    is_cut = sendmsg(fd, &header, MSG_DONTWAIT) == 3 && recv(fd, got, sizeof got, 0) == 2 && recv(fd, got, sizeof got, 0) == 1;
  }
  close(fd);
  return is_cut;
}

}  // namespace sluice
