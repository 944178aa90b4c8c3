#include "napi.h"

#include <cmath>
#include <cstdio>

namespace sluice {

void ThrowType(napi_env env, const char* message) {
  bool isPending = false;
  if (napi_is_exception_pending(env, &isPending) == napi_ok && !isPending) {
    napi_throw_type_error(env, nullptr, message);
  }
}

void ThrowRange(napi_env env, const char* message) {
  bool isPending = false;
  if (napi_is_exception_pending(env, &isPending) == napi_ok && !isPending) {
    napi_throw_range_error(env, nullptr, message);
  }
}

static bool Refuse(napi_env env, const char* name, const char* expected) {
  char message[160];
  std::snprintf(message, sizeof message, "%s: expected %s", name, expected);
  ThrowType(env, message);
  return false;
}

bool ReadBytes(napi_env env, napi_value value, const char* name, Bytes* out) {
  napi_typedarray_type type;
  void* data = nullptr;
  size_t length = 0;
  bool isTyped = false;
  if (napi_is_typedarray(env, value, &isTyped) != napi_ok || !isTyped ||
      napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok || type != napi_uint8_array) {
    return Refuse(env, name, "a Uint8Array");
  }
  // A detached or empty array may come without memory; whoever needs bytes asks for a size.
  out->data = static_cast<uint8_t*>(data);
  out->size = data == nullptr ? 0 : length;
  return true;
}

bool ReadBytesOf(napi_env env, napi_value value, const char* name, size_t size, Bytes* out) {
  if (!ReadBytes(env, value, name, out)) {
    return false;
  }
  if (out->size != size) {
    char expected[64];
    std::snprintf(expected, sizeof expected, "%zu bytes, not %zu", size, out->size);
    return Refuse(env, name, expected);
  }
  return true;
}

bool ReadUint32(napi_env env, napi_value value, const char* name, uint32_t* out) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= 0 && number <= 4294967295.0) ||
      std::floor(number) != number) {
    return Refuse(env, name, "an integer of 32 bits without a sign");
  }
  *out = static_cast<uint32_t>(number);
  return true;
}

bool ReadArguments(napi_env env, napi_callback_info info, size_t count, napi_value* values, napi_value* receiver) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, receiver, nullptr) != napi_ok || given != count) {
    char message[64];
    std::snprintf(message, sizeof message, "expected %zu arguments", count);
    ThrowType(env, message);
    return false;
  }
  return true;
}

bool Export(napi_env env, napi_value target, const char* name, napi_callback callback) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) == napi_ok &&
         napi_set_named_property(env, target, name, function) == napi_ok;
}

}  // namespace sluice
