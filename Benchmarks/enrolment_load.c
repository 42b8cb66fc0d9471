// SPDX-License-Identifier: Apache-2.0
//
// Loads a CA's servers with enrolments, each of which makes a certificate. One thread is one host at a time. Everything that
// can be made before is made before.
//
//   enrolment_load PORTS ROOT THREADS COUNT est NAME PASSWORD PREFIX   simpleenroll on kept connections, then a
//                                                                      simplereenroll of each with a handshake
//   enrolment_load PORTS ROOT THREADS COUNT acme PATH KID HMAC-KEY PREFIX   orders on kept connections: newOrder,
//                                                                      finalize, certificate
//
// PORTS are those of one server or several, with commas between: threads take turns. With -r RATE, or -r RATE,RATE for the
// two kinds of work of est, so many a second are begun, and a time counts from when it should have been begun.
// Where KID is -, accounts have no external binding, and names are addresses whose http-01 challenges are answered here.
// Prints for each kind of work a line `begin`, and one when it is done: requests, seconds, this program's CPU seconds, and the median and the 99th
// hundredth of the times in milliseconds.

#define _GNU_SOURCE
#include "est_client.h"

#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>

static int threads, count;
static double rates[2];
static const char *path, *kid, *secret, *prefix, *basic;
static char **requests;
static X509 **certificates;
static double *times;
static struct host *hosts;
static atomic_int next;

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

// EST

static void enrol(struct host *host, int number) {
    if (est(host, "simpleenroll", basic, requests[number], &certificates[number]) != 200) fail(host->head, host->body);
}

static void renew(struct host *host, int number) {
    leave(host);
    host->certificate = certificates[number];
    X509 *renewed;
    if (est(host, "simplereenroll", "", requests[number], &renewed) != 200) fail(host->head, host->body);
    host->certificate = NULL;
    X509_free(certificates[number]);
    certificates[number] = renewed;
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
    snprintf(url, sizeof url, "https://localhost:%d%s/new-order", host->port, path);
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
    snprintf(value, sizeof value, "%s:%s", is_open ? "IP" : "DNS", name);
    int size = request_for(is_open ? NULL : name, value, &encoded);
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

static double rate, started;

static void *run(void *argument) {
    struct host *host = argument;
    for (int number; (number = atomic_fetch_add(&next, 1)) < count;) {
        double start = rate > 0 ? started + number / rate : now(CLOCK_MONOTONIC);
        for (double left; rate > 0 && (left = start - now(CLOCK_MONOTONIC)) > 0;) usleep(left * 1e6 + 1);
        work(host, number);
        times[number] = now(CLOCK_MONOTONIC) - start;
    }
    leave(host);
    return NULL;
}

static void load(void (*chosen)(struct host *, int), double pace) {
    pthread_t running[threads];
    double busy = now(CLOCK_PROCESS_CPUTIME_ID);
    work = chosen;
    rate = pace;
    atomic_store(&next, 0);
    puts("begin");
    fflush(stdout);
    started = now(CLOCK_MONOTONIC);
    for (int each = 0; each < threads; each++) pthread_create(&running[each], NULL, run, &hosts[each]);
    for (int each = 0; each < threads; each++) pthread_join(running[each], NULL);
    double seconds = now(CLOCK_MONOTONIC) - started;
    busy = now(CLOCK_PROCESS_CPUTIME_ID) - busy;
    qsort(times, count, sizeof *times, by_size);
    printf("%d %.6f %.6f %.3f %.3f\n", count, seconds, busy, times[count / 2] * 1e3, times[count - 1 - count / 100] * 1e3);
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "-r")) {
        if (sscanf(argv[2], "%lf,%lf", &rates[0], &rates[1]) == 1) rates[1] = rates[0];
        argv[2] = argv[0];
        argv += 2;
        argc -= 2;
    }
    int is_est = argc == 9 && !strcmp(argv[5], "est"), is_acme = argc == 10 && !strcmp(argv[5], "acme");
    if (!is_est && !is_acme) fail("usage", "enrolment_load [-r RATE[,RATE]] PORT[,PORT…] ROOT THREADS COUNT est|acme …");
    read_ports(argv[1]);
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
        host->port = ports[each % port_count];
        host->address = 0x7f010001 + (each << 8);
        host->key = EVP_EC_gen("P-256");
        host->settings = settings_for(argv[2]);
    }
    if (is_est) {
        basic = basic_proof(argv[6], argv[7]);
        requests = calloc(count, sizeof *requests);
        certificates = calloc(count, sizeof *certificates);
        for (int number = 0; number < count; number++) {
            char name[128];
            name_of(number, 0, name, sizeof name);
            requests[number] = est_request(name);
        }
        for (int each = 0; each < threads; each++)
            if (!enter(&hosts[each])) fail("a server", hosts[each].head);
        load(enrol, rates[0]);
        load(renew, rates[1]);
    } else {
        path = argv[6];
        kid = argv[7];
        secret = argv[8];
        for (int each = 0; each < threads; each++) open_account(&hosts[each]);
        pthread_t challenges;
        if (!strcmp(kid, "-")) pthread_create(&challenges, NULL, answer_challenges, NULL);
        load(order, rates[0]);
    }
    return 0;
}
