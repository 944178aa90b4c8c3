#include "socket-address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <string_view>

namespace sluice {

bool ReadAddress(const char* text, uint32_t port, int family, Address* out) {
  std::memset(out, 0, sizeof *out);
  if (family == AF_INET6) {
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(static_cast<uint16_t>(port));
    return inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1;
  }
  out->v4.sin_family = AF_INET;
  out->v4.sin_port = htons(static_cast<uint16_t>(port));
  return inet_pton(AF_INET, text, &out->v4.sin_addr) == 1;
}

size_t WriteAddress(const Address& address, char* text, uint32_t* port) {
  if (address.base.sa_family == AF_INET) {
    *port = ntohs(address.v4.sin_port);
    return inet_ntop(AF_INET, &address.v4.sin_addr, text, kAddressTextBytes) == nullptr ? 0 : std::strlen(text);
  }
  if (address.base.sa_family != AF_INET6) {
    return 0;
  }
  *port = ntohs(address.v6.sin6_port);
  if (inet_ntop(AF_INET6, &address.v6.sin6_addr, text, kAddressTextBytes) == nullptr) {
    return 0;
  }
  size_t length = std::strlen(text);
  char name[IF_NAMESIZE];
  if (address.v6.sin6_scope_id != 0 && IN6_IS_ADDR_LINKLOCAL(&address.v6.sin6_addr) &&
      if_indextoname(address.v6.sin6_scope_id, name) != nullptr && length + 1 + std::strlen(name) < kAddressTextBytes) {
    text[length] = '%';
    std::memcpy(text + length + 1, name, std::strlen(name));
    length += 1 + std::strlen(name);
  }
  return length;
}

bool AddressKey::operator==(const AddressKey& other) const {
  return std::memcmp(host, other.host, sizeof host) == 0 && scope == other.scope && port == other.port;
}

AddressKey KeyOf(const Address& address) {
  AddressKey key{};
  if (address.base.sa_family == AF_INET6) {
    std::memcpy(key.host, &address.v6.sin6_addr, sizeof key.host);
    key.scope = address.v6.sin6_scope_id;
    key.port = address.v6.sin6_port;
  } else {
    std::memcpy(key.host, &address.v4.sin_addr, sizeof address.v4.sin_addr);
    key.port = address.v4.sin_port;
  }
  return key;
}

size_t AddressKeyHash::operator()(const AddressKey& key) const {
  // Without padding: sixteen bytes and two words.
  static_assert(sizeof(AddressKey) == 24);
  return std::hash<std::string_view>()(std::string_view(reinterpret_cast<const char*>(&key), sizeof key));
}

}  // namespace sluice
