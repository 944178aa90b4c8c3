// The peers of one port: their keys, and the addresses that their RTCP comes from.
#ifndef SLUICE_RTCP_PEERS_H
#define SLUICE_RTCP_PEERS_H

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "peer-table.h"
#include "socket-address.h"
#include "srtcp.h"

namespace sluice {

constexpr uint32_t kNobody = 0xffffffff;

struct RtcpPeer {
  RtcpPeer(const uint8_t* local_key, const uint8_t* local_salt, const uint8_t* remote_key, const uint8_t* remote_salt)
      : sealer(local_key, local_salt), opener(remote_key, remote_salt) {}
  bool is_ready() const { return sealer.is_ready() && opener.is_ready(); }

  SrtcpSealer sealer;
  SrtcpOpener opener;
  std::vector<AddressKey> paths;
};

class RtcpPeers : public PeerTable<RtcpPeer> {
 public:
  // `kNobody` where no peer's RTCP comes from there.
  uint32_t OwnerOf(const AddressKey& path) const;

  // From now on it is this peer's and nobody else's. False when the peer has too many: then it is nobody's.
  bool Bind(uint32_t id, const AddressKey& path);
  // If it is this peer's.
  void Unbind(uint32_t id, const AddressKey& path);
  // With its paths.
  void Remove(uint32_t id);

 private:
  std::unordered_map<AddressKey, uint32_t, AddressKeyHash> owners_;
};

}  // namespace sluice

#endif
