// What the addon is made of. Each part puts one object on `exports`; false when Node refused.
#ifndef SLUICE_PARTS_H
#define SLUICE_PARTS_H

#include <node_api.h>

namespace sluice {

bool InitSrtp(napi_env env, napi_value exports);
bool InitUdpBatch(napi_env env, napi_value exports);
bool InitDtls(napi_env env, napi_value exports);
bool InitRtcpPort(napi_env env, napi_value exports);

}  // namespace sluice

#endif
