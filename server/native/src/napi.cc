#include "napi.h"

#include <cmath>
#include <cstdio>
#include <vector>

namespace sluice {
namespace {

bool Refuse(napi_env env, const char* name, const char* expected) {
  char message[160];
  std::snprintf(message, sizeof message, "%s: expected %s", name, expected);
  ThrowType(env, message);
  return false;
}

template <typename Element>
bool LookAtArray(napi_env env, napi_value value, napi_typedarray_type wanted, Span<Element>* out) {
  // Node leaves the type as it is when it is one that it does not know.
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  size_t length = 0;
  *out = {};
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok || type != wanted) {
    return false;
  }
  if (data != nullptr) {
    *out = {static_cast<Element*>(data), length};
  }
  return true;
}

}  // namespace

bool IsThrowing(napi_env env) {
  bool is_pending = false;
  return napi_is_exception_pending(env, &is_pending) == napi_ok && is_pending;
}

void ThrowType(napi_env env, const char* message) {
  if (!IsThrowing(env)) {
    napi_throw_type_error(env, nullptr, message);
  }
}

void ThrowRange(napi_env env, const char* message) {
  if (!IsThrowing(env)) {
    napi_throw_range_error(env, nullptr, message);
  }
}

bool LookAt(napi_env env, napi_value value, Bytes* out) { return LookAtArray(env, value, napi_uint8_array, out); }
bool LookAt(napi_env env, napi_value value, Words* out) { return LookAtArray(env, value, napi_uint32_array, out); }

bool ReadBytes(napi_env env, napi_value value, const char* name, Bytes* out) {
  return LookAt(env, value, out) || Refuse(env, name, "a Uint8Array");
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

bool ReadWords(napi_env env, napi_value value, const char* name, Words* out) {
  return LookAt(env, value, out) || Refuse(env, name, "a Uint32Array");
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

bool ReadBool(napi_env env, napi_value value, const char* name, bool* out) {
  return napi_get_value_bool(env, value, out) == napi_ok || Refuse(env, name, "a boolean");
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

napi_value Number(napi_env env, double value) {
  napi_value number;
  return napi_create_double(env, value, &number) == napi_ok ? number : nullptr;
}

napi_value Boolean(napi_env env, bool value) {
  napi_value boolean;
  return napi_get_boolean(env, value, &boolean) == napi_ok ? boolean : nullptr;
}

napi_value Numbers(napi_env env, std::initializer_list<NamedNumber> numbers) {
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok) {
    return nullptr;
  }
  for (const auto& [name, value] : numbers) {
    if (napi_set_named_property(env, object, name, Number(env, value)) != napi_ok) {
      return nullptr;
    }
  }
  return object;
}

napi_value ExportPart(napi_env env, napi_value exports, const char* name) {
  napi_value part;
  return napi_create_object(env, &part) == napi_ok && napi_set_named_property(env, exports, name, part) == napi_ok ? part : nullptr;
}

bool ExportFunctions(napi_env env, napi_value part, std::initializer_list<Method> functions) {
  for (const auto& [name, callback] : functions) {
    napi_value function;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) != napi_ok ||
        napi_set_named_property(env, part, name, function) != napi_ok) {
      return false;
    }
  }
  return true;
}

bool ExportClass(napi_env env, napi_value part, const char* name, napi_callback construct, std::initializer_list<Method> methods) {
  std::vector<napi_property_descriptor> properties;
  for (const Method& method : methods) {
    properties.push_back({method.name, nullptr, method.callback, nullptr, nullptr, nullptr, napi_default_method, nullptr});
  }
  napi_value constructor;
  return napi_define_class(env, name, NAPI_AUTO_LENGTH, construct, nullptr, properties.size(), properties.data(), &constructor) == napi_ok &&
         napi_set_named_property(env, part, name, constructor) == napi_ok;
}

}  // namespace sluice
