// The functions of OpenSSL that the handshake calls, as its headers declare them: see openssl.h, which says why they are not included.
// Names and numbers of macros are OpenSSL 3's; they are part of its stable interface.
#ifndef SLUICE_DTLS_OPENSSL_H
#define SLUICE_DTLS_OPENSSL_H

#include <cstddef>
#include <cstdint>

extern "C" {
typedef struct bio_st BIO;
typedef struct bio_method_st BIO_METHOD;
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_method_st SSL_METHOD;
typedef struct ssl_cipher_st SSL_CIPHER;
typedef struct ssl_session_st SSL_SESSION;
typedef struct evp_md_st EVP_MD;
typedef struct x509_st X509;
typedef struct x509_store_ctx_st X509_STORE_CTX;
typedef struct srtp_protection_profile_st {
  const char* name;
  unsigned long id;
} SRTP_PROTECTION_PROFILE;

BIO_METHOD* BIO_meth_new(int type, const char* name);
int BIO_meth_set_write(BIO_METHOD* method, int (*write)(BIO*, const char*, int));
int BIO_meth_set_read(BIO_METHOD* method, int (*read)(BIO*, char*, int));
int BIO_meth_set_ctrl(BIO_METHOD* method, long (*ctrl)(BIO*, int, long, void*));
int BIO_get_new_index(void);
BIO* BIO_new(const BIO_METHOD* method);
void BIO_set_data(BIO* bio, void* data);
void* BIO_get_data(BIO* bio);
void BIO_set_init(BIO* bio, int init);
void BIO_set_flags(BIO* bio, int flags);
void BIO_clear_flags(BIO* bio, int flags);

const SSL_METHOD* DTLS_method(void);
SSL_CTX* SSL_CTX_new(const SSL_METHOD* method);
void SSL_CTX_free(SSL_CTX* context);
long SSL_CTX_ctrl(SSL_CTX* context, int command, long number, void* pointer);
uint64_t SSL_CTX_set_options(SSL_CTX* context, uint64_t options);
int SSL_CTX_set_cipher_list(SSL_CTX* context, const char* names);
int SSL_CTX_set_tlsext_use_srtp(SSL_CTX* context, const char* profiles);
void SSL_CTX_set_verify(SSL_CTX* context, int mode, int (*verify)(int, X509_STORE_CTX*));
void SSL_CTX_set_cert_verify_callback(SSL_CTX* context, int (*verify)(X509_STORE_CTX*, void*), void* data);
int SSL_CTX_use_certificate_ASN1(SSL_CTX* context, int bytes, const unsigned char* der);
int SSL_CTX_use_PrivateKey_ASN1(int type, SSL_CTX* context, const unsigned char* der, long bytes);
int SSL_CTX_check_private_key(const SSL_CTX* context);
SSL* SSL_new(SSL_CTX* context);
void SSL_free(SSL* ssl);
long SSL_ctrl(SSL* ssl, int command, long number, void* pointer);
void SSL_set_bio(SSL* ssl, BIO* read, BIO* write);
void SSL_set_accept_state(SSL* ssl);
void SSL_set_connect_state(SSL* ssl);
void DTLS_set_timer_cb(SSL* ssl, unsigned int (*timer)(SSL*, unsigned int));
int SSL_do_handshake(SSL* ssl);
int SSL_read(SSL* ssl, void* out, int bytes);
int SSL_shutdown(SSL* ssl);
int SSL_get_error(const SSL* ssl, int result);
X509* SSL_get1_peer_certificate(const SSL* ssl);
SRTP_PROTECTION_PROFILE* SSL_get_selected_srtp_profile(SSL* ssl);
int SSL_export_keying_material(SSL* ssl, unsigned char* out, size_t out_bytes, const char* label, size_t label_bytes,
                               const unsigned char* context, size_t context_bytes, int has_context);
const SSL_CIPHER* SSL_get_current_cipher(const SSL* ssl);
uint16_t SSL_CIPHER_get_protocol_id(const SSL_CIPHER* cipher);
SSL_SESSION* SSL_get_session(const SSL* ssl);
size_t SSL_SESSION_get_master_key(const SSL_SESSION* session, unsigned char* out, size_t out_bytes);
size_t SSL_get_client_random(const SSL* ssl, unsigned char* out, size_t out_bytes);
size_t SSL_get_server_random(const SSL* ssl, unsigned char* out, size_t out_bytes);
const EVP_MD* EVP_sha256(void);
unsigned char* HMAC(const EVP_MD* hash, const void* key, int key_bytes, const unsigned char* text, size_t text_bytes, unsigned char* out,
                    unsigned int* out_bytes);
void OPENSSL_cleanse(void* at, size_t bytes);
int i2d_X509(const X509* certificate, unsigned char** out);
void X509_free(X509* certificate);
void ERR_clear_error(void);
unsigned long ERR_peek_error(void);
const char* ERR_reason_error_string(unsigned long code);
}

constexpr int BIO_TYPE_SOURCE_SINK = 0x0400;
constexpr int BIO_FLAGS_READ = 0x01;
constexpr int BIO_FLAGS_RWS = 0x07;
constexpr int BIO_FLAGS_SHOULD_RETRY = 0x08;
constexpr int BIO_CTRL_FLUSH = 11;
constexpr int BIO_CTRL_DGRAM_QUERY_MTU = 40;
constexpr int BIO_CTRL_DGRAM_GET_FALLBACK_MTU = 47;

constexpr int SSL_CTRL_SET_MTU = 17;
constexpr int SSL_CTRL_MODE = 33;
constexpr int SSL_CTRL_SET_SESS_CACHE_MODE = 44;
constexpr int SSL_CTRL_SET_MAX_CERT_LIST = 51;
constexpr int SSL_CTRL_SET_GROUPS_LIST = 92;
constexpr int SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
constexpr int DTLS1_2_VERSION = 0xfefd;
constexpr int SSL_MODE_RELEASE_BUFFERS = 0x10;
constexpr int SSL_SESS_CACHE_OFF = 0;
constexpr int SSL_VERIFY_PEER = 1;
constexpr int SSL_ERROR_WANT_READ = 2;
constexpr int SSL_ERROR_ZERO_RETURN = 6;
constexpr uint64_t SSL_OP_NO_QUERY_MTU = uint64_t{1} << 12;
constexpr uint64_t SSL_OP_NO_TICKET = uint64_t{1} << 14;
constexpr uint64_t SSL_OP_CIPHER_SERVER_PREFERENCE = uint64_t{1} << 22;
constexpr uint64_t SSL_OP_NO_RENEGOTIATION = uint64_t{1} << 30;
constexpr int EVP_PKEY_EC = 408;
// Reasons for a peer's fatal alerts are its numbers above this one; the library's number stands 23 bits up.
constexpr unsigned long SSL_AD_REASON_OFFSET = 1000;
constexpr unsigned long ERR_LIB_SSL_SHIFTED = 20ul << 23;

#endif
