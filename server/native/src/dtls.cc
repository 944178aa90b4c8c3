// DTLS 1.2 by the OpenSSL that Node contains, without a socket or a clock: datagrams go in, datagrams and the SRTP keying material come out
// (RFC 6347, RFC 5764). What was lost is sent again by whoever calls; OpenSSL's own timer, which reads the clock, is stopped.
#include <algorithm>
#include <cstring>
#include <memory>

#include "dtls-alerts.h"
#include "dtls-openssl.h"
#include "handle.h"
#include "napi.h"
#include "parts.h"

namespace sluice {
namespace {

// A flight of ours with a P-256 certificate takes about 1 kB, with one of RSA under 3 kB.
constexpr size_t kOutgoingMaxCount = 16;
// RFC 8261 5 and browsers: a datagram of this size passes wherever IPv6 does.
constexpr long kMtuBytes = 1200;
constexpr long kCertificateMaxBytes = 16384;
constexpr size_t kKeyingMaterialMaxBytes = 256;
// What an SSL object takes, told to the garbage collector.
constexpr int64_t kEndpointBytes = 94208;
// Longer than any handshake may last, in microseconds: OpenSSL's timer never fires.
constexpr unsigned int kNeverUs = 4000000000u;
constexpr char kProfiles[] = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80";
// Every browser's certificate goes with one of these; the last two are for old or small devices.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA:"
    "ECDHE-ECDSA-AES256-SHA";
constexpr char kLabel[] = "EXTRACTOR-dtls_srtp";

constexpr napi_type_tag kContextTag = {0x8f0e6a6c51d94b02, 0xa1b7c1a5d7e05a11};
constexpr napi_type_tag kEndpointTag = {0x3c55b0b9e2f14d8e, 0x9a4d1f6b7c2e8d22};

// What one call takes in and gives out. OpenSSL sees no more of the world.
struct Exchange {
  const uint8_t* in = nullptr;
  size_t in_bytes = 0;
  bool has_in = false;
  size_t out_count = 0;
  size_t out_bytes[kOutgoingMaxCount];
  uint8_t out[kOutgoingMaxCount][kMtuBytes];
};

enum class State : uint32_t { kHandshaking = 0, kConnected = 1, kClosedByPeer = 2, kFailed = 3 };

struct Endpoint {
  // Until the keys are out and settled, or it is closed.
  SSL* ssl = nullptr;
  bool is_server = false;
  SentRecords sent;
  // From then on, in its place.
  std::unique_ptr<DtlsAlerts> alerts;
  // Only during a call.
  Exchange* exchange = nullptr;
  State state = State::kHandshaking;
  const char* failure = nullptr;
};

// Whose call it is in which OpenSSL asks for something; nullptr between calls.
Endpoint* BeginExchange(BIO* bio) {
  auto* endpoint = static_cast<Endpoint*>(BIO_get_data(bio));
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  return endpoint == nullptr || endpoint->exchange == nullptr ? nullptr : endpoint;
}

int ReadDatagram(BIO* bio, char* out, int out_bytes) {
  Endpoint* endpoint = BeginExchange(bio);
  if (endpoint == nullptr || !endpoint->exchange->has_in || out_bytes <= 0) {
    BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  Exchange* exchange = endpoint->exchange;
  // As a socket does: what does not fit of a datagram is lost.
  const size_t bytes = std::min(exchange->in_bytes, static_cast<size_t>(out_bytes));
  std::memcpy(out, exchange->in, bytes);
  exchange->has_in = false;
  return static_cast<int>(bytes);
}

int WriteDatagram(BIO* bio, const char* in, int in_bytes) {
  Endpoint* endpoint = BeginExchange(bio);
  if (endpoint == nullptr || in_bytes <= 0 || in_bytes > kMtuBytes) {
    return -1;
  }
  Exchange* exchange = endpoint->exchange;
  endpoint->sent.Note(reinterpret_cast<const uint8_t*>(in), static_cast<size_t>(in_bytes));
  // What is beyond the cap is lost, as datagrams may be.
  if (exchange->out_count < kOutgoingMaxCount) {
    std::memcpy(exchange->out[exchange->out_count], in, static_cast<size_t>(in_bytes));
    exchange->out_bytes[exchange->out_count] = static_cast<size_t>(in_bytes);
    exchange->out_count += 1;
  }
  return in_bytes;
}

long ControlDatagrams(BIO*, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
      return kMtuBytes;
    default:
      return 0;
  }
}

// One for the process and for good; threads may ask for it at once.
const BIO_METHOD* DatagramMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice datagrams");
    if (made != nullptr) {
      BIO_meth_set_read(made, ReadDatagram);
      BIO_meth_set_write(made, WriteDatagram);
      BIO_meth_set_ctrl(made, ControlDatagrams);
    }
    return made;
  }();
  return method;
}

