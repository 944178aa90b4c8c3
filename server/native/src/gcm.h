// One AES-128-GCM key as SRTP uses it (RFC 7714): the key is scheduled once, each packet only sets its nonce.
#ifndef SLUICE_GCM_H
#define SLUICE_GCM_H

#include <cstddef>
#include <cstdint>

#include "openssl.h"

namespace sluice {

constexpr size_t kGcmKeyBytes = 16;
constexpr size_t kGcmSaltBytes = 12;
constexpr size_t kGcmNonceBytes = 12;
constexpr size_t kGcmTagBytes = 16;

class GcmKey {
 public:
  enum class Direction { kSeal, kOpen };

  GcmKey(Direction direction, const uint8_t* key, const uint8_t* salt);
  ~GcmKey();
  GcmKey(const GcmKey&) = delete;
  GcmKey& operator=(const GcmKey&) = delete;

  // False: OpenSSL refused the key; nothing may be called then.
  bool is_ready() const { return is_ready_; }

  // Nonces of RFC 7714 8.1 and 9.1: `index` is the packet's (48 bits of RTP, 31 of RTCP) below the SSRC.
  void Nonce(uint32_t ssrc, uint64_t index, uint8_t* nonce) const;

  // Writes `bytes` of ciphertext and the tag behind it.
  bool Seal(const uint8_t* nonce, const uint8_t* head, size_t head_bytes, const uint8_t* plain, size_t bytes, uint8_t* out);

  // The tag stands behind the `bytes` of ciphertext. False: not authentic; `out` is worth nothing then.
  bool Open(const uint8_t* nonce, const uint8_t* head, size_t head_bytes, const uint8_t* sealed, size_t bytes, uint8_t* out);

 private:
  EVP_CIPHER_CTX* context_;
  uint8_t salt_[kGcmSaltBytes];
  bool is_ready_ = false;
};

}  // namespace sluice

#endif
