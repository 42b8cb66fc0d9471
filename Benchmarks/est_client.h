// SPDX-License-Identifier: Apache-2.0
//
// A host that asks a CA's server over TLS, with a loopback address of its own, because the server limits an address; its
// request, and the certificate in an answer of EST.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = 65536 };

struct host {
    int number, port, socket;
    uint32_t address;
    SSL_CTX *settings;
    SSL *tls;
    EVP_PKEY *key;
    // What the host shows of itself.
    X509 *certificate;
    int length, size;
    char head[LARGEST], body[LARGEST];
    char nonce[512], account[512], thumbprint[64];
};

// The servers: a host has one of them.
static int ports[16], port_count;
// The key of every certificate: what making keys costs is not the server's.
static EVP_PKEY *certified;

static void fail(const char *what, const char *more) {
    fprintf(stderr, "%s: %s: %.600s\n", program_invocation_short_name, what, more);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

// PORT or PORT,PORT…
static void read_ports(char *text) {
    for (char *port = strtok(text, ","); port; port = strtok(NULL, ",")) {
        if (port_count == 16) fail("usage", "at most 16 servers");
        ports[port_count++] = atoi(port);
    }
}

static SSL_CTX *settings_for(const char *root) {
    SSL_CTX *settings = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(settings, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(settings, root, NULL) != 1) fail("the root", root);
    return settings;
}

// The connection

static void leave(struct host *host) {
    if (!host->tls) return;
    SSL_shutdown(host->tls);
    SSL_free(host->tls);
    close(host->socket);
    host->tls = NULL;
    ERR_clear_error();
}

// What became of a connection that is of no more use; returns 0, which is no status.
static int lose(struct host *host, const char *why) {
    snprintf(host->head, sizeof host->head, "%s: %s", why, errno ? strerror(errno) : "closed");
    leave(host);
    return 0;
}

static int enter(struct host *host) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host->address)};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(host->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    errno = 0;
    host->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(host->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(host->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    host->tls = SSL_new(host->settings);
    if (bind(host->socket, (struct sockaddr *)&own, sizeof own) ||
        connect(host->socket, (struct sockaddr *)&server, sizeof server))
        return lose(host, "connect");
    if (host->certificate) {
        SSL_use_certificate(host->tls, host->certificate);
        SSL_use_PrivateKey(host->tls, certified);
    }
    SSL_set_fd(host->tls, host->socket);
    SSL_set_tlsext_host_name(host->tls, "localhost");
    return SSL_connect(host->tls) == 1 ? 1 : lose(host, "handshake");
}

static const char *field(struct host *host, const char *name) {
    size_t length = strlen(name);
    for (char *line = strstr(host->head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':') {
            static _Thread_local char value[512];
            sscanf(line + 3 + length, " %511[^\r]", value);
            return value;
        }
    return NULL;
}

// Receives until the buffer of the body has so many bytes.
static int fill(struct host *host, int wanted) {
    while (host->size < wanted) {
        int got = SSL_read(host->tls, host->body + host->size, LARGEST - 1 - host->size);
        if (got <= 0) return lose(host, "the server closed a connection");
        host->size += got;
        host->body[host->size] = 0;
    }
    return 1;
}

// Sends a request and returns the status; header fields and the body are in the host. 0 if the connection was lost, and
// then the head says why.
static int ask(struct host *host, const char *method, const char *target, const char *fields, const char *body) {
    static _Thread_local char message[LARGEST];
    int length = snprintf(message, sizeof message, "%s %s HTTP/1.1\r\nHost: localhost:%d\r\n%sContent-Length: %zu\r\n\r\n%s",
                          method, target, host->port, fields, strlen(body), body);
    host->body[0] = host->head[0] = 0;
    if (!host->tls && !enter(host)) return 0;
    errno = 0;
    if (SSL_write(host->tls, message, length) != length) return lose(host, target);
    char *end;
    host->size = 0;
    for (; !(end = strstr(host->body, "\r\n\r\n"));)
        if (!fill(host, host->size + 1)) return 0;
    int head = end + 4 - host->body;
    memcpy(host->head, host->body, head);
    host->head[head] = 0;
    memmove(host->body, host->body + head, (host->size -= head) + 1);
    const char *value;
    host->length = 0;
    if (!strcmp(method, "HEAD")) {
    } else if ((value = field(host, "Content-Length"))) {
        if (!fill(host, host->length = atoi(value))) return 0;
    } else if ((value = field(host, "Transfer-Encoding"))) {
        for (int chunk = -1, at = 0; chunk != 0;) {
            while (!(end = strstr(host->body + at, "\r\n")))
                if (!fill(host, host->size + 1)) return 0;
            chunk = strtol(host->body + at, NULL, 16);
            int start = end + 2 - host->body;
            if (!fill(host, start + chunk + 2)) return 0;
            memmove(host->body + host->length, host->body + start, chunk);
            host->length += chunk;
            at = start + chunk + 2;
        }
    }
    host->body[host->length] = 0;
    if ((value = field(host, "Replay-Nonce"))) strcpy(host->nonce, value);
    return atoi(host->head + 9);
}

// What is made

// A request for a common name, unless it is null, and an alternative name such as DNS:host, unless that is.
static int request_for(const char *name, const char *alternative, unsigned char **out) {
    X509_REQ *request = X509_REQ_new();
    X509_NAME *subject = X509_NAME_new();
    if (name) X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_REQ_set_subject_name(request, subject);
    X509_REQ_set_pubkey(request, certified);
    if (alternative) {
        STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
        sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative));
        X509_REQ_add_extensions(request, extensions);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    }
    if (!X509_REQ_sign(request, certified, EVP_sha256())) fail("X509_REQ_sign", name ? name : alternative);
    *out = NULL;
    int size = i2d_X509_REQ(request, out);
    X509_NAME_free(subject);
    X509_REQ_free(request);
    return size;
}

// EST

// The body of a request for a name; the caller frees it.
static char *est_request(const char *name) {
    unsigned char *request;
    int size = request_for(name, NULL, &request);
    char *encoded = malloc(size * 4 / 3 + 5);
    EVP_EncodeBlock((unsigned char *)encoded, request, size);
    OPENSSL_free(request);
    return encoded;
}

// The header field that proves a token.
static char *basic_proof(const char *name, const char *password) {
    char proof[512], encoded[1024];
    char *line = malloc(2048);
    int length = snprintf(proof, sizeof proof, "%s:%s", name, password);
    EVP_EncodeBlock((unsigned char *)encoded, (unsigned char *)proof, length);
    snprintf(line, 2048, "Authorization: Basic %s\r\n", encoded);
    return line;
}

// Asks for a certificate. Returns the status; with 200, the certificate is there.
static int est(struct host *host, const char *operation, const char *proof, const char *request, X509 **certificate) {
    char fields[2304], target[64];
    snprintf(fields, sizeof fields, "Content-Type: application/pkcs10\r\nContent-Transfer-Encoding: base64\r\n%s", proof);
    snprintf(target, sizeof target, "/.well-known/est/%s", operation);
    int status = ask(host, "POST", target, fields, request);
    if (status != 200) return status;
    static _Thread_local unsigned char encoded[LARGEST];
    const unsigned char *at = encoded;
    int size = EVP_DecodeBlock(encoded, (unsigned char *)host->body, host->length);
    PKCS7 *answer = size > 0 ? d2i_PKCS7(NULL, &at, size) : NULL;
    if (!answer) fail("not PKCS#7", host->body);
    *certificate = X509_dup(sk_X509_value(answer->d.sign->cert, 0));
    PKCS7_free(answer);
    return status;
}

static int by_size(const void *one, const void *other) {
    double difference = *(const double *)one - *(const double *)other;
    return difference < 0 ? -1 : difference > 0;
}
