// SPDX-License-Identifier: Apache-2.0
//
// Loads a CA's server with enrolments, each of which makes a certificate. One thread is one host at a time; each has a
// loopback address of its own, because the server limits an address. Everything that can be made before is made before.
//
//   enrolment_load PORT ROOT THREADS COUNT est NAME PASSWORD PREFIX    simpleenroll on kept connections, then a
//                                                                      simplereenroll of each with a handshake
//   enrolment_load PORT ROOT THREADS COUNT acme PATH KID HMAC-KEY PREFIX   orders on kept connections: newOrder,
//                                                                      finalize, certificate
//
// Where KID is -, accounts have no external binding, and names are addresses whose http-01 challenges are answered here.
// Prints for each kind of work a line `begin`, and one when it is done: requests, seconds, this program's CPU seconds, and the median and the 99th
// hundredth of the times in milliseconds.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pkcs7.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LARGEST = 65536 };

struct host {
    int number, socket;
    SSL_CTX *settings;
    SSL *tls;
    EVP_PKEY *key;
    int length, size;
    char head[LARGEST], body[LARGEST];
    char nonce[512], account[512], thumbprint[64];
};

static int port, threads, count;
static const char *path, *kid, *secret, *prefix, *basic;
static EVP_PKEY *certified;
static char **requests;
static X509 **certificates;
static double *times;
static struct host *hosts;
static atomic_int next;

static void fail(const char *what, const char *more) {
    fprintf(stderr, "enrolment_load: %s: %.600s\n", what, more);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

// The connection

static void leave(struct host *host) {
    if (!host->tls) return;
    SSL_shutdown(host->tls);
    SSL_free(host->tls);
    close(host->socket);
    host->tls = NULL;
}

static void enter(struct host *host) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001 + (host->number << 8))};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    host->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(host->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(host->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(host->socket, (struct sockaddr *)&own, sizeof own) ||
        connect(host->socket, (struct sockaddr *)&server, sizeof server))
        fail("connect", strerror(errno));
    host->tls = SSL_new(host->settings);
    SSL_set_fd(host->tls, host->socket);
    SSL_set_tlsext_host_name(host->tls, "localhost");
    if (SSL_connect(host->tls) != 1) fail("handshake", "refused");
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
static void fill(struct host *host, int wanted) {
    while (host->size < wanted) {
        int got = SSL_read(host->tls, host->body + host->size, LARGEST - 1 - host->size);
        if (got <= 0) fail("the server closed a connection", host->head);
        host->size += got;
        host->body[host->size] = 0;
    }
}

// Sends a request and returns the status; header fields and the body are in the host.
static int ask(struct host *host, const char *method, const char *target, const char *fields, const char *body) {
    static _Thread_local char message[LARGEST];
    int length = snprintf(message, sizeof message, "%s %s HTTP/1.1\r\nHost: localhost:%d\r\n%sContent-Length: %zu\r\n\r\n%s",
                          method, target, port, fields, strlen(body), body);
    if (!host->tls) enter(host);
    if (SSL_write(host->tls, message, length) != length) fail("the server closed a connection", target);
    char *end;
    host->size = 0;
    for (host->body[0] = 0; !(end = strstr(host->body, "\r\n\r\n"));) fill(host, host->size + 1);
    int head = end + 4 - host->body;
    memcpy(host->head, host->body, head);
    host->head[head] = 0;
    memmove(host->body, host->body + head, (host->size -= head) + 1);
    const char *value;
    host->length = 0;
    if (!strcmp(method, "HEAD")) {
    } else if ((value = field(host, "Content-Length"))) {
        fill(host, host->length = atoi(value));
    } else if ((value = field(host, "Transfer-Encoding"))) {
        for (int chunk = -1, at = 0; chunk != 0;) {
            while (!(end = strstr(host->body + at, "\r\n"))) fill(host, host->size + 1);
            chunk = strtol(host->body + at, NULL, 16);
            int start = end + 2 - host->body;
            fill(host, start + chunk + 2);
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

static void base64url(char *out, const void *bytes, int size) {
    int length = EVP_EncodeBlock((unsigned char *)out, bytes, size);
    while (length > 0 && out[length - 1] == '=') length--;
    out[length] = 0;
    for (; *out; out++) *out = *out == '+' ? '-' : *out == '/' ? '_' : *out;
}

// The name of a number; an address where challenges are answered, the host's number in its second octet.
static void name_of(int number, int host, char *name, size_t size) {
    if (kid && !strcmp(kid, "-"))
        snprintf(name, size, "127.%d.%d.%d", 2 + host, number / 250 % 250, 1 + number % 250);
    else
        snprintf(name, size, "%s%d", prefix, number);
}

static int request_for(const char *name, unsigned char **out) {
    X509_REQ *request = X509_REQ_new();
    X509_NAME *subject = X509_NAME_new();
    int is_address = kid && !strcmp(kid, "-");
    if (!is_address) X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_REQ_set_subject_name(request, subject);
    X509_REQ_set_pubkey(request, certified);
    if (kid) {
        char text[128];
        snprintf(text, sizeof text, "%s:%s", is_address ? "IP" : "DNS", name);
        STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
        sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text));
        X509_REQ_add_extensions(request, extensions);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    }
    if (!X509_REQ_sign(request, certified, EVP_sha256())) fail("X509_REQ_sign", name);
    *out = NULL;
    int size = i2d_X509_REQ(request, out);
    X509_NAME_free(subject);
    X509_REQ_free(request);
    return size;
}

// EST

static void est(struct host *host, int number, const char *operation, const char *proof) {
    char fields[512];
    snprintf(fields, sizeof fields, "Content-Type: application/pkcs10\r\nContent-Transfer-Encoding: base64\r\n%s", proof);
    char target[64];
    snprintf(target, sizeof target, "/.well-known/est/%s", operation);
    if (ask(host, "POST", target, fields, requests[number]) != 200) fail(host->head, host->body);
    static _Thread_local unsigned char encoded[LARGEST];
    const unsigned char *at = encoded;
    int size = EVP_DecodeBlock(encoded, (unsigned char *)host->body, host->length);
    PKCS7 *answer = size > 0 ? d2i_PKCS7(NULL, &at, size) : NULL;
    if (!answer) fail("not PKCS#7", host->body);
    X509_free(certificates[number]);
    certificates[number] = X509_dup(sk_X509_value(answer->d.sign->cert, 0));
    PKCS7_free(answer);
}

static void enrol(struct host *host, int number) { est(host, number, "simpleenroll", basic); }

static void renew(struct host *host, int number) {
    leave(host);
    SSL_CTX_use_certificate(host->settings, certificates[number]);
    SSL_CTX_use_PrivateKey(host->settings, certified);
    est(host, number, "simplereenroll", "");
}

// ACME

static void sign(EVP_PKEY *key, const char *text, char *out) {
    unsigned char signature[128], raw[64];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &size, (const unsigned char *)text, strlen(text)) != 1)
        fail("EVP_DigestSign", text);
    EVP_MD_CTX_free(context);
    const unsigned char *at = signature;
    ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &at, size);
    BN_bn2binpad(ECDSA_SIG_get0_r(parts), raw, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(parts), raw + 32, 32);
    ECDSA_SIG_free(parts);
    base64url(out, raw, sizeof raw);
}

