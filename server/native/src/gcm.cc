#include "gcm.h"

#include <cstring>

namespace sluice {

GcmKey::GcmKey(Direction direction, const uint8_t* key, const uint8_t* salt) : context_(EVP_CIPHER_CTX_new()) {
  std::memcpy(salt_, salt, sizeof salt_);
  const auto init = direction == Direction::kSeal ? EVP_EncryptInit_ex : EVP_DecryptInit_ex;
  is_ready_ = context_ != nullptr && init(context_, EVP_aes_128_gcm(), nullptr, key, nullptr) == 1;
}

GcmKey::~GcmKey() { EVP_CIPHER_CTX_free(context_); }

void GcmKey::Nonce(uint32_t ssrc, uint64_t index, uint8_t* nonce) const {
  nonce[0] = salt_[0];
  nonce[1] = salt_[1];
  for (int byte = 0; byte < 4; byte += 1) {
    nonce[2 + byte] = salt_[2 + byte] ^ static_cast<uint8_t>(ssrc >> (24 - 8 * byte));
  }
  for (int byte = 0; byte < 6; byte += 1) {
    nonce[6 + byte] = salt_[6 + byte] ^ static_cast<uint8_t>(index >> (40 - 8 * byte));
  }
}

bool GcmKey::Seal(const uint8_t* nonce, const uint8_t* head, size_t head_bytes, const uint8_t* plain, size_t bytes, uint8_t* out) {
  int written = 0;
  return EVP_EncryptInit_ex(context_, nullptr, nullptr, nullptr, nonce) == 1 &&
         EVP_EncryptUpdate(context_, nullptr, &written, head, static_cast<int>(head_bytes)) == 1 &&
         (bytes == 0 || EVP_EncryptUpdate(context_, out, &written, plain, static_cast<int>(bytes)) == 1) &&
         EVP_EncryptFinal_ex(context_, out + bytes, &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kGcmTagBytes), out + bytes) == 1;
}

bool GcmKey::Open(const uint8_t* nonce, const uint8_t* head, size_t head_bytes, const uint8_t* sealed, size_t bytes, uint8_t* out) {
  int written = 0;
  uint8_t tag[kGcmTagBytes];
  std::memcpy(tag, sealed + bytes, sizeof tag);
  return EVP_DecryptInit_ex(context_, nullptr, nullptr, nullptr, nonce) == 1 &&
         EVP_DecryptUpdate(context_, nullptr, &written, head, static_cast<int>(head_bytes)) == 1 &&
         (bytes == 0 || EVP_DecryptUpdate(context_, out, &written, sealed, static_cast<int>(bytes)) == 1) &&
         EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kGcmTagBytes), tag) == 1 &&
         EVP_DecryptFinal_ex(context_, out + bytes, &written) == 1;
}

}  // namespace sluice
