// Reads the sockets of a whole crowd of viewers, so that what they cost says little about the server they are there for: one call of JavaScript for all that came,
// each datagram with the moment at which the kernel had it, and (UDP GRO) a frame's datagrams that the sender's kernel had not cut yet in one piece.
// Nothing waits here: whoever owns it asks now and then.
//
// What came, in words:
//
//     0 viewer | 1 first byte | 2 bytes | 3 bytes of each datagram but the last | 4 µs since the kernel had it
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <unordered_map>

#include "handle.h"
#include "napi.h"

namespace {

using sluice::Bytes;
using sluice::Words;

constexpr int kUdpLevel = 17;
constexpr int kUdpGro = 104;
constexpr size_t kWords = 5;
constexpr size_t kReadMaxBytes = 65536;
constexpr int kReadyMaxCount = 512;
// Of one socket in a turn; what is left stays in the kernel and is told again.
constexpr int kTurnMaxCount = 16;
constexpr napi_type_tag kTag = {0x5b1f0c8fd9e44f3aULL, 0x9c6d2ab1e5f07741ULL};

struct Reader {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  // Copies of the owners' descriptors, by viewer.
  std::unordered_map<uint32_t, int> sockets;
  ~Reader() {
    for (const auto& [viewer, fd] : sockets) {
      close(fd);
    }
    close(epoll);
  }
};

// The arguments of a call, and whose it is; nullptr with an exception.
Reader* ReadCall(napi_env env, napi_callback_info info, size_t count, napi_value* values) {
  napi_value receiver;
  return sluice::ReadArguments(env, info, count, values, &receiver)
             ? static_cast<Reader*>(sluice::Unwrap(env, receiver, kTag, "expected a CrowdReader as receiver"))
             : nullptr;
}

napi_value Construct(napi_env env, napi_callback_info info) {
  napi_value receiver;
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Reader*>(data); };
  if (!sluice::ReadConstruction(env, info, 0, nullptr, &receiver) || !sluice::Wrap(env, receiver, new Reader, kTag, finalize)) {
    return nullptr;
  }
  return receiver;
}

// add(viewer, fd): what comes on this socket is read here. False: the kernel will not.
napi_value Add(napi_env env, napi_callback_info info) {
  napi_value values[2];
  uint32_t viewer = 0, fd = 0;
  Reader* reader = ReadCall(env, info, 2, values);
  if (reader == nullptr || !sluice::ReadUint32(env, values[0], "viewer", &viewer) || !sluice::ReadUint32(env, values[1], "fd", &fd)) {
    return nullptr;
  }
  if (reader->sockets.count(viewer) > 0) {
    sluice::ThrowRange(env, "viewer: expected one that is not there yet");
    return nullptr;
  }
  const int own = dup(static_cast<int>(fd));
  const int on = 1;
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  wanted.data.u32 = viewer;
  const bool is_added = own >= 0 && setsockopt(own, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) == 0 &&
                        epoll_ctl(reader->epoll, EPOLL_CTL_ADD, own, &wanted) == 0;
  if (is_added) {
    // A kernel that cannot hands over each by itself.
    setsockopt(own, kUdpLevel, kUdpGro, &on, sizeof on);
    reader->sockets[viewer] = own;
  } else if (own >= 0) {
    close(own);
  }
  return sluice::Boolean(env, is_added);
}

// remove(viewer): if it is there.
napi_value Remove(napi_env env, napi_callback_info info) {
  napi_value values[1];
  uint32_t viewer = 0;
  Reader* reader = ReadCall(env, info, 1, values);
  if (reader == nullptr || !sluice::ReadUint32(env, values[0], "viewer", &viewer)) {
    return nullptr;
  }
  const auto found = reader->sockets.find(viewer);
  if (found != reader->sockets.end()) {
    epoll_ctl(reader->epoll, EPOLL_CTL_DEL, found->second, nullptr);
    close(found->second);
    reader->sockets.erase(found);
  }
  return nullptr;
}

// One piece of what came to `fd`, at `target`; false when there is none.
bool ReadOne(int fd, uint8_t* target, size_t capacity, int64_t now_us, uint32_t* words) {
  alignas(cmsghdr) char control[256];
  iovec part = {target, capacity};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const ssize_t bytes = recvmsg(fd, &header, MSG_DONTWAIT);
  if (bytes < 0) {
    return false;
  }
  words[2] = static_cast<uint32_t>(bytes);
  words[3] = static_cast<uint32_t>(bytes);
  words[4] = 0;
  for (cmsghdr* entry = CMSG_FIRSTHDR(&header); entry != nullptr; entry = CMSG_NXTHDR(&header, entry)) {
    if (entry->cmsg_level == SOL_SOCKET && entry->cmsg_type == SCM_TIMESTAMPNS) {
      const timespec* at = reinterpret_cast<const timespec*>(CMSG_DATA(entry));
      const int64_t age_us = now_us - (static_cast<int64_t>(at->tv_sec) * 1000000 + at->tv_nsec / 1000);
      words[4] = age_us > 0 ? static_cast<uint32_t>(age_us) : 0;
    } else if (entry->cmsg_level == kUdpLevel && entry->cmsg_type == kUdpGro) {
      const int segment = *reinterpret_cast<const int*>(CMSG_DATA(entry));
      words[3] = segment > 0 ? static_cast<uint32_t>(segment) : words[2];
    }
  }
  return true;
}

// read(words, bytes): how many pieces stand in them now. Those that had no room are told next time.
napi_value Read(napi_env env, napi_callback_info info) {
  napi_value values[2];
  Words words;
  Bytes bytes;
  Reader* reader = ReadCall(env, info, 2, values);
  if (reader == nullptr || !sluice::ReadWords(env, values[0], "words", &words) || !sluice::ReadBytes(env, values[1], "bytes", &bytes)) {
    return nullptr;
  }
  epoll_event ready[kReadyMaxCount];
  const int ready_count = epoll_wait(reader->epoll, ready, kReadyMaxCount, 0);
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t now_us = static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
  size_t count = 0, at = 0;
  for (int index = 0; index < ready_count; index += 1) {
    const uint32_t viewer = ready[index].data.u32;
    const auto found = reader->sockets.find(viewer);
    for (int turn = 0; found != reader->sockets.end() && turn < kTurnMaxCount; turn += 1) {
      if ((count + 1) * kWords > words.size || at + kReadMaxBytes > bytes.size) {
        index = ready_count;
        break;
      }
      uint32_t* described = words.data + count * kWords;
      if (!ReadOne(found->second, bytes.data + at, kReadMaxBytes, now_us, described)) {
        break;
      }
      described[0] = viewer;
      described[1] = static_cast<uint32_t>(at);
      at += described[2];
      count += 1;
    }
  }
  return sluice::Number(env, static_cast<double>(count));
}

}  // namespace

NAPI_MODULE_INIT() {
  sluice::ExportClass(env, exports, "CrowdReader", Construct, {{"add", Add}, {"remove", Remove}, {"read", Read}});
  return exports;
}
