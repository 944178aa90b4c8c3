// RTP of many viewers with one call: header, AES-128-GCM, kernel. JavaScript lists the packets as words, and the payloads that they share.
//
//     0 peer | 1 place in the payloads | 2 SSRC | 3 rollover counter | 4 payload type (7) marker (1) sequence number (16)
//     5 timestamp | 6 id of playout delay (4) id of transport number (4) transport-wide number (16) | 7 least (12) and most (12) delay in 10 ms
//
// Everything is checked before anything leaves, so that a call that throws has sent nothing.
#include <memory>
#include <utility>
#include <vector>

#include "big-endian.h"
#include "datagrams.h"
#include "gcm.h"
#include "handle.h"
#include "napi.h"
#include "parts.h"
#include "udp-arguments.h"

namespace sluice {
namespace {

constexpr size_t kWords = 8;
constexpr size_t kPacketMaxCount = 1024;
constexpr size_t kPayloadMaxBytes = 1400;
constexpr size_t kHeaderMaxBytes = 24;
constexpr size_t kPacketMaxBytes = kHeaderMaxBytes + kPayloadMaxBytes + kGcmTagBytes;
// The kernel's UDP_MAX_SEGMENTS, and the largest write it cuts.
constexpr size_t kSegmentMaxCount = 64;
constexpr size_t kWriteMaxBytes = 65000;

struct Peer {
  Peer(const uint8_t* key, const uint8_t* salt) : gcm(GcmKey::Direction::kSeal, key, salt) {}
  bool is_ready() const { return gcm.is_ready(); }
  GcmKey gcm;
  Address to{};
  bool has_address = false;
  // Until the kernel would not, on the way to this address.
  bool may_cut = true;
};

struct Batch {
  static constexpr napi_type_tag kTag = {0x5b1c93e0a4f14c7dULL, 0x9d52a7b0c3e8f611ULL};
  static constexpr char kExpected[] = "expected a UdpBatch as receiver";
  static constexpr char kClosed[] = "the batch is closed";
  static constexpr char kClosedCode[] = "NATIVE_BATCH_CLOSED";

  Batch(UdpSocket socket, bool may_cut) : datagrams(std::move(socket), may_cut) {}
  Datagrams datagrams;
  PeerTable<Peer> peers;
  // Used anew by each call.
  std::vector<Bytes> payloads;
  std::vector<uint8_t> out;
  std::vector<Message> messages;
  std::vector<uint32_t> uncut_peers;

