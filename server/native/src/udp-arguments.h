// What UdpBatch and RtcpPort are both told: a socket, addresses, and peers by number. As in napi.h, what is wrong throws and gives false, or nullptr.
#ifndef SLUICE_UDP_ARGUMENTS_H
#define SLUICE_UDP_ARGUMENTS_H

#include <memory>
#include <utility>

#include "napi.h"
#include "peer-table.h"
#include "socket-address.h"
#include "udp-socket.h"

namespace sluice {

// The number of an open UDP socket, which is copied and stays its owner's.
bool ReadSocket(napi_env env, napi_value fd, UdpSocket* out);

// `is_known` is false when the address cannot be written down here: it has a scope, or is of another family.
bool ReadEndpoint(napi_env env, napi_value address, napi_value port, int family, Address* out, bool* is_known);

// One that is there.
template <typename Peer>
Peer* ReadPeer(napi_env env, napi_value value, const PeerTable<Peer>& peers, uint32_t* id) {
  if (!ReadUint32(env, value, "peer", id)) {
    return nullptr;
  }
  Peer* peer = peers.Find(*id);
  if (peer == nullptr) {
    ThrowRange(env, "peer: expected one that is there");
  }
  return peer;
}

// Its number, for JavaScript.
template <typename Peer>
napi_value AddPeerTo(napi_env env, PeerTable<Peer>* peers, std::unique_ptr<Peer> peer) {
  uint32_t id = 0;
  if (!peer->is_ready()) {
    napi_throw_error(env, nullptr, "AES-128-GCM refused the key");
    return nullptr;
  }
  if (!peers->Add(std::move(peer), &id)) {
    ThrowRange(env, "too many peers");
    return nullptr;
  }
  return Number(env, id);
}

}  // namespace sluice

#endif