static void jwk(EVP_PKEY *key, char *out, size_t size) {
    unsigned char point[65];
    size_t length;
    char x[64], y[64];
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point, sizeof point, &length) != 1)
        fail("EVP_PKEY_get_octet_string_param", "the point");
    base64url(x, point + 1, 32);
    base64url(y, point + 33, 32);
    snprintf(out, size, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
}

// Sends a JWS. The status must be 200 or 201.
static void post(struct host *host, const char *url, const char *payload) {
    static _Thread_local char protected[2048], signing[LARGEST], body[LARGEST], encoded[LARGEST];
    char own[512], signature[128];
    jwk(host->key, own, sizeof own);
    int length = snprintf(protected, sizeof protected, "{\"alg\":\"ES256\",\"nonce\":\"%s\",\"url\":\"%s\",", host->nonce, url);
    if (host->account[0])
        snprintf(protected + length, sizeof protected - length, "\"kid\":\"%s\"}", host->account);
    else
        snprintf(protected + length, sizeof protected - length, "\"jwk\":%s}", own);
    base64url(encoded, protected, strlen(protected));
    length = sprintf(signing, "%s.", encoded);
    base64url(signing + length, payload, strlen(payload));
    sign(host->key, signing, signature);
    snprintf(body, sizeof body, "{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}", encoded, signing + length, signature);
    int status = ask(host, "POST", strchr(url + 8, '/'), "Content-Type: application/jose+json\r\n", body);
    if (status != 200 && status != 201) fail(host->head, host->body);
}

