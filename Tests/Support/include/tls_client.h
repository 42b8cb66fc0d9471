// SPDX-License-Identifier: Apache-2.0
//
// A TLS client over libssl for tests: no network, no checks of its own beyond libssl's. Bytes for the server are taken from it, and
// those of the server are given to it.

#ifndef PKI_TLS_CLIENT_H
#define PKI_TLS_CLIENT_H

#include <stddef.h>

typedef struct tls_client tls_client;

// The certificate that it trusts in PEM, the versions of TLS (0x0303 is 1.2), and the protocols to offer in the form of ALPN.
tls_client *tls_client_new(const char *trusted, int minimum, int maximum, const char *protocols);
void tls_client_free(tls_client *client);

// Gives it a certificate and its key, in PEM. Returns 1 if it can use them.
int tls_client_identify(tls_client *client, const char *certificate, const char *key);

// Ciphertext from and for the server.
void tls_client_receive(tls_client *client, const void *bytes, size_t count);
int tls_client_take(tls_client *client, void *bytes, int size);

// 1: done. 0: more of the server's bytes are needed. -1: failed.
int tls_client_handshake(tls_client *client);

// The number of bytes; 0: more of the server's bytes are needed. -1: failed. -2: the server said that it sends no more.
int tls_client_read(tls_client *client, void *bytes, int size);
int tls_client_write(tls_client *client, const void *bytes, int count);

// Says that it sends no more.
void tls_client_close(tls_client *client);

// Asks for new keys: by a new handshake, or in TLS 1.3 by a message that asks the server for its own, too. Returns 1 if it can.
int tls_client_renegotiate(tls_client *client);
int tls_client_update_keys(tls_client *client);

// The last alert of the server: its description (RFC 8446, 6), or -1.
int tls_client_alert(const tls_client *client);

// The number of bytes of the protocol that the server chose.
unsigned tls_client_protocol(const tls_client *client, const unsigned char **name);

#endif