// Certificates of WebRTC are signed by themselves. Which one it is, its owner compares with the fingerprint in the SDP.
int AcceptAnyCertificate(X509_STORE_CTX*, void*) { return 1; }

unsigned int NeverExpires(SSL*, unsigned int) { return kNeverUs; }

// OpenSSL's, a string that stays; `otherwise` where it gives none.
const char* ReasonOr(const char* otherwise) {
  const unsigned long code = ERR_peek_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? otherwise : reason;
}

void Throw(napi_env env, const char* otherwise) {
  const char* reason = ReasonOr(otherwise);
  ERR_clear_error();
  napi_throw_error(env, nullptr, reason);
}

Endpoint* UnwrapEndpoint(napi_env env, napi_value handle) {
  return static_cast<Endpoint*>(Unwrap(env, handle, kEndpointTag, "handshake: expected one made by open"));
}

// The arguments of a call, of which the first is a handshake that is not closed; nullptr with an exception.
Endpoint* ReadHandshake(napi_env env, napi_callback_info info, size_t count, napi_value* values) {
  Endpoint* endpoint = ReadArguments(env, info, count, values) ? UnwrapEndpoint(env, values[0]) : nullptr;
  if (endpoint != nullptr && endpoint->ssl == nullptr && endpoint->alerts == nullptr) {
    ThrowType(env, "handshake: it is closed");
    return nullptr;
  }
  return endpoint;
}

// The same, of one that is not settled either.
Endpoint* ReadUnsettled(napi_env env, napi_callback_info info, size_t count, napi_value* values) {
  Endpoint* endpoint = ReadHandshake(env, info, count, values);
  if (endpoint != nullptr && endpoint->ssl == nullptr) {
    ThrowType(env, "handshake: it is settled");
    return nullptr;
  }
  return endpoint;
}

// A new object that holds `pointer`.
napi_value NewHandle(napi_env env, void* pointer, const napi_type_tag& tag, napi_finalize finalize) {
  napi_value handle;
  if (napi_create_object(env, &handle) != napi_ok) {
    finalize(env, pointer, nullptr);
    napi_throw_error(env, nullptr, "no memory for a handle");
    return nullptr;
  }
  return Wrap(env, handle, pointer, tag, finalize) ? handle : nullptr;
}

void FreeContext(napi_env, void* pointer, void*) { SSL_CTX_free(static_cast<SSL_CTX*>(pointer)); }

void Release(napi_env env, Endpoint* endpoint) {
  endpoint->alerts.reset();
  if (endpoint->ssl != nullptr) {
    SSL_free(endpoint->ssl);
    endpoint->ssl = nullptr;
    int64_t total = 0;
    napi_adjust_external_memory(env, -kEndpointBytes, &total);
  }
}

void FreeEndpoint(napi_env env, void* pointer, void*) {
  auto* endpoint = static_cast<Endpoint*>(pointer);
  Release(env, endpoint);
  delete endpoint;
}

bool Configure(SSL_CTX* context, const Bytes& certificate, const Bytes& key) {
  SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_ctrl(context, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, nullptr);
  SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, nullptr);
  SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_CERT_LIST, kCertificateMaxBytes, nullptr);
  // A peer without a certificate is told apart afterwards.
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, AcceptAnyCertificate, nullptr);
  char groups[] = "X25519:P-256:P-384";
  return SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, DTLS1_2_VERSION, nullptr) == 1 &&
         SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, groups) == 1 && SSL_CTX_set_cipher_list(context, kCiphers) == 1 &&
         // This one returns 0 when all is well.
         SSL_CTX_set_tlsext_use_srtp(context, kProfiles) == 0 &&
         SSL_CTX_use_certificate_ASN1(context, static_cast<int>(certificate.size), certificate.data) == 1 &&
         SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, context, key.data, static_cast<long>(key.size)) == 1 &&
         SSL_CTX_check_private_key(context) == 1;
}

