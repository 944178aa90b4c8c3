#include "udp-socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace sluice {
namespace {

bool ReadOption(int fd, int name, int* value) {
  socklen_t bytes = sizeof *value;
  return getsockopt(fd, SOL_SOCKET, name, value, &bytes) == 0;
}

}  // namespace

UdpSocket::UdpSocket(UdpSocket&& other) : fd_(std::exchange(other.fd_, -1)), family_(other.family_) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) {
  std::swap(fd_, other.fd_);
  std::swap(family_, other.family_);
  return *this;
}

UdpSocket::~UdpSocket() {
  if (is_open()) {
    close(fd_);
  }
}

UdpSocket UdpSocket::CopyOf(uint32_t fd) {
  UdpSocket copy;
  const int given = fd > 0x7fffffff ? -1 : static_cast<int>(fd);
  int type = 0;
  if (ReadOption(given, SO_TYPE, &type) && type == SOCK_DGRAM && ReadOption(given, SO_DOMAIN, &copy.family_) &&
      (copy.family_ == AF_INET || copy.family_ == AF_INET6)) {
    copy.fd_ = fcntl(given, F_DUPFD_CLOEXEC, 0);
  }
  return copy;
}

}  // namespace sluice