  void LearnUncut() {
    for (const uint32_t id : uncut_peers) {
      if (Peer* peer = peers.Find(id)) {
        peer->may_cut = false;
      }
    }
    uncut_peers.clear();
  }
};

// As writeRtpHeader (server/media/rtp/rtp-header.ts) does.
size_t WriteHeader(uint8_t* at, const uint32_t* words) {
  const uint32_t transport_id = (words[6] >> 16) & 0xf;
  const uint32_t delay_id = (words[6] >> 20) & 0xf;
  const bool has_extension = transport_id > 0 || delay_id > 0;
  at[0] = has_extension ? 0x90 : 0x80;
  at[1] = static_cast<uint8_t>(((words[4] >> 16) & 1) << 7 | ((words[4] >> 17) & 0x7f));
  Put16(at + 2, words[4]);
  Put32(at + 4, words[5]);
  Put32(at + 8, words[2]);
  if (!has_extension) {
    return 12;
  }
  size_t end = 16;
  if (transport_id > 0) {
    at[end] = static_cast<uint8_t>(transport_id << 4 | 1);
    Put16(at + end + 1, words[6]);
    end += 3;
  }
  if (delay_id > 0) {
    at[end] = static_cast<uint8_t>(delay_id << 4 | 2);
    at[end + 1] = static_cast<uint8_t>(words[7] >> 16);
    Put16(at + end + 2, words[7]);
    end += 4;
  }
  while (end % 4 != 0) {
    at[end++] = 0;
  }
  Put16(at + 12, 0xbede);
  Put16(at + 14, static_cast<uint32_t>((end - 16) / 4));
  return end;
}

// Joins the packet that ends the buffer to the message before it, where the kernel may cut both out of one write.
void Append(Batch* batch, const Peer& peer, uint32_t id, size_t start, size_t bytes) {
  std::vector<Message>& messages = batch->messages;
  if (peer.may_cut && batch->datagrams.may_cut() && !messages.empty()) {
    Message& last = messages.back();
    const bool is_whole = last.bytes % last.segment_bytes == 0;
    if (last.peer == id && is_whole && bytes <= last.segment_bytes && last.bytes / last.segment_bytes < kSegmentMaxCount &&
        last.bytes + bytes <= kWriteMaxBytes) {
      last.bytes += bytes;
      return;
    }
  }
  messages.push_back(Message{peer.to, id, start, bytes, bytes, false});
}

bool Seal(Batch* batch, const uint32_t* words, size_t count) {
  batch->messages.clear();
  size_t at = 0;
  for (size_t index = 0; index < count; index += 1, words += kWords) {
    Peer& peer = *batch->peers.Find(words[0]);
    const Bytes& payload = batch->payloads[words[1]];
    uint8_t* head = batch->out.data() + at;
    const size_t head_bytes = WriteHeader(head, words);
    uint8_t nonce[kGcmNonceBytes];
    peer.gcm.Nonce(words[2], static_cast<uint64_t>(words[3]) << 16 | (words[4] & 0xffff), nonce);
    if (!peer.gcm.Seal(nonce, head, head_bytes, payload.data, payload.size, head + head_bytes)) {
      return false;
    }
    const size_t bytes = head_bytes + payload.size + kGcmTagBytes;
    Append(batch, peer, words[0], at, bytes);
    at += bytes;
  }
  return true;
}

// new UdpBatch(fd, mayCut): for a bound UDP socket, which stays its owner's.
napi_value Construct(napi_env env, napi_callback_info info) {
  napi_value values[2], receiver;
  bool may_cut = false;
  UdpSocket socket;
  if (!ReadConstruction(env, info, 2, values, &receiver) || !ReadBool(env, values[1], "mayCut", &may_cut) ||
      !ReadSocket(env, values[0], &socket)) {
    return nullptr;
  }
  return Hold(env, receiver, std::make_shared<Batch>(std::move(socket), may_cut));
}

// addPeer(key, salt): its number, for `send`.
napi_value AddPeer(napi_env env, napi_callback_info info) {
  napi_value values[2];
  Bytes key, salt;
  Batch* batch = ReadCall<Batch>(env, info, 2, values);
  if (batch == nullptr || !ReadBytesOf(env, values[0], "key", kGcmKeyBytes, &key) ||
      !ReadBytesOf(env, values[1], "salt", kGcmSaltBytes, &salt)) {
    return nullptr;
  }
  return AddPeerTo(env, &batch->peers, std::make_unique<Peer>(key.data, salt.data));
}

// setAddress(peer, address, port): false when the address cannot be written down here (a scope, another family).
napi_value SetAddress(napi_env env, napi_callback_info info) {
  napi_value values[3];
  uint32_t id = 0;
  Address address;
  bool is_known = false;
  Batch* batch = ReadCall<Batch>(env, info, 3, values);
  Peer* peer = batch == nullptr ? nullptr : ReadPeer(env, values[0], batch->peers, &id);
  if (peer == nullptr || !ReadEndpoint(env, values[1], values[2], batch->datagrams.family(), &address, &is_known)) {
    return nullptr;
  }
  peer->has_address = is_known;
  peer->may_cut = true;
  if (is_known) {
    peer->to = address;
  }
  return Boolean(env, is_known);
}

// removePeer(peer): its number may be given to another.
napi_value RemovePeer(napi_env env, napi_callback_info info) {
  napi_value values[1];
  uint32_t id = 0;
  Batch* batch = ReadCall<Batch>(env, info, 1, values);
  if (batch != nullptr && ReadPeer(env, values[0], batch->peers, &id) != nullptr) {
    batch->peers.Remove(id);
  }
  return nullptr;
}

bool ReadDescriptions(napi_env env, napi_value value, size_t count, const uint32_t** out) {
  Words words;
  if (!ReadWords(env, value, "words", &words)) {
    return false;
  }
  if (words.data == nullptr || words.size < count * kWords) {
    ThrowType(env, "words: expected eight for each packet");
    return false;
  }
  *out = words.data;
  return true;
}

// May run JavaScript (getters, proxies), which may do as it likes with everything: nothing may be held while it does.
bool ReadItems(napi_env env, napi_value list, std::vector<napi_value>* out) {
  uint32_t count = 0;
  bool is_array = false;
  if (napi_is_array(env, list, &is_array) != napi_ok || !is_array || napi_get_array_length(env, list, &count) != napi_ok ||
      count > kPacketMaxCount) {
    ThrowType(env, "payloads: expected an array, of at most 1024");
    return false;
  }
  out->resize(count);
  for (uint32_t index = 0; index < count; index += 1) {
    if (napi_get_element(env, list, index, &(*out)[index]) != napi_ok) {
      ThrowType(env, "payloads: expected Uint8Arrays");
      return false;
    }
  }
  return true;
}

bool ReadPayloads(napi_env env, const std::vector<napi_value>& items, std::vector<Bytes>* out) {
  out->resize(items.size());
  for (size_t index = 0; index < items.size(); index += 1) {
    if (!ReadBytes(env, items[index], "payloads", &(*out)[index])) {
      return false;
    }
    if ((*out)[index].size == 0 || (*out)[index].size > kPayloadMaxBytes) {
      ThrowRange(env, "payloads: expected 1 to 1400 bytes each");
      return false;
    }
  }
  return true;
}

bool CheckPackets(napi_env env, Batch* batch, const uint32_t* words, size_t count) {
  for (size_t index = 0; index < count; index += 1, words += kWords) {
    const Peer* peer = batch->peers.Find(words[0]);
    if (peer == nullptr || !peer->has_address || words[1] >= batch->payloads.size()) {
      ThrowRange(env, "words: expected peers that are there and have an address, and payloads of the list");
      return false;
    }
  }
  return true;
}

// send(words, count, payloads): how many writes wait for the kernel; above 0, `retry` is to be called soon.
napi_value Send(napi_env env, napi_callback_info info) {
  napi_value values[3], receiver;
  uint32_t count = 0;
  const uint32_t* words = nullptr;
  Batch* batch = nullptr;
  std::vector<napi_value> items;
  if (!ReadArguments(env, info, 3, values, &receiver) || !ReadUint32(env, values[1], "count", &count)) {
    return nullptr;
  }
  if (count > kPacketMaxCount) {
    ThrowRange(env, "count: expected at most 1024");
    return nullptr;
  }
  if (!ReadItems(env, values[2], &items) || (batch = ReadReceiver<Batch>(env, receiver)) == nullptr ||
      !ReadPayloads(env, items, &batch->payloads) || !ReadDescriptions(env, values[0], count, &words) || !CheckPackets(env, batch, words, count)) {
    return nullptr;
  }
  if (batch->out.size() < count * kPacketMaxBytes) {
    batch->out.resize(count * kPacketMaxBytes);
  }
  if (!Seal(batch, words, count)) {
    napi_throw_error(env, nullptr, "AES-128-GCM failed");
    return nullptr;
  }
  batch->datagrams.Send(batch->out.data(), &batch->messages, &batch->uncut_peers);
  batch->LearnUncut();
  return Number(env, static_cast<double>(batch->datagrams.waiting_count()));
}

// retry(): as `send` of nothing.
napi_value Retry(napi_env env, napi_callback_info info) {
  Batch* batch = ReadCall<Batch>(env, info, 0, nullptr);
  if (batch == nullptr) {
    return nullptr;
  }
  batch->datagrams.Retry(&batch->uncut_peers);
  batch->LearnUncut();
  return Number(env, static_cast<double>(batch->datagrams.waiting_count()));
}

napi_value Counts(napi_env env, napi_callback_info info) {
  const Batch* batch = ReadCall<Batch>(env, info, 0, nullptr);
  if (batch == nullptr) {
    return nullptr;
  }
  const DatagramCounts& counts = batch->datagrams.counts();
  return Numbers(env, {{"sent", counts.sent},
                       {"calls", counts.calls},
                       {"writes", counts.writes},
                       {"refused", counts.refused},
                       {"dropped", counts.dropped},
                       {"full", counts.full},
                       {"uncut", counts.uncut}});
}

napi_value KernelCuts(napi_env env, napi_callback_info) { return Boolean(env, KernelCutsDatagrams()); }

}  // namespace

bool InitUdpBatch(napi_env env, napi_value exports) {
  const napi_value part = ExportPart(env, exports, "udp");
  return part != nullptr && ExportFunctions(env, part, {{"kernelCuts", KernelCuts}}) &&
         ExportClass(env, part, "UdpBatch", Construct,
                     {{"addPeer", AddPeer},
                      {"setAddress", SetAddress},
                      {"removePeer", RemovePeer},
                      {"send", Send},
                      {"retry", Retry},
                      {"counts", Counts},
                      {"close", CloseHandle<Batch>}});
}

}  // namespace sluice
