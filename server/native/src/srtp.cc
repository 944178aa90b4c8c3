// AES-128-GCM as SRTP uses it, for those who want the bytes themselves.
#include <memory>

#include "gcm.h"
#include "napi.h"
#include "parts.h"

namespace sluice {
namespace {

constexpr size_t kSealMaxBytes = 65536;

// seal(key, iv, header, payload, target): writes what is encrypted and its tag to the begin of `target`.
napi_value SealOnce(napi_env env, napi_callback_info info) {
  napi_value values[5];
  Bytes key, iv, header, payload, target;
  if (!ReadArguments(env, info, 5, values) || !ReadBytesOf(env, values[0], "key", kGcmKeyBytes, &key) ||
      !ReadBytesOf(env, values[1], "iv", kGcmNonceBytes, &iv) || !ReadBytes(env, values[2], "header", &header) ||
      !ReadBytes(env, values[3], "payload", &payload) ||
      !ReadBytesOf(env, values[4], "target", payload.size + kGcmTagBytes, &target)) {
    return nullptr;
  }
  if (header.size > kSealMaxBytes || payload.size > kSealMaxBytes) {
    ThrowRange(env, "header, payload: expected at most 65536 bytes");
    return nullptr;
  }
  const uint8_t salt[kGcmSaltBytes] = {0};
  GcmKey gcm(GcmKey::Direction::kSeal, key.data, salt);
  if (!gcm.is_ready() || !gcm.Seal(iv.data, header.data, header.size, payload.data, payload.size, target.data)) {
    napi_throw_error(env, nullptr, "AES-128-GCM failed");
  }
  return nullptr;
}

}  // namespace

bool InitSrtp(napi_env env, napi_value exports) {
  const napi_value part = ExportPart(env, exports, "srtp");
  return part != nullptr && ExportFunctions(env, part, {{"seal", SealOnce}});
}

}  // namespace sluice
