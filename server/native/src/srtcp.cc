#include "srtcp.h"

#include <cstring>

#include "big-endian.h"

namespace sluice {
namespace {

constexpr uint32_t kEncryptedFlag = 0x80000000;
// RFC 3711 3.3.2.
constexpr int64_t kReplayWindow = 64;

}  // namespace

size_t SrtcpOpener::Open(const uint8_t* datagram, size_t size, uint8_t* out) {
  if (size < kSrtcpHeadBytes + kSrtcpOverheadBytes) {
    return 0;
  }
  const uint8_t* index_at = datagram + size - kSrtcpIndexBytes;
  const uint32_t word = Get32(index_at);
  const int64_t index = word & ~kEncryptedFlag;
  if ((word & kEncryptedFlag) == 0 || WasSeen(index)) {
    return 0;
  }
  uint8_t nonce[kGcmNonceBytes];
  gcm_.Nonce(Get32(datagram + 4), static_cast<uint64_t>(index), nonce);
  uint8_t head[kSrtcpHeadBytes + kSrtcpIndexBytes];
  std::memcpy(head, datagram, kSrtcpHeadBytes);
  std::memcpy(head + kSrtcpHeadBytes, index_at, kSrtcpIndexBytes);
  const size_t body_bytes = size - kSrtcpHeadBytes - kSrtcpOverheadBytes;
  if (!gcm_.Open(nonce, head, sizeof head, datagram + kSrtcpHeadBytes, body_bytes, out + kSrtcpHeadBytes)) {
    return 0;
  }
  NoteSeen(index);
  std::memcpy(out, head, kSrtcpHeadBytes);
  return kSrtcpHeadBytes + body_bytes;
}

bool SrtcpOpener::WasSeen(int64_t index) const {
  const int64_t age = highest_index_ - index;
  return age >= kReplayWindow || (age >= 0 && ((seen_ >> age) & 1) == 1);
}

void SrtcpOpener::NoteSeen(int64_t index) {
  if (index > highest_index_) {
    const int64_t shift = index - highest_index_;
    seen_ = (shift >= kReplayWindow ? 0 : seen_ << shift) | 1;
    highest_index_ = index;
  } else {
    seen_ |= uint64_t{1} << (highest_index_ - index);
  }
}

bool SrtcpSealer::Seal(const uint8_t* compound, size_t size, uint8_t* out) {
  sent_index_ = (sent_index_ + 1) % kEncryptedFlag;
  const uint32_t word = sent_index_ | kEncryptedFlag;
  uint8_t head[kSrtcpHeadBytes + kSrtcpIndexBytes];
  std::memcpy(head, compound, kSrtcpHeadBytes);
  Put32(head + kSrtcpHeadBytes, word);
  uint8_t nonce[kGcmNonceBytes];
  gcm_.Nonce(Get32(compound + 4), sent_index_, nonce);
  const size_t body_bytes = size - kSrtcpHeadBytes;
  if (!gcm_.Seal(nonce, head, sizeof head, compound + kSrtcpHeadBytes, body_bytes, out + kSrtcpHeadBytes)) {
    return false;
  }
  std::memcpy(out, head, kSrtcpHeadBytes);
  std::memcpy(out + size + kGcmTagBytes, head + kSrtcpHeadBytes, kSrtcpIndexBytes);
  return true;
}

}  // namespace sluice
