// A copy of Node's socket, so that closing the port cannot make it another's.
#ifndef SLUICE_UDP_SOCKET_H
#define SLUICE_UDP_SOCKET_H

#include <cstdint>

namespace sluice {

class UdpSocket {
 public:
  UdpSocket() = default;
  UdpSocket(UdpSocket&& other);
  UdpSocket& operator=(UdpSocket&& other);
  ~UdpSocket();

  // Not open when `fd` is no open UDP socket.
  static UdpSocket CopyOf(uint32_t fd);

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  // AF_INET or AF_INET6.
  int family() const { return family_; }

 private:
  int fd_ = -1;
  int family_ = 0;
};

}  // namespace sluice

#endif