// The string after a member's name in the answer.
static void member(struct host *host, const char *name, char *out) {
    char *found = strstr(host->body, name);
    if (!found || sscanf(found + strlen(name), "%*[]:[ \"]%511[^\"]", out) != 1) fail(name, host->body);
}

static void open_account(struct host *host) {
    char url[512], own[512], payload[2048], binding[2048], encoded[1024], code[64];
    unsigned char digest[32], hmac_key[64];
    jwk(host->key, own, sizeof own);
    SHA256((unsigned char *)own, strlen(own), digest);
    base64url(host->thumbprint, digest, sizeof digest);
    snprintf(url, sizeof url, "%s/directory", path);
    ask(host, "GET", url, "", "");
    char new_nonce[512], new_account[512];
    member(host, "\"newNonce\"", new_nonce);
    member(host, "\"newAccount\"", new_account);
    ask(host, "HEAD", strchr(new_nonce + 8, '/'), "", "");
    strcpy(payload, "{\"termsOfServiceAgreed\":true}");
    if (strcmp(kid, "-")) {
        int length = snprintf(binding, sizeof binding, "{\"alg\":\"HS256\",\"kid\":\"%s\",\"url\":\"%s\"}", kid, new_account);
        base64url(encoded, binding, length);
        int at = snprintf(binding, sizeof binding, "%s.", encoded);
        base64url(binding + at, own, strlen(own));
        char standard[64];
        snprintf(standard, sizeof standard, "%s=", secret);
        for (char *letter = standard; *letter; letter++) *letter = *letter == '-' ? '+' : *letter == '_' ? '/' : *letter;
        EVP_DecodeBlock(hmac_key, (unsigned char *)standard, 44);
        HMAC(EVP_sha256(), hmac_key, 32, (unsigned char *)binding, strlen(binding), digest, NULL);
        base64url(code, digest, sizeof digest);
        snprintf(payload, sizeof payload,
                 "{\"termsOfServiceAgreed\":true,\"externalAccountBinding\":{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}}",
                 encoded, binding + at, code);
    }
    post(host, new_account, payload);
    strcpy(host->account, field(host, "Location"));
}

static void order(struct host *host, int number) {
    char name[128], url[512], payload[4096], location[512], finalize[512], value[512];
    name_of(number, host->number, name, sizeof name);
    int is_open = !strcmp(kid, "-");
    snprintf(url, sizeof url, "https://localhost:%d%s/new-order", port, path);
    snprintf(payload, sizeof payload, "{\"identifiers\":[{\"type\":\"%s\",\"value\":\"%s\"}]}", is_open ? "ip" : "dns", name);
    post(host, url, payload);
    strcpy(location, field(host, "Location"));
    member(host, "\"finalize\"", finalize);
    if (is_open) {
        member(host, "\"authorizations\"", url);
        post(host, url, "");
        char *challenge = strstr(host->body, "http-01");
        // The members' order differs.
        while (challenge && *challenge != '{') challenge--;
        if (!challenge) fail("no http-01 challenge", host->body);
        memmove(host->body, challenge, strlen(challenge) + 1);
        member(host, "\"url\"", url);
        post(host, url, "{}");
        for (int tries = 0; !strstr(host->body, "\"valid\""); tries++) {
            if (tries == 1000) fail("the challenge", host->body);
            usleep(1000);
            post(host, url, "");
        }
    }
    unsigned char *encoded;
    static _Thread_local char text[LARGEST / 2];
    int size = request_for(name, &encoded);
    base64url(text, encoded, size);
    OPENSSL_free(encoded);
    snprintf(payload, sizeof payload, "{\"csr\":\"%s\"}", text);
    post(host, finalize, payload);
    for (int tries = 0; !strstr(host->body, "\"certificate\""); tries++) {
        if (tries == 1000) fail("the order", host->body);
        usleep(1000);
        post(host, location, "");
    }
    member(host, "\"certificate\"", value);
    post(host, value, "");
    if (!strstr(host->body, "-----BEGIN CERTIFICATE-----")) fail("no certificate", host->body);
}

