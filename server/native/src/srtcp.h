// SRTCP under AEAD_AES_128_GCM (RFC 7714 9), one object per direction and peer:
//
//     RTCP header and SSRC (8, in clear) | encrypted | tag (16) | E (1) and index (31)
#ifndef SLUICE_SRTCP_H
#define SLUICE_SRTCP_H

#include <cstddef>
#include <cstdint>

#include "gcm.h"

namespace sluice {

constexpr size_t kSrtcpHeadBytes = 8;
constexpr size_t kSrtcpIndexBytes = 4;
constexpr size_t kSrtcpOverheadBytes = kGcmTagBytes + kSrtcpIndexBytes;

class SrtcpOpener {
 public:
  SrtcpOpener(const uint8_t* key, const uint8_t* salt) : gcm_(GcmKey::Direction::kOpen, key, salt) {}
  bool is_ready() const { return gcm_.is_ready(); }

  // Writes the compound in clear to `out`, which has room for `size`. How long it is; 0: too short, wrong, not encrypted, or here before.
  size_t Open(const uint8_t* datagram, size_t size, uint8_t* out);

 private:
  bool WasSeen(int64_t index) const;
  void NoteSeen(int64_t index);

  GcmKey gcm_;
  int64_t highest_index_ = -1;
  // Bit n: the packet n before the highest came.
  uint64_t seen_ = 0;
};

class SrtcpSealer {
 public:
  SrtcpSealer(const uint8_t* key, const uint8_t* salt) : gcm_(GcmKey::Direction::kSeal, key, salt) {}
  bool is_ready() const { return gcm_.is_ready(); }

  // `out` has room for `kSrtcpOverheadBytes` more than `size`, which is at least a header's. False: OpenSSL failed.
  bool Seal(const uint8_t* compound, size_t size, uint8_t* out);

 private:
  GcmKey gcm_;
  uint32_t sent_index_ = 0;
};

}  // namespace sluice

#endif
