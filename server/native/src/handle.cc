#include "handle.h"

namespace sluice {

bool Wrap(napi_env env, napi_value object, void* pointer, const napi_type_tag& tag, napi_finalize finalize) {
  if (napi_wrap(env, object, pointer, finalize, nullptr, nullptr) != napi_ok) {
    finalize(env, pointer, nullptr);
    ThrowType(env, "expected a fresh object");
    return false;
  }
  if (napi_type_tag_object(env, object, &tag) != napi_ok) {
    ThrowType(env, "expected a fresh object");
    return false;
  }
  return true;
}

void* Unwrap(napi_env env, napi_value object, const napi_type_tag& tag, const char* expected) {
  bool is_ours = false;
  void* pointer = nullptr;
  napi_valuetype type;
  if (napi_typeof(env, object, &type) != napi_ok || type != napi_object ||
      napi_check_object_type_tag(env, object, &tag, &is_ours) != napi_ok || !is_ours || napi_unwrap(env, object, &pointer) != napi_ok ||
      pointer == nullptr) {
    ThrowType(env, expected);
    return nullptr;
  }
  return pointer;
}

bool ReadConstruction(napi_env env, napi_callback_info info, size_t count, napi_value* values, napi_value* receiver) {
  napi_value target;
  if (napi_get_new_target(env, info, &target) != napi_ok || target == nullptr) {
    ThrowType(env, "expected new");
    return false;
  }
  return ReadArguments(env, info, count, values, receiver);
}

}  // namespace sluice
