#include "udp-arguments.h"

#include <cstring>

namespace sluice {

bool ReadSocket(napi_env env, napi_value fd, UdpSocket* out) {
  uint32_t number = 0;
  if (!ReadUint32(env, fd, "fd", &number)) {
    return false;
  }
  *out = UdpSocket::CopyOf(number);
  if (!out->is_open()) {
    ThrowType(env, "fd: expected an open UDP socket");
  }
  return out->is_open();
}

bool ReadEndpoint(napi_env env, napi_value address, napi_value port, int family, Address* out, bool* is_known) {
  char text[kAddressTextBytes];
  size_t length = 0;
  uint32_t number = 0;
  if (!ReadUint32(env, port, "port", &number)) {
    return false;
  }
  if (napi_get_value_string_utf8(env, address, text, sizeof text, &length) != napi_ok) {
    ThrowType(env, "address: expected a string");
    return false;
  }
  if (number == 0 || number > 65535) {
    ThrowRange(env, "port: expected 1 to 65535");
    return false;
  }
  // A zero within it ends it early.
  *is_known = length == std::strlen(text) && ReadAddress(text, number, family, out);
  return true;
}

}  // namespace sluice
