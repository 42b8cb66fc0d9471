// SPDX-License-Identifier: Apache-2.0

#include "tls_client.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

struct tls_client {
    SSL *ssl;
    int alert;
};

static void note_alert(const SSL *ssl, int where, int value) {
    tls_client *client = SSL_get_app_data(ssl);
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && client) client->alert = value & 0xff;
}

static X509 *read_certificate(const char *text) {
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

tls_client *tls_client_new(const char *trusted, int minimum, int maximum, const char *protocols) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    // Old versions have hashes that are too weak for the default level.
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, minimum);
    SSL_CTX_set_max_proto_version(context, maximum);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    X509 *certificate = read_certificate(trusted);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
    X509_free(certificate);
    if (protocols[0]) SSL_CTX_set_alpn_protos(context, (const unsigned char *)protocols, (unsigned)strlen(protocols));
    tls_client *client = calloc(1, sizeof *client);
    client->alert = -1;
    client->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_app_data(client->ssl, client);
    SSL_set_info_callback(client->ssl, note_alert);
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client->ssl);
    return client;
}

void tls_client_free(tls_client *client) {
    SSL_free(client->ssl);
    free(client);
    ERR_clear_error();
}

int tls_client_identify(tls_client *client, const char *certificate, const char *key) {
    X509 *own = read_certificate(certificate);
    BIO *bio = BIO_new_mem_buf(key, -1);
    EVP_PKEY *pair = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    int status = SSL_use_cert_and_key(client->ssl, own, pair, NULL, 1);
    BIO_free(bio);
    EVP_PKEY_free(pair);
    X509_free(own);
    return status;
}

void tls_client_receive(tls_client *client, const void *bytes, size_t count) {
    BIO_write(SSL_get_rbio(client->ssl), bytes, (int)count);
}

int tls_client_take(tls_client *client, void *bytes, int size) {
    int count = BIO_read(SSL_get_wbio(client->ssl), bytes, size);
    return count > 0 ? count : 0;
}

static int outcome(tls_client *client, int status) {
    int error = SSL_get_error(client->ssl, status);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ ? 0 : error == SSL_ERROR_ZERO_RETURN ? -2 : -1;
}

int tls_client_handshake(tls_client *client) {
    ERR_clear_error();
    int status = SSL_do_handshake(client->ssl);
    return status == 1 ? 1 : outcome(client, status);
}

int tls_client_read(tls_client *client, void *bytes, int size) {
    ERR_clear_error();
    int status = SSL_read(client->ssl, bytes, size);
    return status > 0 ? status : outcome(client, status);
}

int tls_client_write(tls_client *client, const void *bytes, int count) {
    ERR_clear_error();
    int status = SSL_write(client->ssl, bytes, count);
    return status > 0 ? status : outcome(client, status);
}

void tls_client_close(tls_client *client) {
    ERR_clear_error();
    SSL_shutdown(client->ssl);
    ERR_clear_error();
}

int tls_client_renegotiate(tls_client *client) { return SSL_renegotiate(client->ssl); }

int tls_client_update_keys(tls_client *client) {
    return SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(client->ssl) == 1;
}

int tls_client_alert(const tls_client *client) { return client->alert; }

unsigned tls_client_protocol(const tls_client *client, const unsigned char **name) {
    unsigned count = 0;
    SSL_get0_alpn_selected(client->ssl, name, &count);
    return count;
}