// createContext(certificateDer, privateKeyDer): what all handshakes of one identity share.
napi_value CreateContext(napi_env env, napi_callback_info info) {
  napi_value values[2];
  Bytes certificate, key;
  if (!ReadArguments(env, info, 2, values) || !ReadBytes(env, values[0], "certificate", &certificate) ||
      !ReadBytes(env, values[1], "key", &key)) {
    return nullptr;
  }
  if (certificate.size == 0 || certificate.size > kCertificateMaxBytes || key.size == 0 || key.size > kCertificateMaxBytes) {
    ThrowRange(env, "certificate, key: expected 1 to 16384 bytes of DER");
    return nullptr;
  }
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(DTLS_method());
  if (context == nullptr || !Configure(context, certificate, key)) {
    SSL_CTX_free(context);
    Throw(env, "certificate and key cannot be used");
    return nullptr;
  }
  return NewHandle(env, context, kContextTag, FreeContext);
}

// open(context, isServer)
napi_value Open(napi_env env, napi_callback_info info) {
  napi_value values[2];
  bool is_server = false;
  if (!ReadArguments(env, info, 2, values)) {
    return nullptr;
  }
  auto* context = static_cast<SSL_CTX*>(Unwrap(env, values[0], kContextTag, "context: expected one made by createContext"));
  if (context == nullptr || !ReadBool(env, values[1], "isServer", &is_server)) {
    return nullptr;
  }
  ERR_clear_error();
  auto endpoint = std::make_unique<Endpoint>();
  SSL* ssl = SSL_new(context);
  BIO* bio = DatagramMethod() == nullptr ? nullptr : BIO_new(DatagramMethod());
  if (ssl == nullptr || bio == nullptr) {
    // A BIO without an SSL object cannot be: SSL_new needs far more memory.
    SSL_free(ssl);
    Throw(env, "no memory for a handshake");
    return nullptr;
  }
  BIO_set_data(bio, endpoint.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_ctrl(ssl, SSL_CTRL_SET_MTU, kMtuBytes, nullptr);
  DTLS_set_timer_cb(ssl, NeverExpires);
  is_server ? SSL_set_accept_state(ssl) : SSL_set_connect_state(ssl);
  endpoint->ssl = ssl;
  endpoint->is_server = is_server;
  int64_t total = 0;
  napi_adjust_external_memory(env, kEndpointBytes, &total);
  return NewHandle(env, endpoint.release(), kEndpointTag, FreeEndpoint);
}

void Fail(Endpoint* endpoint, int error) {
  if (error == SSL_ERROR_ZERO_RETURN) {
    endpoint->state = State::kClosedByPeer;
    return;
  }
  endpoint->state = State::kFailed;
  endpoint->failure = ReasonOr("the handshake failed");
}

void Advance(Endpoint* endpoint) {
  ERR_clear_error();
  if (endpoint->state == State::kHandshaking) {
    const int result = SSL_do_handshake(endpoint->ssl);
    const int error = result == 1 ? 0 : SSL_get_error(endpoint->ssl, result);
    if (result == 1) {
      endpoint->state = State::kConnected;
    } else if (error != SSL_ERROR_WANT_READ) {
      Fail(endpoint, error);
    }
  }
  // Alerts, and repeated messages that OpenSSL answers. Ends with the datagram: each record takes some of it.
  while (endpoint->state == State::kConnected) {
    uint8_t ignored[4096];
    const int result = SSL_read(endpoint->ssl, ignored, sizeof ignored);
    const int error = result > 0 ? 0 : SSL_get_error(endpoint->ssl, result);
    if (error == SSL_ERROR_WANT_READ) {
      break;
    }
    if (result <= 0) {
      Fail(endpoint, error);
    }
  }
  ERR_clear_error();
}

// An alert that ends it ends it as OpenSSL would; anything else is ignored.
void TakeAlert(Endpoint* endpoint, const Exchange& exchange) {
  Alert alert;
  if (endpoint->state != State::kConnected || !exchange.has_in || !endpoint->alerts->Find(exchange.in, exchange.in_bytes, &alert)) {
    return;
  }
  if (alert.severity == kAlertWarning && alert.description == kAlertCloseNotify) {
    endpoint->state = State::kClosedByPeer;
  } else if (alert.severity == kAlertFatal) {
    const char* reason = ERR_reason_error_string(ERR_LIB_SSL_SHIFTED | (SSL_AD_REASON_OFFSET + alert.description));
    endpoint->state = State::kFailed;
    endpoint->failure = reason == nullptr ? "the peer gave up" : reason;
  }
}

bool SetDatagrams(napi_env env, napi_value object, const Exchange& exchange) {
  napi_value list;
  if (napi_create_array_with_length(env, exchange.out_count, &list) != napi_ok) {
    return false;
  }
  for (size_t index = 0; index < exchange.out_count; index += 1) {
    napi_value datagram;
    if (napi_create_buffer_copy(env, exchange.out_bytes[index], exchange.out[index], nullptr, &datagram) != napi_ok ||
        napi_set_element(env, list, static_cast<uint32_t>(index), datagram) != napi_ok) {
      return false;
    }
  }
  return napi_set_named_property(env, object, "outgoing", list) == napi_ok;
}

napi_value Outcome(napi_env env, const Endpoint& endpoint, const Exchange& exchange) {
  const napi_value outcome = Numbers(env, {{"state", static_cast<double>(endpoint.state)}});
  napi_value failure;
  if (outcome == nullptr || !SetDatagrams(env, outcome, exchange)) {
    return nullptr;
  }
  if (endpoint.failure != nullptr && (napi_create_string_utf8(env, endpoint.failure, NAPI_AUTO_LENGTH, &failure) != napi_ok ||
                                      napi_set_named_property(env, outcome, "failure", failure) != napi_ok)) {
    return nullptr;
  }
  return outcome;
}

// Lets OpenSSL work on `datagram`, or begin when there is none.
napi_value Step(napi_env env, Endpoint* endpoint, const Bytes* datagram) {
  Exchange exchange;
  if (datagram != nullptr) {
    exchange.in = datagram->data;
    exchange.in_bytes = datagram->size;
    exchange.has_in = datagram->size > 0;
  }
  if (endpoint->ssl == nullptr) {
    TakeAlert(endpoint, exchange);
    return Outcome(env, *endpoint, exchange);
  }
  endpoint->exchange = &exchange;
  Advance(endpoint);
  endpoint->exchange = nullptr;
  return Outcome(env, *endpoint, exchange);
}

// start(handshake): a client's first flight.
napi_value Start(napi_env env, napi_callback_info info) {
  napi_value values[1];
  Endpoint* endpoint = ReadUnsettled(env, info, 1, values);
  return endpoint == nullptr ? nullptr : Step(env, endpoint, nullptr);
}

// take(handshake, datagram)
napi_value Take(napi_env env, napi_callback_info info) {
  napi_value values[2];
  Bytes datagram;
  Endpoint* endpoint = ReadHandshake(env, info, 2, values);
  if (endpoint == nullptr || !ReadBytes(env, values[1], "datagram", &datagram)) {
    return nullptr;
  }
  return Step(env, endpoint, &datagram);
}

// profile(handshake): the SRTP protection profile that was agreed on, 0: none.
napi_value Profile(napi_env env, napi_callback_info info) {
  napi_value values[1];
  Endpoint* endpoint = ReadUnsettled(env, info, 1, values);
  if (endpoint == nullptr) {
    return nullptr;
  }
  const SRTP_PROTECTION_PROFILE* profile = SSL_get_selected_srtp_profile(endpoint->ssl);
  return Number(env, profile == nullptr ? 0 : static_cast<double>(profile->id));
}

// exportKeys(handshake, bytes): client's and server's keys, then their salts.
napi_value ExportKeys(napi_env env, napi_callback_info info) {
  napi_value values[2], keys;
  uint32_t bytes = 0;
  void* out = nullptr;
  Endpoint* endpoint = ReadUnsettled(env, info, 2, values);
  if (endpoint == nullptr || !ReadUint32(env, values[1], "bytes", &bytes)) {
    return nullptr;
  }
  if (bytes == 0 || bytes > kKeyingMaterialMaxBytes) {
    ThrowRange(env, "bytes: expected 1 to 256");
    return nullptr;
  }
  if (endpoint->state != State::kConnected) {
    ThrowType(env, "handshake: it is not done");
    return nullptr;
  }
  if (napi_create_buffer(env, bytes, &out, &keys) != napi_ok) {
    return nullptr;
  }
  ERR_clear_error();
  if (SSL_export_keying_material(endpoint->ssl, static_cast<unsigned char*>(out), bytes, kLabel, sizeof kLabel - 1, nullptr, 0, 0) != 1) {
    Throw(env, "the keys cannot be derived");
    return nullptr;
  }
  return keys;
}

// peerCertificate(handshake): its DER, or undefined.
napi_value PeerCertificate(napi_env env, napi_callback_info info) {
  napi_value values[1], der = nullptr;
  Endpoint* endpoint = ReadUnsettled(env, info, 1, values);
  if (endpoint == nullptr) {
    return nullptr;
  }
  X509* certificate = SSL_get1_peer_certificate(endpoint->ssl);
  const int bytes = certificate == nullptr ? 0 : i2d_X509(certificate, nullptr);
  void* out = nullptr;
  if (bytes > 0 && napi_create_buffer(env, static_cast<size_t>(bytes), &out, &der) == napi_ok) {
    auto* end = static_cast<unsigned char*>(out);
    i2d_X509(certificate, &end);
  }
  X509_free(certificate);
  return der;
}

// settle(handshake): the keys are out, and all that OpenSSL keeps for more than alerts goes. Where the cipher is not one that is spoken here nothing changes.
napi_value Settle(napi_env env, napi_callback_info info) {
  napi_value values[1];
  Endpoint* endpoint = ReadHandshake(env, info, 1, values);
  if (endpoint == nullptr) {
    return nullptr;
  }
  if (endpoint->state != State::kConnected) {
    ThrowType(env, "handshake: it is not done");
    return nullptr;
  }
  std::unique_ptr<DtlsAlerts> alerts = endpoint->ssl == nullptr ? nullptr : DtlsAlerts::From(endpoint->ssl, endpoint->is_server, endpoint->sent);
  ERR_clear_error();
  if (alerts != nullptr) {
    Release(env, endpoint);
    endpoint->alerts = std::move(alerts);
  }
  return nullptr;
}

// close(handshake): the datagrams that tell the peer. Closing again does nothing.
napi_value Close(napi_env env, napi_callback_info info) {
  napi_value values[1];
  Endpoint* endpoint = ReadArguments(env, info, 1, values) ? UnwrapEndpoint(env, values[0]) : nullptr;
  if (endpoint == nullptr) {
    return nullptr;
  }
  Exchange exchange;
  if (endpoint->alerts != nullptr) {
    if (endpoint->state == State::kConnected && endpoint->alerts->WriteGoodbye(exchange.out[0])) {
      exchange.out_bytes[0] = DtlsAlerts::kGoodbyeBytes;
      exchange.out_count = 1;
    }
    ERR_clear_error();
    Release(env, endpoint);
  } else if (endpoint->ssl != nullptr) {
    endpoint->exchange = &exchange;
    if (endpoint->state == State::kConnected) {
      SSL_shutdown(endpoint->ssl);
      ERR_clear_error();
    }
    endpoint->exchange = nullptr;
    Release(env, endpoint);
  }
  return Outcome(env, *endpoint, exchange);
}

}  // namespace

bool InitDtls(napi_env env, napi_value exports) {
  const napi_value part = ExportPart(env, exports, "dtls");
  return part != nullptr && ExportFunctions(env, part,
                                            {{"createContext", CreateContext},
                                             {"open", Open},
                                             {"start", Start},
                                             {"take", Take},
                                             {"profile", Profile},
                                             {"exportKeys", ExportKeys},
                                             {"peerCertificate", PeerCertificate},
                                             {"settle", Settle},
                                             {"close", Close}});
}

}  // namespace sluice
