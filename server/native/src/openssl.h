// The few functions of OpenSSL's EVP that the media path calls. They resolve from the Node binary, which exports them; nothing is linked and
// OpenSSL's headers need not be there. Their signatures are part of its stable interface since 1.1; a Node without one of them refuses to load
// the addon (it is linked with -z now), and the plain path is used.
#ifndef SLUICE_OPENSSL_H
#define SLUICE_OPENSSL_H

extern "C" {
struct evp_cipher_st;
struct evp_cipher_ctx_st;
struct engine_st;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;

EVP_CIPHER_CTX* EVP_CIPHER_CTX_new(void);
void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX* context);
int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX* context, int type, int number, void* pointer);
const EVP_CIPHER* EVP_aes_128_gcm(void);
int EVP_EncryptInit_ex(EVP_CIPHER_CTX* context, const EVP_CIPHER* type, struct engine_st* engine, const unsigned char* key, const unsigned char* iv);
int EVP_EncryptUpdate(EVP_CIPHER_CTX* context, unsigned char* out, int* out_bytes, const unsigned char* in, int in_bytes);
int EVP_EncryptFinal_ex(EVP_CIPHER_CTX* context, unsigned char* out, int* out_bytes);
int EVP_DecryptInit_ex(EVP_CIPHER_CTX* context, const EVP_CIPHER* type, struct engine_st* engine, const unsigned char* key, const unsigned char* iv);
int EVP_DecryptUpdate(EVP_CIPHER_CTX* context, unsigned char* out, int* out_bytes, const unsigned char* in, int in_bytes);
int EVP_DecryptFinal_ex(EVP_CIPHER_CTX* context, unsigned char* out, int* out_bytes);
}

constexpr int EVP_CTRL_AEAD_GET_TAG = 0x10;
constexpr int EVP_CTRL_AEAD_SET_TAG = 0x11;

#endif
