// The addon's entry, once per thread that loads it.
#include "napi.h"
#include "parts.h"

NAPI_MODULE_INIT() {
  // A part that could not be made leaves its exception pending: loading fails with it.
  if ((!sluice::InitSrtp(env, exports) || !sluice::InitUdpBatch(env, exports) || !sluice::InitRtcpPort(env, exports) ||
       !sluice::InitDtls(env, exports)) &&
      !sluice::IsThrowing(env)) {
    napi_throw_error(env, nullptr, "the native back end could not be initialised");
  }
  return exports;
}
