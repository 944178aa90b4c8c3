#include "rtcp-peers.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr size_t kPathMaxCount = 16;

}  // namespace

uint32_t RtcpPeers::OwnerOf(const AddressKey& path) const {
  const auto found = owners_.find(path);
  return found == owners_.end() ? kNobody : found->second;
}

bool RtcpPeers::Bind(uint32_t id, const AddressKey& path) {
  Unbind(OwnerOf(path), path);
  std::vector<AddressKey>& paths = Find(id)->paths;
  if (paths.size() >= kPathMaxCount) {
    return false;
  }
  paths.push_back(path);
  owners_[path] = id;
  return true;
}

void RtcpPeers::Unbind(uint32_t id, const AddressKey& path) {
  if (id == kNobody || OwnerOf(path) != id) {
    return;
  }
  std::vector<AddressKey>& paths = Find(id)->paths;
  paths.erase(std::remove(paths.begin(), paths.end(), path), paths.end());
  owners_.erase(path);
}

void RtcpPeers::Remove(uint32_t id) {
  for (const AddressKey& path : Find(id)->paths) {
    owners_.erase(path);
  }
  PeerTable::Remove(id);
}

}  // namespace sluice
