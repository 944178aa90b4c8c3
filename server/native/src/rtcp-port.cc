// What comes over a UDP port, many datagrams with one call of the kernel and one of JavaScript: RTCP of known peers is handed over in clear,
// everything else as it came. What is authentic is opened here, whom an address belongs to is told by JavaScript, which alone reads STUN.
//
// A datagram as JavaScript sees it, in words:
//
//     0 kind (0 as it came, 1 RTCP in clear, 2 RTCP that was refused) | 1 peer, or 2^32 − 1 | 2 first byte | 3 bytes | 4 port | 5 bytes of the address's text
//
// The address stands behind the datagram, and only where it is handed over as it came.
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "handle.h"
#include "inbox.h"
#include "napi.h"
#include "parts.h"
#include "rtcp-peers.h"
#include "socket-watch.h"
#include "udp-arguments.h"

namespace sluice {
namespace {

constexpr size_t kCompoundMaxBytes = 65536;
// After a batch of RTCP the next datagrams gather for so long: a hundred viewers send more than one a millisecond, and waking up for each costs more than
// reading it.
constexpr uint64_t kGatherMs = 2;
constexpr size_t kWords = 6;
// RFC 7983 and RFC 5761 4.
constexpr uint8_t kMediaFirst = 128;
constexpr uint8_t kMediaLast = 191;
constexpr uint8_t kRtcpFirst = 192;
constexpr uint8_t kRtcpLast = 223;

enum Kind : uint32_t { kAsItCame = 0, kOpened = 1, kRefused = 2 };

// What JavaScript is called with while it listens.
struct Listener {
  explicit Listener(napi_env env) : env(env) {}
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // `port` stays as long as this does, as a socket does that is listened to. False when Node refused.
  bool Hold(napi_value port, napi_value words, napi_value bytes, napi_value on_batch);
  void Call(size_t count);

