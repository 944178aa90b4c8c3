// AES-128-GCM as SRTP uses it.
#include "napi.h"
#include "openssl.h"
#include "parts.h"

namespace sluice {
namespace {

constexpr size_t kKeyBytes = 16;
constexpr size_t kIvBytes = 12;
constexpr size_t kTagBytes = 16;

bool Seal(EVP_CIPHER_CTX* context, const Bytes& key, const Bytes& iv, const Bytes& header, const Bytes& payload, uint8_t* out) {
  int written = 0;
  return EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nullptr, key.data, iv.data) == 1 &&
         EVP_EncryptUpdate(context, nullptr, &written, header.data, static_cast<int>(header.size)) == 1 &&
         EVP_EncryptUpdate(context, out, &written, payload.data, static_cast<int>(payload.size)) == 1 &&
         EVP_EncryptFinal_ex(context, out + payload.size, &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, out + payload.size) == 1;
}

// seal(key, iv, header, payload, target): writes what is encrypted and its tag to the begin of `target`.
napi_value SealOnce(napi_env env, napi_callback_info info) {
  napi_value values[5];
  Bytes key, iv, header, payload, target;
  if (!ReadArguments(env, info, 5, values) || !ReadBytesOf(env, values[0], "key", kKeyBytes, &key) ||
      !ReadBytesOf(env, values[1], "iv", kIvBytes, &iv) || !ReadBytes(env, values[2], "header", &header) ||
      !ReadBytes(env, values[3], "payload", &payload) || !ReadBytesOf(env, values[4], "target", payload.size + kTagBytes, &target)) {
    return nullptr;
  }
  if (header.size > 65536 || payload.size > 65536) {
    ThrowRange(env, "header, payload: expected at most 65536 bytes");
    return nullptr;
  }
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  const bool isSealed = context != nullptr && Seal(context, key, iv, header, payload, target.data);
  EVP_CIPHER_CTX_free(context);
  if (!isSealed) {
    napi_throw_error(env, nullptr, "AES-128-GCM failed");
  }
  return nullptr;
}

}  // namespace

bool InitSrtp(napi_env env, napi_value exports) {
  napi_value part;
  return napi_create_object(env, &part) == napi_ok && Export(env, part, "seal", SealOnce) &&
         napi_set_named_property(env, exports, "srtp", part) == napi_ok;
}

}  // namespace sluice
