// What every part of the addon uses of Node-API: checked arguments, thrown errors, exported functions. Nothing here keeps state, so the
// addon may be loaded by any number of worker threads; a part that needs state keeps it in an object that JavaScript holds.
#ifndef SLUICE_NAPI_H
#define SLUICE_NAPI_H

#include <node_api.h>

#include <cstddef>
#include <cstdint>

namespace sluice {

struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

// Each of these throws a TypeError that names the argument and returns false when the value is not what it must be.
bool ReadBytes(napi_env env, napi_value value, const char* name, Bytes* out);
bool ReadBytesOf(napi_env env, napi_value value, const char* name, size_t size, Bytes* out);
bool ReadUint32(napi_env env, napi_value value, const char* name, uint32_t* out);
// Fails unless exactly `count` arguments came.
bool ReadArguments(napi_env env, napi_callback_info info, size_t count, napi_value* values, napi_value* receiver = nullptr);

void ThrowType(napi_env env, const char* message);
void ThrowRange(napi_env env, const char* message);

bool Export(napi_env env, napi_value target, const char* name, napi_callback callback);

}  // namespace sluice

#endif
