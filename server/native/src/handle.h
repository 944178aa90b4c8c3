// What JavaScript holds of ours: an object with a tag, behind which there is something until it is collected.
#ifndef SLUICE_HANDLE_H
#define SLUICE_HANDLE_H

#include <memory>
#include <utility>

#include "napi.h"

namespace sluice {

// Puts `pointer` behind a fresh object. False with an exception: it was freed, or will be.
bool Wrap(napi_env env, napi_value object, void* pointer, const napi_type_tag& tag, napi_finalize finalize);
// What stands behind it; throws a TypeError with `expected`, and gives nullptr, for anything else.
void* Unwrap(napi_env env, napi_value object, const napi_type_tag& tag, const char* expected);

// A class of JavaScript's whose objects each hold a `Type`, until they are closed or collected. Of the type: `kTag`, and what is said
// of another receiver (`kExpected`) and of a closed one (`kClosed`, `kClosedCode`).
template <typename Type>
struct Handle {
  // Empty once closed.
  std::shared_ptr<Type> object;
};

// For its constructor: fails unless it is called with `new` and `count` arguments.
bool ReadConstruction(napi_env env, napi_callback_info info, size_t count, napi_value* values, napi_value* receiver);

// Makes the fresh `receiver` hold it; what the constructor gives back.
template <typename Type>
napi_value Hold(napi_env env, napi_value receiver, std::shared_ptr<Type> object) {
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Handle<Type>*>(data); };
  return Wrap(env, receiver, new Handle<Type>{std::move(object)}, Type::kTag, finalize) ? receiver : nullptr;
}

template <typename Type>
Handle<Type>* HandleOf(napi_env env, napi_value receiver) {
  auto* handle = static_cast<Handle<Type>*>(Unwrap(env, receiver, Type::kTag, Type::kExpected));
  if (handle != nullptr && handle->object == nullptr) {
    napi_throw_error(env, Type::kClosedCode, Type::kClosed);
    return nullptr;
  }
  return handle;
}

// For its methods: the receiver, and then the arguments too; nullptr with an exception.
template <typename Type>
Type* ReadReceiver(napi_env env, napi_value receiver) {
  Handle<Type>* handle = HandleOf<Type>(env, receiver);
  return handle == nullptr ? nullptr : handle->object.get();
}

template <typename Type>
Type* ReadCall(napi_env env, napi_callback_info info, size_t count, napi_value* values) {
  napi_value receiver;
  return ReadArguments(env, info, count, values, &receiver) ? ReadReceiver<Type>(env, receiver) : nullptr;
}

// Its method `close`: anything after it throws.
template <typename Type>
napi_value CloseHandle(napi_env env, napi_callback_info info) {
  napi_value receiver;
  Handle<Type>* handle = ReadArguments(env, info, 0, nullptr, &receiver) ? HandleOf<Type>(env, receiver) : nullptr;
  if (handle != nullptr) {
    handle->object.reset();
  }
  return nullptr;
}

}  // namespace sluice

#endif
