// Numbers as the network writes them.
#ifndef SLUICE_BIG_ENDIAN_H
#define SLUICE_BIG_ENDIAN_H

#include <cstddef>
#include <cstdint>

namespace sluice {

inline uint64_t Get(const uint8_t* at, size_t bytes) {
  uint64_t value = 0;
  for (size_t index = 0; index < bytes; index += 1) {
    value = value << 8 | at[index];
  }
  return value;
}

inline void Put(uint8_t* at, size_t bytes, uint64_t value) {
  for (size_t index = 0; index < bytes; index += 1) {
    at[index] = static_cast<uint8_t>(value >> (8 * (bytes - 1 - index)));
  }
}

// The lower 16 bits.
inline void Put16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

inline void Put32(uint8_t* at, uint32_t value) {
  Put16(at, value >> 16);
  Put16(at + 2, value);
}

inline uint32_t Get32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 | static_cast<uint32_t>(at[2]) << 8 | at[3];
}

}  // namespace sluice

#endif
