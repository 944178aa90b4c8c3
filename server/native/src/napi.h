// What every part of the addon uses of Node-API: checked arguments, thrown errors, plain answers, exported functions and classes. Nothing here keeps
// state, so the addon may be loaded by any number of worker threads; a part that needs state keeps it in an object that JavaScript holds.
#ifndef SLUICE_NAPI_H
#define SLUICE_NAPI_H

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace sluice {

// The memory of a typed array, which JavaScript may give away whenever it runs.
template <typename Element>
struct Span {
  Element* data = nullptr;
  size_t size = 0;
};
using Bytes = Span<uint8_t>;
using Words = Span<uint32_t>;

// Whether `value` is a Uint8Array, or a Uint32Array. A detached or empty one may come without memory and is empty then.
bool LookAt(napi_env env, napi_value value, Bytes* out);
bool LookAt(napi_env env, napi_value value, Words* out);

// Each of these throws a TypeError that names the argument and returns false when the value is not what it must be.
bool ReadBytes(napi_env env, napi_value value, const char* name, Bytes* out);
bool ReadBytesOf(napi_env env, napi_value value, const char* name, size_t size, Bytes* out);
bool ReadWords(napi_env env, napi_value value, const char* name, Words* out);
bool ReadUint32(napi_env env, napi_value value, const char* name, uint32_t* out);
bool ReadBool(napi_env env, napi_value value, const char* name, bool* out);
// Fails unless exactly `count` arguments came.
bool ReadArguments(napi_env env, napi_callback_info info, size_t count, napi_value* values, napi_value* receiver = nullptr);

// What was thrown before stays what is thrown.
void ThrowType(napi_env env, const char* message);
void ThrowRange(napi_env env, const char* message);
bool IsThrowing(napi_env env);

// nullptr where Node refused.
napi_value Number(napi_env env, double value);
napi_value Boolean(napi_env env, bool value);
struct NamedNumber {
  const char* name;
  double value;
};
napi_value Numbers(napi_env env, std::initializer_list<NamedNumber> numbers);

struct Method {
  const char* name;
  napi_callback callback;
};
// A new object on `exports`; nullptr when Node refused.
napi_value ExportPart(napi_env env, napi_value exports, const char* name);
bool ExportFunctions(napi_env env, napi_value part, std::initializer_list<Method> functions);
bool ExportClass(napi_env env, napi_value part, const char* name, napi_callback construct, std::initializer_list<Method> methods);

}  // namespace sluice

#endif
