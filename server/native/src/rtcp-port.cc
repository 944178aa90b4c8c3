// What comes over a UDP port, many datagrams with one call of the kernel and one of JavaScript: RTCP of known peers is handed over in clear,
// everything else as it came. What is authentic is opened here, whom an address belongs to is told by JavaScript, which alone reads STUN.
//
// A datagram as JavaScript sees it, in words:
//
//     0 kind (0 as it came, 1 RTCP in clear, 2 RTCP that was refused) | 1 peer, or 2^32 − 1 | 2 first byte | 3 bytes | 4 port | 5 bytes of the address's text
//
// The address stands behind the datagram, and only where it is handed over as it came.
#include <string.h>
#include <sys/socket.h>

#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libuv.h"
#include "napi.h"
#include "parts.h"
#include "socket-address.h"
#include "srtcp.h"
#include "udp-arguments.h"

namespace sluice {
namespace {

constexpr size_t kPathMaxCount = 16;
constexpr size_t kCompoundMaxBytes = 65536;
constexpr size_t kReadCount = 32;
// Beyond, a datagram is none of ours: DTLS and RTP stay below an MTU, RTCP too.
constexpr size_t kDatagramMaxBytes = 4096;
// After a batch of RTCP the next datagrams gather for so long: a hundred viewers send more than one a millisecond, and waking up for each costs more than
// reading it.
constexpr uint64_t kGatherMs = 2;
constexpr size_t kWords = 6;
constexpr uint32_t kNobody = 0xffffffff;
// RFC 7983 and RFC 5761 4.
constexpr uint8_t kMediaFirst = 128;
constexpr uint8_t kMediaLast = 191;
constexpr uint8_t kRtcpFirst = 192;
constexpr uint8_t kRtcpLast = 223;

enum Kind : uint32_t { kAsItCame = 0, kOpened = 1, kRefused = 2 };

constexpr napi_type_tag kTag = {0x3d7ae25f90b84c16ULL, 0x86f0d94be37a5210ULL};

struct Peer {
  Peer(const uint8_t* local_key, const uint8_t* local_salt, const uint8_t* remote_key, const uint8_t* remote_salt)
      : sealer(local_key, local_salt), opener(remote_key, remote_salt) {}
  bool is_ready() const { return sealer.is_ready() && opener.is_ready(); }
  SrtcpSealer sealer;
  SrtcpOpener opener;
  std::vector<AddressKey> paths;
};

// Where datagrams are read to; only while the port is listened to.
struct Inbox {
  uint8_t bytes[kReadCount][kDatagramMaxBytes];
  Address from[kReadCount];
  iovec parts[kReadCount];
  mmsghdr headers[kReadCount];
};

struct Port;

// Held by JavaScript; empty once closed.
struct Handle {
  Port* port;
};

struct Port {
  Port(napi_env env, UdpSocket socket) : env(env), socket(std::move(socket)) {}
  napi_env env;
  UdpSocket socket;
  // Undefined for JavaScript once this is closed.
  Handle* holder = nullptr;
  PeerTable<Peer> peers;
  std::unordered_map<AddressKey, uint32_t, AddressKeyHash> by_address;
  std::vector<uint8_t> clear = std::vector<uint8_t>(kDatagramMaxBytes);

  // While listened to.
  uv_poll_s* poll = nullptr;
  uv_timer_s* timer = nullptr;
  int open_handles = 0;
  std::unique_ptr<Inbox> inbox;
  // The object that JavaScript calls, which stays while it is listened to, as a socket does.
  napi_ref self = nullptr;
  napi_ref words = nullptr;
  napi_ref bytes = nullptr;
  napi_ref on_batch = nullptr;
  napi_async_context context = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  bool is_closing = false;
  bool is_handing_over = false;

  double read_count = 0;
  double call_count = 0;
  double lost_count = 0;