// Answers http-01 challenges for every host: which one it is says the address.
static void *answer_challenges(void *unused) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 512)) fail("port 80", strerror(errno));
    for (;;) {
        char head[4096], token[512], answer[1024];
        int connection = accept(listener, NULL, NULL), size = 0;
        while (size < (int)sizeof head - 1) {
            int got = read(connection, head + size, sizeof head - 1 - size);
            if (got <= 0) break;
            head[size += got] = 0;
            if (strstr(head, "\r\n\r\n")) break;
        }
        socklen_t length = sizeof address;
        getsockname(connection, (struct sockaddr *)&address, &length);
        int host = (ntohl(address.sin_addr.s_addr) >> 16 & 255) - 2;
        if (size > 0 && sscanf(head, "GET /.well-known/acme-challenge/%511[^ ]", token) == 1 && host >= 0 && host < threads) {
            int body = snprintf(answer, sizeof answer, "%s.%s", token, hosts[host].thumbprint);
            char message[2048];
            int all = snprintf(message, sizeof message, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", body, answer);
            if (write(connection, message, all) != all) fail("port 80", strerror(errno));
        }
        close(connection);
    }
    return unused;
}

// The load

static void (*work)(struct host *, int);

static void *run(void *argument) {
    struct host *host = argument;
    for (int number; (number = atomic_fetch_add(&next, 1)) < count;) {
        double start = now(CLOCK_MONOTONIC);
        work(host, number);
        times[number] = now(CLOCK_MONOTONIC) - start;
    }
    leave(host);
    return NULL;
}

static int by_size(const void *one, const void *other) {
    double difference = *(const double *)one - *(const double *)other;
    return difference < 0 ? -1 : difference > 0;
}

static void load(void (*chosen)(struct host *, int)) {
    pthread_t running[threads];
    double start = now(CLOCK_MONOTONIC), busy = now(CLOCK_PROCESS_CPUTIME_ID);
    work = chosen;
    atomic_store(&next, 0);
    puts("begin");
    fflush(stdout);
    for (int each = 0; each < threads; each++) pthread_create(&running[each], NULL, run, &hosts[each]);
    for (int each = 0; each < threads; each++) pthread_join(running[each], NULL);
    double seconds = now(CLOCK_MONOTONIC) - start;
    busy = now(CLOCK_PROCESS_CPUTIME_ID) - busy;
    qsort(times, count, sizeof *times, by_size);
    printf("%d %.6f %.6f %.3f %.3f\n", count, seconds, busy, times[count / 2] * 1e3, times[count - 1 - count / 100] * 1e3);
    fflush(stdout);
}

int main(int argc, char **argv) {
    int is_est = argc == 9 && !strcmp(argv[5], "est"), is_acme = argc == 10 && !strcmp(argv[5], "acme");
    if (!is_est && !is_acme) fail("usage", "enrolment_load PORT ROOT THREADS COUNT est|acme …");
    port = atoi(argv[1]);
    threads = atoi(argv[3]);
    count = atoi(argv[4]);
    if (threads < 1 || threads > 200 || count < threads) fail("usage", "1 to 200 threads, and as many enrolments at least");
    prefix = argv[argc - 1];
    certified = EVP_EC_gen("P-256");
    hosts = calloc(threads, sizeof *hosts);
    times = calloc(count, sizeof *times);
    for (int each = 0; each < threads; each++) {
        struct host *host = &hosts[each];
        host->number = each;
        host->key = EVP_EC_gen("P-256");
        host->settings = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(host->settings, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_load_verify_locations(host->settings, argv[2], NULL) != 1) fail("the root", argv[2]);
    }
    if (is_est) {
        char proof[512], encoded[1024];
        static char line[2048];
        EVP_EncodeBlock((unsigned char *)encoded, (unsigned char *)proof, snprintf(proof, sizeof proof, "%s:%s", argv[6], argv[7]));
        snprintf(line, sizeof line, "Authorization: Basic %s\r\n", encoded);
        basic = line;
        requests = calloc(count, sizeof *requests);
        certificates = calloc(count, sizeof *certificates);
        for (int number = 0; number < count; number++) {
            char name[128];
            unsigned char *request;
            name_of(number, 0, name, sizeof name);
            int size = request_for(name, &request);
            requests[number] = malloc(size * 4 / 3 + 5);
            EVP_EncodeBlock((unsigned char *)requests[number], request, size);
            OPENSSL_free(request);
        }
        for (int each = 0; each < threads; each++) enter(&hosts[each]);
        load(enrol);
        load(renew);
    } else {
        path = argv[6];
        kid = argv[7];
        secret = argv[8];
        for (int each = 0; each < threads; each++) open_account(&hosts[each]);
        pthread_t challenges;
        if (!strcmp(kid, "-")) pthread_create(&challenges, NULL, answer_challenges, NULL);
        load(order);
    }
    return 0;
}
