#include "dtls-alerts.h"

#include <cstring>

#include "big-endian.h"

namespace sluice {
namespace {

constexpr size_t kRecordHeadBytes = 13;
constexpr size_t kExplicitNonceBytes = 8;
constexpr size_t kAlertBytes = 2;
constexpr size_t kAlertBodyBytes = kExplicitNonceBytes + kAlertBytes + kGcmTagBytes;
constexpr uint8_t kContentAlert = 21;
// Epochs count changes of ciphers: nothing renegotiates, so there is one.
constexpr uint16_t kEpoch = 1;
constexpr uint64_t kSequenceMax = (uint64_t{1} << 48) - 1;
// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, which every browser agrees on.
constexpr uint16_t kCipherId = 0xc02b;
constexpr size_t kMasterBytes = 48;
constexpr size_t kRandomBytes = 32;
constexpr size_t kHashBytes = 32;
constexpr char kLabel[] = "key expansion";
constexpr size_t kLabelBytes = sizeof kLabel - 1;
constexpr size_t kSeedBytes = kLabelBytes + 2 * kRandomBytes;

// Calls `visit` with each whole record, until it says that it has enough.
template <typename Visit>
bool AnyRecord(const uint8_t* datagram, size_t bytes, Visit visit) {
  size_t at = 0;
  while (bytes - at >= kRecordHeadBytes) {
    const size_t record_bytes = kRecordHeadBytes + static_cast<size_t>(Get(datagram + at + 11, 2));
    if (record_bytes > bytes - at) {
      return false;
    }
    if (visit(datagram + at, record_bytes)) {
      return true;
    }
    at += record_bytes;
  }
  return false;
}

bool IsEncrypted(const uint8_t* record, size_t bytes) {
  return Get(record + 3, 2) == kEpoch && bytes >= kRecordHeadBytes + kExplicitNonceBytes;
}

// What is authenticated beside an alert: epoch and sequence number, type, version, length in clear.
void WriteHead(const uint8_t* record, uint8_t head[kRecordHeadBytes]) {
  std::memcpy(head, record + 3, 8);
  std::memcpy(head + 8, record, 3);
  Put(head + 11, 2, kAlertBytes);
}

// RFC 5288 3: the key's part and the record's own; SRTP's salt has no part in it.
constexpr uint8_t kNoSalt[kGcmSaltBytes] = {0};

void WriteNonce(const uint8_t* record, const uint8_t* implicit, uint8_t nonce[kGcmNonceBytes]) {
  constexpr size_t kImplicitBytes = kGcmNonceBytes - kExplicitNonceBytes;
  std::memcpy(nonce, implicit, kImplicitBytes);
  std::memcpy(nonce + kImplicitBytes, record + kRecordHeadBytes, kExplicitNonceBytes);
}

bool Hmac(const uint8_t* secret, const uint8_t* text, size_t bytes, uint8_t out[kHashBytes]) {
  return HMAC(EVP_sha256(), secret, static_cast<int>(kMasterBytes), text, bytes, out, nullptr) != nullptr;
}

// RFC 5246 5: as many blocks as fit into `out`, whose size is a multiple of theirs.
bool Expand(const uint8_t* secret, const uint8_t seed[kSeedBytes], uint8_t* out, size_t bytes) {
  uint8_t chained[kHashBytes + kSeedBytes];
  std::memcpy(chained + kHashBytes, seed, kSeedBytes);
  bool is_done = Hmac(secret, seed, kSeedBytes, chained);
  for (size_t at = 0; at < bytes && is_done; at += kHashBytes) {
    uint8_t next[kHashBytes];
    is_done = Hmac(secret, chained, sizeof chained, out + at) && Hmac(secret, chained, kHashBytes, next);
    std::memcpy(chained, next, sizeof next);
  }
  return is_done;
}

}  // namespace

void SentRecords::Note(const uint8_t* datagram, size_t bytes) {
  AnyRecord(datagram, bytes, [this](const uint8_t* record, size_t record_bytes) {
    if (IsEncrypted(record, record_bytes)) {
      last_sequence = Get(record + 5, 6);
      last_nonce = Get(record + kRecordHeadBytes, kExplicitNonceBytes);
      has_any = true;
    }
    return false;
  });
}

std::unique_ptr<DtlsAlerts> DtlsAlerts::From(SSL* ssl, bool is_server, const SentRecords& sent) {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  const SSL_SESSION* session = SSL_get_session(ssl);
  uint8_t master[kMasterBytes];
  uint8_t seed[kSeedBytes];
  // Key block: keys of the client and the server, then their nonces; two blocks hold it.
  uint8_t block[2 * kHashBytes];
  if (!sent.has_any || cipher == nullptr || session == nullptr || SSL_CIPHER_get_protocol_id(cipher) != kCipherId ||
      SSL_SESSION_get_master_key(session, master, sizeof master) != kMasterBytes) {
    return nullptr;
  }
  std::memcpy(seed, kLabel, kLabelBytes);
  const bool is_known = SSL_get_server_random(ssl, seed + kLabelBytes, kRandomBytes) == kRandomBytes &&
                        SSL_get_client_random(ssl, seed + kLabelBytes + kRandomBytes, kRandomBytes) == kRandomBytes &&
                        Expand(master, seed, block, sizeof block);
  std::unique_ptr<DtlsAlerts> alerts(is_known ? new DtlsAlerts() : nullptr);
  if (alerts != nullptr) {
    Key& client = is_server ? alerts->remote_ : alerts->local_;
    Key& server = is_server ? alerts->local_ : alerts->remote_;
    std::memcpy(client.key, block, kGcmKeyBytes);
    std::memcpy(server.key, block + kGcmKeyBytes, kGcmKeyBytes);
    std::memcpy(client.nonce, block + 2 * kGcmKeyBytes, kImplicitNonceBytes);
    std::memcpy(server.nonce, block + 2 * kGcmKeyBytes + kImplicitNonceBytes, kImplicitNonceBytes);
    alerts->sequence_ = sent.last_sequence;
    alerts->nonce_ = sent.last_nonce;
  }
  OPENSSL_cleanse(master, sizeof master);
  OPENSSL_cleanse(block, sizeof block);
  return alerts;
}

DtlsAlerts::~DtlsAlerts() {
  OPENSSL_cleanse(&local_, sizeof local_);
  OPENSSL_cleanse(&remote_, sizeof remote_);
}

bool DtlsAlerts::Find(const uint8_t* datagram, size_t bytes, Alert* alert) const {
  return AnyRecord(datagram, bytes, [this, alert](const uint8_t* record, size_t record_bytes) {
    return record[0] == kContentAlert && record_bytes == kRecordHeadBytes + kAlertBodyBytes && IsEncrypted(record, record_bytes) &&
           Open(record, alert);
  });
}

bool DtlsAlerts::Open(const uint8_t* record, Alert* alert) const {
  uint8_t head[kRecordHeadBytes], nonce[kGcmNonceBytes], clear[kAlertBytes];
  WriteHead(record, head);
  WriteNonce(record, remote_.nonce, nonce);
  // Alerts are few: a cipher of its own for each costs less than one that is kept.
  GcmKey gcm(GcmKey::Direction::kOpen, remote_.key, kNoSalt);
  if (!gcm.is_ready() ||
      !gcm.Open(nonce, head, sizeof head, record + kRecordHeadBytes + kExplicitNonceBytes, kAlertBytes, clear)) {
    return false;
  }
  *alert = {clear[0], clear[1]};
  return true;
}

bool DtlsAlerts::WriteGoodbye(uint8_t out[kGoodbyeBytes]) {
  static_assert(kGoodbyeBytes == kRecordHeadBytes + kAlertBodyBytes, "a record with one alert");
  if (sequence_ >= kSequenceMax) {
    return false;
  }
  sequence_ += 1;
  nonce_ += 1;
  const uint8_t clear[kAlertBytes] = {kAlertWarning, kAlertCloseNotify};
  out[0] = kContentAlert;
  Put(out + 1, 2, DTLS1_2_VERSION);
  Put(out + 3, 2, kEpoch);
  Put(out + 5, 6, sequence_);
  Put(out + 11, 2, kAlertBodyBytes);
  Put(out + kRecordHeadBytes, kExplicitNonceBytes, nonce_);
  uint8_t head[kRecordHeadBytes], nonce[kGcmNonceBytes];
  WriteHead(out, head);
  WriteNonce(out, local_.nonce, nonce);
  GcmKey gcm(GcmKey::Direction::kSeal, local_.key, kNoSalt);
  return gcm.is_ready() &&
         gcm.Seal(nonce, head, sizeof head, clear, sizeof clear, out + kRecordHeadBytes + kExplicitNonceBytes);
}

}  // namespace sluice