  void Unbind(const AddressKey& key) {
    const auto found = by_address.find(key);
    if (found == by_address.end()) {
      return;
    }
    if (Peer* peer = peers.Find(found->second)) {
      for (size_t at = 0; at < peer->paths.size(); at += 1) {
        if (peer->paths[at] == key) {
          peer->paths[at] = peer->paths.back();
          peer->paths.pop_back();
          break;
        }
      }
    }
    by_address.erase(found);
  }
};

Port* Unwrap(napi_env env, napi_value receiver) {
  bool is_ours = false;
  void* data = nullptr;
  if (napi_check_object_type_tag(env, receiver, &kTag, &is_ours) != napi_ok || !is_ours ||
      napi_unwrap(env, receiver, &data) != napi_ok || data == nullptr) {
    ThrowType(env, "expected an RtcpPort as receiver");
    return nullptr;
  }
  Port* port = static_cast<Handle*>(data)->port;
  if (port == nullptr) {
    napi_throw_error(env, "NATIVE_PORT_CLOSED", "the port is closed");
  }
  return port;
}

// Looked up anew each time, since JavaScript may have given the memory away; empty then.
template <typename Element>
Span<Element> MemoryOf(napi_env env, napi_ref reference) {
  napi_value value;
  Span<Element> memory;
  if (napi_get_reference_value(env, reference, &value) == napi_ok && value != nullptr) {
    LookAt(env, value, &memory);
  }
  return memory;
}

bool IsRtcp(const uint8_t* datagram, size_t size) {
  return size >= 2 && datagram[0] >= kMediaFirst && datagram[0] <= kMediaLast && datagram[1] >= kRtcpFirst && datagram[1] <= kRtcpLast;
}

// Describes one datagram in `words`; false when there is no room left for it.
bool Describe(Port* port, size_t index, uint32_t* words, const Bytes& bytes, size_t* at) {
  const uint8_t* datagram = port->inbox->bytes[index];
  const size_t size = port->inbox->headers[index].msg_len;
  const Address& from = port->inbox->from[index];
  if (*at + size + kAddressTextBytes > bytes.size) {
    return false;
  }
  const auto found = port->by_address.find(KeyOf(from));
  const uint32_t id = found == port->by_address.end() ? kNobody : found->second;
  words[1] = id;
  words[2] = static_cast<uint32_t>(*at);
  words[3] = 0;
  words[4] = 0;
  words[5] = 0;
  if (id != kNobody && IsRtcp(datagram, size)) {
    const size_t opened = port->peers.Find(id)->opener.Open(datagram, size, bytes.data + *at);
    words[0] = opened == 0 ? kRefused : kOpened;
    words[3] = static_cast<uint32_t>(opened);
    *at += opened;
    return true;
  }
  words[0] = kAsItCame;
  words[3] = static_cast<uint32_t>(size);
  memcpy(bytes.data + *at, datagram, size);
  *at += size;
  char text[kAddressTextBytes];
  words[5] = static_cast<uint32_t>(WriteAddress(from, text, &words[4]));
  memcpy(bytes.data + *at, text, words[5]);
  *at += words[5];
  return true;
}

size_t ReadDatagrams(Port* port) {
  Inbox& inbox = *port->inbox;
  for (size_t index = 0; index < kReadCount; index += 1) {
    inbox.headers[index].msg_hdr.msg_namelen = sizeof inbox.from[index];
    inbox.headers[index].msg_hdr.msg_flags = 0;
  }
  const int count = recvmmsg(port->socket.fd(), inbox.headers, kReadCount, MSG_DONTWAIT, nullptr);
  port->call_count += 1;
  port->read_count += count > 0 ? count : 0;
  return count > 0 ? static_cast<size_t>(count) : 0;
}

// What Node-API must be asked for while it still answers.
void LetGo(Port* port) {
  for (napi_ref* reference : {&port->self, &port->words, &port->bytes, &port->on_batch}) {
    if (*reference != nullptr) {
      napi_delete_reference(port->env, *reference);
      *reference = nullptr;
    }
  }
  if (port->context != nullptr) {
    napi_async_destroy(port->env, port->context);
    port->context = nullptr;
  }
}

void HandOver(Port* port, size_t count) {
  napi_env env = port->env;
  napi_value on_batch, result, receiver;
  const napi_value argument = Number(env, static_cast<double>(count));
  if (napi_get_reference_value(env, port->on_batch, &on_batch) != napi_ok || napi_get_global(env, &receiver) != napi_ok || argument == nullptr) {
    return;
  }
  port->is_handing_over = true;
  port->peers.KeepNumbers();
  const napi_status status = napi_make_callback(env, port->context, receiver, on_batch, 1, &argument, &result);
  port->peers.GiveNumbers();
  port->is_handing_over = false;
  if (port->is_closing) {
    LetGo(port);
  }
  napi_value error;
  if (status != napi_ok && IsThrowing(env) && napi_get_and_clear_last_exception(env, &error) == napi_ok) {
    napi_fatal_exception(env, error);
  }
}

void OnGathered(uv_timer_s* timer);
void OnReadable(uv_poll_s* poll, int, int);

// Media of a publisher, handshakes and STUN are not let wait.
void Await(Port* port, bool may_gather) {
  if (may_gather) {
    uv_poll_stop(port->poll);
    uv_timer_start(port->timer, OnGathered, kGatherMs, 0);
  } else {
    uv_poll_start(port->poll, UV_READABLE, OnReadable);
  }
}

// However it was woken: an error of the socket is read, too, and libuv has stopped waiting for it then.
void OnReadable(uv_poll_s* poll, int, int) {
  Port* port = static_cast<Port*>(uv_handle_get_data(reinterpret_cast<uv_handle_s*>(poll)));
  const size_t read = ReadDatagrams(port);
  napi_handle_scope scope;
  if (read == 0 || napi_open_handle_scope(port->env, &scope) != napi_ok) {
    Await(port, true);
    return;
  }
  bool is_rtcp_alone = true;
  size_t at = 0, count = 0;
  const Words words = MemoryOf<uint32_t>(port->env, port->words);
  const Bytes bytes = MemoryOf<uint8_t>(port->env, port->bytes);
  for (size_t index = 0; index < read; index += 1) {
    const bool is_whole = (port->inbox->headers[index].msg_hdr.msg_flags & MSG_TRUNC) == 0;
    const bool has_room = (count + 1) * kWords <= words.size;
    if (is_whole && has_room && Describe(port, index, words.data + count * kWords, bytes, &at)) {
      is_rtcp_alone = is_rtcp_alone && words.data[count * kWords] != kAsItCame;
      count += 1;
    } else {
      port->lost_count += 1;
    }
  }
  Await(port, is_rtcp_alone && read < kReadCount);
  napi_env env = port->env;
  if (count > 0) {
    // May close the port; its memory goes later than this call.
    HandOver(port, count);
  }
  napi_close_handle_scope(env, scope);
}

void OnGathered(uv_timer_s* timer) {
  Port* port = static_cast<Port*>(uv_handle_get_data(reinterpret_cast<uv_handle_s*>(timer)));
  uv_poll_start(port->poll, UV_READABLE, OnReadable);
}

// Closes once; the memory goes when the loop no longer knows it.
void ClosePort(Port* port) {
  port->is_closing = true;
  if (port->holder != nullptr) {
    port->holder->port = nullptr;
    port->holder = nullptr;
  }
  if (!port->is_handing_over) {
    LetGo(port);
  }
  if (port->open_handles == 0) {
    delete port;
    return;
  }
  const auto on_closed = [](uv_handle_s* handle) {
    Port* closed = static_cast<Port*>(uv_handle_get_data(handle));
    std::free(handle);
    closed->open_handles -= 1;
    if (closed->open_handles > 0) {
      return;
    }
    if (closed->cleanup != nullptr) {
      napi_remove_async_cleanup_hook(closed->cleanup);
    }
    delete closed;
  };
  for (void* handle : {static_cast<void*>(port->poll), static_cast<void*>(port->timer)}) {
    if (handle != nullptr) {
      uv_close(static_cast<uv_handle_s*>(handle), on_closed);
    }
  }
}

// new RtcpPort(fd): for a bound UDP socket, which stays its owner's.
napi_value Construct(napi_env env, napi_callback_info info) {
  napi_value values[1], receiver, target;
  UdpSocket socket;
  if (napi_get_new_target(env, info, &target) != napi_ok || target == nullptr) {
    ThrowType(env, "RtcpPort: expected new");
    return nullptr;
  }
  if (!ReadArguments(env, info, 1, values, &receiver) || !ReadSocket(env, values[0], &socket)) {
    return nullptr;
  }
  Handle* handle = new Handle{new Port(env, std::move(socket))};
  handle->port->holder = handle;
  const auto finalize = [](napi_env, void* data, void*) {
    Handle* forgotten = static_cast<Handle*>(data);
    if (forgotten->port != nullptr) {
      ClosePort(forgotten->port);
    }
    delete forgotten;
  };
  if (napi_wrap(env, receiver, handle, finalize, nullptr, nullptr) != napi_ok) {
    ClosePort(handle->port);
    delete handle;
    ThrowType(env, "RtcpPort: expected a fresh object");
    return nullptr;
  }
  if (napi_type_tag_object(env, receiver, &kTag) != napi_ok) {
    ThrowType(env, "RtcpPort: expected a fresh object");
  }
  return receiver;
}

// addPeer(localKey, localSalt, remoteKey, remoteSalt): its number. Session keys of SRTCP.
napi_value AddPeer(napi_env env, napi_callback_info info) {
  napi_value values[4], receiver;
  Bytes local_key, local_salt, remote_key, remote_salt;
  Port* port = nullptr;
  if (!ReadArguments(env, info, 4, values, &receiver) || (port = Unwrap(env, receiver)) == nullptr ||
      !ReadBytesOf(env, values[0], "localKey", kGcmKeyBytes, &local_key) ||
      !ReadBytesOf(env, values[1], "localSalt", kGcmSaltBytes, &local_salt) ||
      !ReadBytesOf(env, values[2], "remoteKey", kGcmKeyBytes, &remote_key) ||
      !ReadBytesOf(env, values[3], "remoteSalt", kGcmSaltBytes, &remote_salt)) {
    return nullptr;
  }
  return AddPeerTo(env, &port->peers, std::make_unique<Peer>(local_key.data, local_salt.data, remote_key.data, remote_salt.data));
}

// removePeer(peer): nothing is its any more; its number may be given to another.
napi_value RemovePeer(napi_env env, napi_callback_info info) {
  napi_value values[1], receiver;
  uint32_t id = 0;
  Port* port = nullptr;
  Peer* peer = nullptr;
  if (!ReadArguments(env, info, 1, values, &receiver) || (port = Unwrap(env, receiver)) == nullptr ||
      (peer = ReadPeer(env, values[0], port->peers, &id)) == nullptr) {
    return nullptr;
  }
  for (const AddressKey& key : peer->paths) {
    port->by_address.erase(key);
  }
  port->peers.Remove(id);
  return nullptr;
}

// Of `bind` and `unbind`. False with an exception; `is_known` false when the address cannot be written down here.
bool ReadPath(napi_env env, napi_callback_info info, Port** port, uint32_t* id, Address* address, bool* is_known) {
  napi_value values[3], receiver;
  return ReadArguments(env, info, 3, values, &receiver) && (*port = Unwrap(env, receiver)) != nullptr &&
         ReadPeer(env, values[0], (*port)->peers, id) != nullptr &&
         ReadEndpoint(env, values[1], values[2], (*port)->socket.family(), address, is_known);
}

// bind(peer, address, port): what comes from there is its. False when the address has a scope, or is of another family.
napi_value Bind(napi_env env, napi_callback_info info) {
  Port* port = nullptr;
  uint32_t id = 0;
  Address address;
  bool is_known = false;
  if (!ReadPath(env, info, &port, &id, &address, &is_known)) {
    return nullptr;
  }
  if (is_known) {
    const AddressKey key = KeyOf(address);
    port->Unbind(key);
    Peer* peer = port->peers.Find(id);
    is_known = peer->paths.size() < kPathMaxCount;
    if (is_known) {
      peer->paths.push_back(key);
      port->by_address[key] = id;
    }
  }
  return Boolean(env, is_known);
}

// unbind(peer, address, port): if it is still its.
napi_value Unbind(napi_env env, napi_callback_info info) {
  Port* port = nullptr;
  uint32_t id = 0;
  Address address;
  bool is_known = false;
  if (!ReadPath(env, info, &port, &id, &address, &is_known)) {
    return nullptr;
  }
  if (is_known) {
    const AddressKey key = KeyOf(address);
    const auto found = port->by_address.find(key);
    if (found != port->by_address.end() && found->second == id) {
      port->Unbind(key);
    }
  }
  return nullptr;
}

// open(peer, datagram, target): RTCP that came another way. Bytes of the compound, 0: refused.
napi_value Open(napi_env env, napi_callback_info info) {
  napi_value values[3], receiver;
  uint32_t id = 0;
  Bytes datagram, target;
  Port* port = nullptr;
  Peer* peer = nullptr;
  if (!ReadArguments(env, info, 3, values, &receiver) || (port = Unwrap(env, receiver)) == nullptr ||
      (peer = ReadPeer(env, values[0], port->peers, &id)) == nullptr || !ReadBytes(env, values[1], "datagram", &datagram) ||
      !ReadBytes(env, values[2], "target", &target)) {
    return nullptr;
  }
  if (datagram.size > kCompoundMaxBytes || target.size < datagram.size) {
    ThrowRange(env, "datagram, target: expected at most 65536 bytes, and room for as many");
    return nullptr;
  }
  // Into memory of its own, since the two may be one.
  if (port->clear.size() < datagram.size) {
    port->clear.resize(datagram.size);
  }
  const size_t opened = peer->opener.Open(datagram.data, datagram.size, port->clear.data());
  if (opened > 0) {
    memcpy(target.data, port->clear.data(), opened);
  }
  return Number(env, static_cast<double>(opened));
}

// seal(peer, compound, target): `target` is 20 bytes longer.
napi_value Seal(napi_env env, napi_callback_info info) {
  napi_value values[3], receiver;
  uint32_t id = 0;
  Bytes compound, target;
  Port* port = nullptr;
  Peer* peer = nullptr;
  if (!ReadArguments(env, info, 3, values, &receiver) || (port = Unwrap(env, receiver)) == nullptr ||
      (peer = ReadPeer(env, values[0], port->peers, &id)) == nullptr || !ReadBytes(env, values[1], "compound", &compound) ||
      !ReadBytesOf(env, values[2], "target", compound.size + kSrtcpOverheadBytes, &target)) {
    return nullptr;
  }
  if (compound.size < kSrtcpHeadBytes || compound.size > kCompoundMaxBytes) {
    ThrowRange(env, "compound: expected 8 to 65536 bytes");
    return nullptr;
  }
  if (port->clear.size() < target.size) {
    port->clear.resize(target.size);
  }
  if (!peer->sealer.Seal(compound.data, compound.size, port->clear.data())) {
    napi_throw_error(env, nullptr, "AES-128-GCM failed");
    return nullptr;
  }
  memcpy(target.data, port->clear.data(), target.size);
  return nullptr;
}

// listen(words, bytes, onBatch): from now on datagrams are read here, written to these two and told by their number. Once.
napi_value Listen(napi_env env, napi_callback_info info) {
  napi_value values[3], receiver, name;
  napi_valuetype type;
  Words words;
  Bytes bytes;
  Port* port = nullptr;
  if (!ReadArguments(env, info, 3, values, &receiver) || (port = Unwrap(env, receiver)) == nullptr ||
      !ReadWords(env, values[0], "words", &words) || !ReadBytes(env, values[1], "bytes", &bytes)) {
    return nullptr;
  }
  if (napi_typeof(env, values[2], &type) != napi_ok || type != napi_function) {
    ThrowType(env, "onBatch: expected a function");
    return nullptr;
  }
  if (port->poll != nullptr) {
    napi_throw_error(env, nullptr, "it is listened to already");
    return nullptr;
  }
  uv_loop_s* loop = nullptr;
  if (strcmp(uv_handle_type_name(UV_POLL), "poll") != 0 || strcmp(uv_handle_type_name(UV_TIMER), "timer") != 0 ||
      napi_get_uv_event_loop(env, &loop) != napi_ok) {
    napi_throw_error(env, nullptr, "this Node's event loop is not one that we know");
    return nullptr;
  }
  void* poll = std::calloc(1, uv_handle_size(UV_POLL));
  void* timer = std::calloc(1, uv_handle_size(UV_TIMER));
  if (poll == nullptr || timer == nullptr || uv_poll_init(loop, static_cast<uv_poll_s*>(poll), port->socket.fd()) != 0) {
    std::free(poll);
    std::free(timer);
    napi_throw_error(env, nullptr, "the socket cannot be waited for");
    return nullptr;
  }
  uv_timer_init(loop, static_cast<uv_timer_s*>(timer));
  for (void* handle : {poll, timer}) {
    uv_handle_set_data(static_cast<uv_handle_s*>(handle), port);
  }
  port->poll = static_cast<uv_poll_s*>(poll);
  port->timer = static_cast<uv_timer_s*>(timer);
  port->open_handles = 2;
  port->inbox = std::make_unique<Inbox>();
  for (size_t index = 0; index < kReadCount; index += 1) {
    port->inbox->parts[index] = {port->inbox->bytes[index], kDatagramMaxBytes};
    msghdr& header = port->inbox->headers[index].msg_hdr;
    header = msghdr{};
    header.msg_name = &port->inbox->from[index];
    header.msg_iov = &port->inbox->parts[index];
    header.msg_iovlen = 1;
  }
  // A worker that ends closes what it has not closed itself.
  const auto on_env_end = [](napi_async_cleanup_hook_handle, void* data) {
    Port* open = static_cast<Port*>(data);
    if (!open->is_closing) {
      ClosePort(open);
    }
  };
  if (napi_create_string_utf8(env, "sluice.rtcp", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, nullptr, name, &port->context) != napi_ok ||
      napi_create_reference(env, receiver, 1, &port->self) != napi_ok || napi_create_reference(env, values[0], 1, &port->words) != napi_ok ||
      napi_create_reference(env, values[1], 1, &port->bytes) != napi_ok ||
      napi_create_reference(env, values[2], 1, &port->on_batch) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_env_end, port, &port->cleanup) != napi_ok ||
      uv_poll_start(port->poll, UV_READABLE, OnReadable) != 0) {
    ClosePort(port);
    napi_throw_error(env, nullptr, "the socket cannot be waited for");
  }
  return nullptr;
}

napi_value Counts(napi_env env, napi_callback_info info) {
  napi_value receiver;
  Port* port = nullptr;
  if (!ReadArguments(env, info, 0, nullptr, &receiver) || (port = Unwrap(env, receiver)) == nullptr) {
    return nullptr;
  }
  return Numbers(env, {{"read", port->read_count}, {"calls", port->call_count}, {"lost", port->lost_count}});
}

// close(): gives the socket and the keys back. Anything after it throws.
napi_value Close(napi_env env, napi_callback_info info) {
  napi_value receiver;
  Port* port = nullptr;
  if (ReadArguments(env, info, 0, nullptr, &receiver) && (port = Unwrap(env, receiver)) != nullptr) {
    ClosePort(port);
  }
  return nullptr;
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
                                         {"close", Close}});
}

}  // namespace sluice