  const napi_env env;
  napi_ref port = nullptr;
  napi_ref words = nullptr;
  napi_ref bytes = nullptr;
  napi_ref on_batch = nullptr;
  napi_async_context context = nullptr;
  Inbox inbox;
  SocketWatch::Pointer watch;
};

bool Listener::Hold(napi_value port_value, napi_value words_value, napi_value bytes_value, napi_value on_batch_value) {
  napi_value name;
  return napi_create_string_utf8(env, "sluice.rtcp", NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_async_init(env, nullptr, name, &context) == napi_ok && napi_create_reference(env, port_value, 1, &port) == napi_ok &&
         napi_create_reference(env, words_value, 1, &words) == napi_ok && napi_create_reference(env, bytes_value, 1, &bytes) == napi_ok &&
         napi_create_reference(env, on_batch_value, 1, &on_batch) == napi_ok;
}

Listener::~Listener() {
  for (napi_ref reference : {port, words, bytes, on_batch}) {
    if (reference != nullptr) {
      napi_delete_reference(env, reference);
    }
  }
  if (context != nullptr) {
    napi_async_destroy(env, context);
  }
}

void Listener::Call(size_t count) {
  // JavaScript may end this one while it is called.
  const napi_env its_env = env;
  napi_value function, result, receiver;
  const napi_value argument = Number(env, static_cast<double>(count));
  if (napi_get_reference_value(env, on_batch, &function) != napi_ok || napi_get_global(env, &receiver) != napi_ok || argument == nullptr) {
    return;
  }
  const napi_status status = napi_make_callback(env, context, receiver, function, 1, &argument, &result);
  napi_value error;
  if (status != napi_ok && IsThrowing(its_env) && napi_get_and_clear_last_exception(its_env, &error) == napi_ok) {
    napi_fatal_exception(its_env, error);
  }
}

// Looked up anew each time, since JavaScript may have given the memory away; empty then.
template <typename Memory>
Memory MemoryOf(napi_env env, napi_ref reference) {
  napi_value value;
  Memory memory;
  if (napi_get_reference_value(env, reference, &value) == napi_ok && value != nullptr) {
    LookAt(env, value, &memory);
  }
  return memory;
}

struct Port final : SocketWatch::Owner, std::enable_shared_from_this<Port> {
  static constexpr napi_type_tag kTag = {0x3d7ae25f90b84c16ULL, 0x86f0d94be37a5210ULL};
  static constexpr char kExpected[] = "expected an RtcpPort as receiver";
  static constexpr char kClosed[] = "the port is closed";
  static constexpr char kClosedCode[] = "NATIVE_PORT_CLOSED";

  explicit Port(UdpSocket socket) : socket(std::move(socket)) {}
  void OnReadable() override;
  void OnThreadEnd() override { listener.reset(); }
  // Describes what the inbox holds, for JavaScript; how many of them. `is_rtcp_alone`: nothing is handed over as it came.
  size_t DescribeAll(size_t read_count, bool* is_rtcp_alone);
  // False when there is no room left for it.
  bool Describe(const Inbox::Datagram& datagram, uint32_t* words, const Bytes& bytes, size_t* at);
  // Memory to work in, where what is read and what is written may be one.
  uint8_t* Scratch(size_t bytes);

  UdpSocket socket;
  RtcpPeers peers;
  std::vector<uint8_t> scratch;
  double read_count = 0;
  double call_count = 0;
  double lost_count = 0;
  // While it is listened to; it ends before the socket does.
  std::unique_ptr<Listener> listener;
};

bool IsRtcp(const uint8_t* datagram, size_t size) {
  return size >= 2 && datagram[0] >= kMediaFirst && datagram[0] <= kMediaLast && datagram[1] >= kRtcpFirst && datagram[1] <= kRtcpLast;
}

bool Port::Describe(const Inbox::Datagram& datagram, uint32_t* words, const Bytes& bytes, size_t* at) {
  if (*at + datagram.size + kAddressTextBytes > bytes.size) {
    return false;
  }
  uint8_t* out = bytes.data + *at;
  const uint32_t id = peers.OwnerOf(KeyOf(datagram.from));
  words[1] = id;
  words[2] = static_cast<uint32_t>(*at);
  words[4] = 0;
  words[5] = 0;
  if (id != kNobody && IsRtcp(datagram.data, datagram.size)) {
    words[3] = static_cast<uint32_t>(peers.Find(id)->opener.Open(datagram.data, datagram.size, out));
    words[0] = words[3] == 0 ? kRefused : kOpened;
  } else {
    words[0] = kAsItCame;
    words[3] = static_cast<uint32_t>(datagram.size);
    std::memcpy(out, datagram.data, datagram.size);
    char text[kAddressTextBytes];
    words[5] = static_cast<uint32_t>(WriteAddress(datagram.from, text, &words[4]));
    std::memcpy(out + datagram.size, text, words[5]);
  }
  *at += words[3] + words[5];
  return true;
}

size_t Port::DescribeAll(size_t read, bool* is_rtcp_alone) {
  const Words words = MemoryOf<Words>(listener->env, listener->words);
  const Bytes bytes = MemoryOf<Bytes>(listener->env, listener->bytes);
  size_t count = 0, at = 0;
  *is_rtcp_alone = true;
  for (size_t index = 0; index < read; index += 1) {
    const Inbox::Datagram datagram = listener->inbox.At(index);
    const bool has_room = (count + 1) * kWords <= words.size;
    uint32_t* its_words = words.data + count * kWords;
    if (datagram.is_whole && has_room && Describe(datagram, its_words, bytes, &at)) {
      *is_rtcp_alone = *is_rtcp_alone && its_words[0] != kAsItCame;
      count += 1;
    } else {
      lost_count += 1;
    }
  }
  return count;
}

void Port::OnReadable() {
  // JavaScript may close the port while it is called.
  const std::shared_ptr<Port> itself = shared_from_this();
  const napi_env env = listener->env;
  const size_t read = listener->inbox.Read(socket.fd());
  call_count += 1;
  read_count += static_cast<double>(read);
  napi_handle_scope scope;
  if (read == 0 || napi_open_handle_scope(env, &scope) != napi_ok) {
    listener->watch->WaitAfter(kGatherMs);
    return;
  }
  bool is_rtcp_alone = true;
  const size_t count = DescribeAll(read, &is_rtcp_alone);
  // Media of a publisher, handshakes and STUN are not let wait.
  if (is_rtcp_alone && read < kInboxMaxCount) {
    listener->watch->WaitAfter(kGatherMs);
  } else {
    listener->watch->Wait();
  }
  if (count > 0) {
    peers.KeepNumbers();
    listener->Call(count);
    peers.GiveNumbers();
  }
  napi_close_handle_scope(env, scope);
}

uint8_t* Port::Scratch(size_t bytes) {
  if (scratch.size() < bytes) {
    scratch.resize(bytes);
  }
  return scratch.data();
}

// new RtcpPort(fd): for a bound UDP socket, which stays its owner's.
napi_value Construct(napi_env env, napi_callback_info info) {
  napi_value values[1], receiver;
  UdpSocket socket;
  if (!ReadConstruction(env, info, 1, values, &receiver) || !ReadSocket(env, values[0], &socket)) {
    return nullptr;
  }
  return Hold(env, receiver, std::make_shared<Port>(std::move(socket)));
}

// addPeer(localKey, localSalt, remoteKey, remoteSalt): its number. Session keys of SRTCP.
napi_value AddPeer(napi_env env, napi_callback_info info) {
  napi_value values[4];
  Bytes local_key, local_salt, remote_key, remote_salt;
  Port* port = ReadCall<Port>(env, info, 4, values);
  if (port == nullptr || !ReadBytesOf(env, values[0], "localKey", kGcmKeyBytes, &local_key) ||
      !ReadBytesOf(env, values[1], "localSalt", kGcmSaltBytes, &local_salt) ||
      !ReadBytesOf(env, values[2], "remoteKey", kGcmKeyBytes, &remote_key) ||
      !ReadBytesOf(env, values[3], "remoteSalt", kGcmSaltBytes, &remote_salt)) {
    return nullptr;
  }
  return AddPeerTo(env, &port->peers, std::make_unique<RtcpPeer>(local_key.data, local_salt.data, remote_key.data, remote_salt.data));
}

// removePeer(peer): nothing is its any more; its number may be given to another.
napi_value RemovePeer(napi_env env, napi_callback_info info) {
  napi_value values[1];
  uint32_t id = 0;
  Port* port = ReadCall<Port>(env, info, 1, values);
  if (port != nullptr && ReadPeer(env, values[0], port->peers, &id) != nullptr) {
    port->peers.Remove(id);
  }
  return nullptr;
}

// Of `bind` and `unbind`. nullptr with an exception; `is_known` false when the address cannot be written down here.
Port* ReadPath(napi_env env, napi_callback_info info, uint32_t* id, Address* address, bool* is_known) {
  napi_value values[3];
  Port* port = ReadCall<Port>(env, info, 3, values);
  const bool is_read = port != nullptr && ReadPeer(env, values[0], port->peers, id) != nullptr &&
                       ReadEndpoint(env, values[1], values[2], port->socket.family(), address, is_known);
  return is_read ? port : nullptr;
}

// bind(peer, address, port): what comes from there is its. False when the address has a scope, or is of another family.
napi_value Bind(napi_env env, napi_callback_info info) {
  uint32_t id = 0;
  Address address;
  bool is_known = false;
  Port* port = ReadPath(env, info, &id, &address, &is_known);
  return port == nullptr ? nullptr : Boolean(env, is_known && port->peers.Bind(id, KeyOf(address)));
}

// unbind(peer, address, port): if it is still its.
napi_value Unbind(napi_env env, napi_callback_info info) {
  uint32_t id = 0;
  Address address;
  bool is_known = false;
  Port* port = ReadPath(env, info, &id, &address, &is_known);
  if (port != nullptr && is_known) {
    port->peers.Unbind(id, KeyOf(address));
  }
  return nullptr;
}

// open(peer, datagram, target): RTCP that came another way. Bytes of the compound, 0: refused.
napi_value Open(napi_env env, napi_callback_info info) {
  napi_value values[3];
  uint32_t id = 0;
  Bytes datagram, target;
  Port* port = ReadCall<Port>(env, info, 3, values);
  RtcpPeer* peer = port == nullptr ? nullptr : ReadPeer(env, values[0], port->peers, &id);
  if (peer == nullptr || !ReadBytes(env, values[1], "datagram", &datagram) ||
      !ReadBytes(env, values[2], "target", &target)) {
    return nullptr;
  }
  if (datagram.size > kCompoundMaxBytes || target.size < datagram.size) {
    ThrowRange(env, "datagram, target: expected at most 65536 bytes, and room for as many");
    return nullptr;
  }
  uint8_t* clear = port->Scratch(datagram.size);
  const size_t opened = peer->opener.Open(datagram.data, datagram.size, clear);
  if (opened > 0) {
    std::memcpy(target.data, clear, opened);
  }
  return Number(env, static_cast<double>(opened));
}

// seal(peer, compound, target): `target` is 20 bytes longer.
napi_value Seal(napi_env env, napi_callback_info info) {
  napi_value values[3];
  uint32_t id = 0;
  Bytes compound, target;
  Port* port = ReadCall<Port>(env, info, 3, values);
  RtcpPeer* peer = port == nullptr ? nullptr : ReadPeer(env, values[0], port->peers, &id);
  if (peer == nullptr || !ReadBytes(env, values[1], "compound", &compound) ||
      !ReadBytesOf(env, values[2], "target", compound.size + kSrtcpOverheadBytes, &target)) {
    return nullptr;
  }
  if (compound.size < kSrtcpHeadBytes || compound.size > kCompoundMaxBytes) {
    ThrowRange(env, "compound: expected 8 to 65536 bytes");
    return nullptr;
  }
  uint8_t* sealed = port->Scratch(target.size);
  if (!peer->sealer.Seal(compound.data, compound.size, sealed)) {
    napi_throw_error(env, nullptr, "AES-128-GCM failed");
    return nullptr;
  }
  std::memcpy(target.data, sealed, target.size);
  return nullptr;
}

// listen(words, bytes, onBatch): from now on datagrams are read here, written to these two and told by their number. Once.
napi_value Listen(napi_env env, napi_callback_info info) {
  napi_value values[3], receiver;
  napi_valuetype type;
  Words words;
  Bytes bytes;
  Port* port = nullptr;
  if (!ReadArguments(env, info, 3, values, &receiver) || (port = ReadReceiver<Port>(env, receiver)) == nullptr ||
      !ReadWords(env, values[0], "words", &words) || !ReadBytes(env, values[1], "bytes", &bytes)) {
    return nullptr;
  }
  if (napi_typeof(env, values[2], &type) != napi_ok || type != napi_function) {
    ThrowType(env, "onBatch: expected a function");
    return nullptr;
  }
  if (port->listener != nullptr) {
    napi_throw_error(env, nullptr, "it is listened to already");
    return nullptr;
  }
  auto listener = std::make_unique<Listener>(env);
  if (!listener->Hold(receiver, values[0], values[1], values[2])) {
    napi_throw_error(env, nullptr, "it cannot be listened to");
    return nullptr;
  }
  listener->watch = SocketWatch::Open(env, port->socket.fd(), port);
  if (listener->watch != nullptr) {
    port->listener = std::move(listener);
  }
  return nullptr;
}

napi_value Counts(napi_env env, napi_callback_info info) {
  const Port* port = ReadCall<Port>(env, info, 0, nullptr);
  return port == nullptr ? nullptr
                         : Numbers(env, {{"read", port->read_count}, {"calls", port->call_count}, {"lost", port->lost_count}});
}

}  // namespace

bool InitRtcpPort(napi_env env, napi_value exports) {
  const napi_value part = ExportPart(env, exports, "rtcp");
  return part != nullptr && ExportClass(env, part, "RtcpPort", Construct,
                                        {{"addPeer", AddPeer},
                                         {"removePeer", RemovePeer},
                                         {"bind", Bind},
                                         {"unbind", Unbind},
                                         {"open", Open},
                                         {"seal", Seal},
                                         {"listen", Listen},
                                         {"counts", Counts},
                                         {"close", CloseHandle<Port>}});
}

}  // namespace sluice
