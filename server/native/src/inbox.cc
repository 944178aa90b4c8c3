#include "inbox.h"

namespace sluice {

Inbox::Inbox() {
  for (size_t index = 0; index < kInboxMaxCount; index += 1) {
    parts_[index] = {bytes_[index], kDatagramMaxBytes};
    headers_[index] = mmsghdr{};
    headers_[index].msg_hdr.msg_name = &from_[index];
    headers_[index].msg_hdr.msg_iov = &parts_[index];
    headers_[index].msg_hdr.msg_iovlen = 1;
  }
}

size_t Inbox::Read(int fd) {
  for (mmsghdr& header : headers_) {
    header.msg_hdr.msg_namelen = sizeof(Address);
    header.msg_hdr.msg_flags = 0;
  }
  const int count = recvmmsg(fd, headers_, kInboxMaxCount, MSG_DONTWAIT, nullptr);
  return count > 0 ? static_cast<size_t>(count) : 0;
}

Inbox::Datagram Inbox::At(size_t index) const {
  const mmsghdr& header = headers_[index];
  return {bytes_[index], header.msg_len, from_[index], (header.msg_hdr.msg_flags & MSG_TRUNC) == 0};
}

}  // namespace sluice
