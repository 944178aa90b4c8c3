// What is left to say once the keys are out: alerts, under AES-128-GCM (RFC 5246 6.2.3.3, RFC 5288, RFC 6347 4.1), without the SSL object of some 90 kB that shook hands.
//
//     record     content type 1 | version 2 | epoch 2 | sequence number 6 | length 2 | explicit nonce 8 | encrypted | tag 16
//     alert      severity 1 | description 1
#ifndef SLUICE_DTLS_ALERTS_H
#define SLUICE_DTLS_ALERTS_H

#include <cstddef>
#include <cstdint>
#include <memory>

#include "dtls-openssl.h"
#include "gcm.h"

namespace sluice {

// What the encrypted records that left had in their headers: no number and no nonce may be used twice under one key.
struct SentRecords {
  uint64_t last_sequence = 0;
  uint64_t last_nonce = 0;
  bool has_any = false;

  // One datagram, as it leaves.
  void Note(const uint8_t* datagram, size_t bytes);
};

// RFC 5246 7.2.
constexpr uint8_t kAlertWarning = 1;
constexpr uint8_t kAlertFatal = 2;
constexpr uint8_t kAlertCloseNotify = 0;

struct Alert {
  uint8_t severity;
  uint8_t description;
};

class DtlsAlerts {
 public:
  static constexpr size_t kGoodbyeBytes = 39;

  // Undefined where the cipher agreed on is another one, or OpenSSL will not say its keys: then the SSL object must stay.
  static std::unique_ptr<DtlsAlerts> From(SSL* ssl, bool is_server, const SentRecords& sent);
  ~DtlsAlerts();
  DtlsAlerts(const DtlsAlerts&) = delete;
  DtlsAlerts& operator=(const DtlsAlerts&) = delete;

  // The first genuine alert in this datagram. False: there is none.
  bool Find(const uint8_t* datagram, size_t bytes, Alert* alert) const;

  // `close_notify`, each time under a new number. False: OpenSSL failed.
  bool WriteGoodbye(uint8_t out[kGoodbyeBytes]);

 private:
  static constexpr size_t kImplicitNonceBytes = 4;
  struct Key {
    uint8_t key[kGcmKeyBytes];
    uint8_t nonce[kImplicitNonceBytes];
  };

  DtlsAlerts() = default;
  bool Open(const uint8_t* record, Alert* alert) const;

  Key local_;
  Key remote_;
  uint64_t sequence_ = 0;
  uint64_t nonce_ = 0;
};

}  // namespace sluice

#endif
