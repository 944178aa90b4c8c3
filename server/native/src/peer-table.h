// Peers by number, which is all that JavaScript knows of them. A number that is free is given anew.
#ifndef SLUICE_PEER_TABLE_H
#define SLUICE_PEER_TABLE_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace sluice {

constexpr size_t kPeerMaxCount = 65536;

template <typename Peer>
class PeerTable {
 public:
  Peer* Find(uint32_t id) const { return id < peers_.size() ? peers_[id].get() : nullptr; }

  // False when there are too many.
  bool Add(std::unique_ptr<Peer> peer, uint32_t* id) {
    if (!free_.empty()) {
      *id = free_.back();
      free_.pop_back();
      peers_[*id] = std::move(peer);
      return true;
    }
    if (peers_.size() >= kPeerMaxCount) {
      return false;
    }
    *id = static_cast<uint32_t>(peers_.size());
    peers_.push_back(std::move(peer));
    return true;
  }

  // Of one that is there.
  void Remove(uint32_t id) {
    peers_[id].reset();
    (is_keeping_ ? kept_ : free_).push_back(id);
  }

  // Between these two no number that becomes free is given away: it may still stand in what JavaScript reads.
  void KeepNumbers() { is_keeping_ = true; }
  void GiveNumbers() {
    is_keeping_ = false;
    free_.insert(free_.end(), kept_.begin(), kept_.end());
    kept_.clear();
  }

 private:
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> kept_;
  bool is_keeping_ = false;
};

}  // namespace sluice

#endif
