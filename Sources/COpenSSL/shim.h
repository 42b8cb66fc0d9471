// SPDX-License-Identifier: Apache-2.0
//
// libcrypto as Swift sees it: the headers, and a static inline call for each thing that Swift cannot reach by itself.
// Every call bears the name of the original after `pki_`. There is no logic here.

#ifndef PKI_COPENSSL_SHIM_H
#define PKI_COPENSSL_SHIM_H

// OpenSSL's macros pass no path of this file on to its memory functions.
#define OPENSSL_NO_FILENAMES

// The size of what malloc gave, which wiping needs.
#include <malloc.h>

// PR_SET_DUMPABLE, which keeps keys in memory from other processes.
#include <sys/prctl.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

// Macro with file and line.
static inline void pki_OPENSSL_free(void *memory) { OPENSSL_free(memory); }

// Variadic.
static inline int pki_prctl(int option, unsigned long value) { return prctl(option, value, 0, 0, 0); }

// Macro over BIO_ctrl.
static inline long pki_BIO_get_mem_data(BIO *bio, char **data) { return BIO_get_mem_data(bio, data); }

// Macros over the untyped stack.
static inline int pki_sk_CONF_VALUE_num(const STACK_OF(CONF_VALUE) *stack) { return sk_CONF_VALUE_num(stack); }

// Macro over the untyped stack.
static inline CONF_VALUE *pki_sk_CONF_VALUE_value(const STACK_OF(CONF_VALUE) *stack, int index) {
    return sk_CONF_VALUE_value(stack, index);
}

// Macro over the untyped stack.
static inline int pki_sk_GENERAL_NAME_num(const GENERAL_NAMES *stack) { return sk_GENERAL_NAME_num(stack); }

// Macro over the untyped stack.
static inline GENERAL_NAME *pki_sk_GENERAL_NAME_value(const GENERAL_NAMES *stack, int index) {
    return sk_GENERAL_NAME_value(stack, index);
}

// Macro over the untyped stack.
static inline int pki_sk_X509_EXTENSION_num(const X509_EXTENSIONS *stack) { return sk_X509_EXTENSION_num(stack); }

// Macro over the untyped stack.
static inline X509_EXTENSION *pki_sk_X509_EXTENSION_value(const X509_EXTENSIONS *stack, int index) {
    return sk_X509_EXTENSION_value(stack, index);
}

// Macro over the untyped stack.
static inline void pki_sk_X509_EXTENSION_pop_free(X509_EXTENSIONS *stack) {
    sk_X509_EXTENSION_pop_free(stack, X509_EXTENSION_free);
}

// Macro over the untyped stack.
static inline int pki_sk_ASN1_OBJECT_num(const EXTENDED_KEY_USAGE *stack) { return sk_ASN1_OBJECT_num(stack); }

// Macro over the untyped stack.
static inline ASN1_OBJECT *pki_sk_ASN1_OBJECT_value(const EXTENDED_KEY_USAGE *stack, int index) {
    return sk_ASN1_OBJECT_value(stack, index);
}

// Macro over the untyped stack.
static inline STACK_OF(X509) *pki_sk_X509_new_null(void) { return sk_X509_new_null(); }

// Macro over the untyped stack. Takes a reference of its own, as the `add1` calls do.
static inline int pki_sk_X509_push1(STACK_OF(X509) *stack, X509 *certificate) {
    return X509_add_cert(stack, certificate, X509_ADD_FLAG_UP_REF);
}

// Macro over the untyped stack.
static inline int pki_sk_X509_num(const STACK_OF(X509) *stack) { return sk_X509_num(stack); }

// Macro over the untyped stack.
static inline X509 *pki_sk_X509_value(const STACK_OF(X509) *stack, int index) { return sk_X509_value(stack, index); }

// Macro over the untyped stack.
static inline void pki_sk_X509_pop_free(STACK_OF(X509) *stack) { sk_X509_pop_free(stack, X509_free); }

// Macro over the untyped stack.
static inline int pki_sk_X509_REVOKED_num(const STACK_OF(X509_REVOKED) *stack) { return sk_X509_REVOKED_num(stack); }

// Macro over the untyped stack.
static inline X509_REVOKED *pki_sk_X509_REVOKED_value(const STACK_OF(X509_REVOKED) *stack, int index) {
    return sk_X509_REVOKED_value(stack, index);
}

// Macro over the untyped stack.
static inline int pki_sk_X509_CRL_num(const STACK_OF(X509_CRL) *stack) { return sk_X509_CRL_num(stack); }

// Macro over the untyped stack.
static inline X509_CRL *pki_sk_X509_CRL_value(const STACK_OF(X509_CRL) *stack, int index) {
    return sk_X509_CRL_value(stack, index);
}

// Macro over the untyped stack.
static inline int pki_sk_PKCS7_num(const STACK_OF(PKCS7) *stack) { return sk_PKCS7_num(stack); }

// Macro over the untyped stack.
static inline PKCS7 *pki_sk_PKCS7_value(const STACK_OF(PKCS7) *stack, int index) { return sk_PKCS7_value(stack, index); }

// Macro over the untyped stack.
static inline void pki_sk_PKCS7_pop_free(STACK_OF(PKCS7) *stack) { sk_PKCS7_pop_free(stack, PKCS7_free); }

// Macro over the untyped stack.
static inline int pki_sk_PKCS12_SAFEBAG_num(const STACK_OF(PKCS12_SAFEBAG) *stack) {
    return sk_PKCS12_SAFEBAG_num(stack);
}

// Macro over the untyped stack.
static inline PKCS12_SAFEBAG *pki_sk_PKCS12_SAFEBAG_value(const STACK_OF(PKCS12_SAFEBAG) *stack, int index) {
    return sk_PKCS12_SAFEBAG_value(stack, index);
}

// Macro over the untyped stack.
static inline void pki_sk_PKCS12_SAFEBAG_pop_free(STACK_OF(PKCS12_SAFEBAG) *stack) {
    sk_PKCS12_SAFEBAG_pop_free(stack, PKCS12_SAFEBAG_free);
}

// Macro with an unsigned long constant that Swift does not import.
static inline unsigned long pki_name_flags_rfc4514(void) { return XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB; }

// libssl: macros over SSL_CTX_ctrl.
static inline long pki_SSL_CTX_set_min_proto_version(SSL_CTX *context, int version) {
    return SSL_CTX_set_min_proto_version(context, version);
}
static inline long pki_SSL_CTX_set_mode(SSL_CTX *context, long mode) { return SSL_CTX_set_mode(context, mode); }
static inline long pki_SSL_CTX_set_session_cache_mode(SSL_CTX *context, long mode) {
    return SSL_CTX_set_session_cache_mode(context, mode);
}

// libssl: macros that Swift does not import.
static inline uint64_t pki_SSL_OP_NO_RENEGOTIATION(void) { return SSL_OP_NO_RENEGOTIATION; }
static inline uint64_t pki_SSL_OP_NO_TICKET(void) { return SSL_OP_NO_TICKET; }

#endif
