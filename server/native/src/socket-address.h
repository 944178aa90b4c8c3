// Addresses of UDP peers.
#ifndef SLUICE_SOCKET_ADDRESS_H
#define SLUICE_SOCKET_ADDRESS_H

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>

namespace sluice {

union Address {
  sockaddr base;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

constexpr size_t kAddressTextBytes = 64;

// False when it is not numeric, of another family, or has a scope.
bool ReadAddress(const char* text, uint32_t port, int family, Address* out);

// As Node writes it, with a scope where there is one; the length, 0 when it cannot be said.
size_t WriteAddress(const Address& address, char* text, uint32_t* port);

// Who sent something, for a table.
struct AddressKey {
  uint8_t host[16];
  uint32_t scope;
  uint32_t port;
  bool operator==(const AddressKey& other) const;
};
AddressKey KeyOf(const Address& address);
struct AddressKeyHash {
  size_t operator()(const AddressKey& key) const;
};

}  // namespace sluice

#endif
