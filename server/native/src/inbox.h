// Datagrams out of the kernel, many with one call: recvmmsg.
#ifndef SLUICE_INBOX_H
#define SLUICE_INBOX_H

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "socket-address.h"

namespace sluice {

constexpr size_t kInboxMaxCount = 32;
// Beyond, a datagram is none of ours: DTLS and RTP stay below an MTU, RTCP too.
constexpr size_t kDatagramMaxBytes = 4096;

class Inbox {
 public:
  Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  struct Datagram {
    const uint8_t* data;
    size_t size;
    const Address& from;
    // False: it was longer than `kDatagramMaxBytes`.
    bool is_whole;
  };

  // How many came, without waiting for any. They stay until the next call.
  size_t Read(int fd);
  Datagram At(size_t index) const;

 private:
  uint8_t bytes_[kInboxMaxCount][kDatagramMaxBytes];
  Address from_[kInboxMaxCount];
  iovec parts_[kInboxMaxCount];
  mmsghdr headers_[kInboxMaxCount];
};

}  // namespace sluice

#endif
