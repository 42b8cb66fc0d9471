// SPDX-License-Identifier: Apache-2.0
//
// The hosts of a fleet over a day, in so many seconds of real time. Each has a certificate that lives a day, and looks every
// four hours, at a moment of its own, whether half of its life is over, as pki-enrolled@.timer does. It is not quite at the third
// look, so that it renews at the fourth: when two thirds are over.
//
//   fleet_day PORTS ROOT THREADS HOSTS SECONDS NAME PASSWORD PREFIX FILE
//
// First every host enrols by a token, as fast as that goes. Then it waits for a line. During the day it reads lines from
// standard input, and prints lines:
//
//   leave N             host N does nothing more on its own      left N
//   refused N           host N tries to renew once               refused N STATUS
//   enrol N NAME PASSWORD   host N, which left or is new, enrols   enrolled N
//   end                 nothing more is said, and the day may end
//
// A host that gets no answer, or is told to come later, asks again, at the next server, with the same request. Prints `hour`
// with what was done in each of 24 parts, and `day` with the whole: certificates, tries that failed, the median and the 99th
// hundredth and the largest of the times in milliseconds from when a host began until it had its certificate, and CPU seconds.
// What a host does not expect is a line `trouble`. FILE gets the name, serial number and certificate of every host.

#define _GNU_SOURCE
#include "est_client.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { DAY = 86400, LIFE = DAY, LOOK = 4 * 3600, PERIOD = 16 * 3600, LARGEST_FLEET = 2000000, WAITING = 0, BUSY, AWAY };

struct member {
    // Of the day's seconds: when its certificate was issued, when it does something next, and when it looks.
    double issued, due, phase;
    unsigned char *certificate;
    int size;
    // A request that was not answered yet, and the token that proves it if it is not the certificate.
    char *request, *proof;
    char state, is_leaving, is_trying;
};

struct event {
    double due;
    int number;
};

static struct member *fleet;
static int hosts, threads, seconds;
static const char *prefix, *basic, *root;
static atomic_int next;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER, ready = PTHREAD_COND_INITIALIZER;
static struct event *heap, *queue;
static int heap_count, queue_first, queue_count, busy_count, is_over, is_said;
static double dawn;

static double *times;
static int times_count, times_before, failed, failed_before, others;

static double moment(void) { return (now(CLOCK_MONOTONIC) - dawn) * DAY / seconds; }

static struct timespec time_of(double moment) {
    double at = dawn + moment * seconds / DAY;
    return (struct timespec){at, (at - floor(at)) * 1e9};
}

// What is due, the earliest first; with the lock held.

static void push(int number, double due) {
    int at = heap_count++;
    fleet[number].due = due;
    for (; at > 0 && heap[(at - 1) / 2].due > due; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = (struct event){due, number};
    pthread_cond_signal(&changed);
}

static struct event pop(void) {
    struct event first = heap[0], last = heap[--heap_count];
    int at = 0;
    for (int child; (child = 2 * at + 1) < heap_count; at = child) {
        if (child + 1 < heap_count && heap[child + 1].due < heap[child].due) child++;
        if (heap[child].due >= last.due) break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    return first;
}

// The first look at which half of the life is over.
static double renewal(const struct member *member) {
    double from = member->issued + LIFE / 2;
    return member->phase + ceil((from - member->phase) / LOOK) * LOOK;
}

// One host

static void keep(struct member *member, X509 *certificate) {
    unsigned char *encoded = NULL;
    member->size = i2d_X509(certificate, &encoded);
    OPENSSL_free(member->certificate);
    member->certificate = encoded;
    X509_free(certificate);
}

static char *name_of(int number, char *name) {
    sprintf(name, "%.40s%d", prefix, number);
    return name;
}

// Asks until there is an answer; a host that only tries expects to be refused.
// Its time counts from when it was due.
static void act(struct host *host, int number, double start) {
    struct member *member = &fleet[number];
    char name[64];
    X509 *issued = NULL;
    unsigned seed = number + start * 1000;
    int is_renewal = !member->proof, status = 0, lost = 0;
    if (!member->request) member->request = est_request(name_of(number, name));
    host->address = 0x7f100001 + number;
    host->port = ports[rand_r(&seed) % port_count];
    for (;; lost++) {
        const unsigned char *at = member->certificate;
        host->certificate = is_renewal ? d2i_X509(NULL, &at, member->size) : NULL;
        status = est(host, is_renewal ? "simplereenroll" : "simpleenroll", is_renewal ? "" : member->proof, member->request, &issued);
        leave(host);
        X509_free(host->certificate);
        if ((status >= 200 && status < 500 && status != 429) || lost == 60) break;
        for (int each = 0; each < port_count; each++)
            if (ports[each] == host->port) {
                host->port = ports[(each + 1) % port_count];
                break;
            }
        usleep(fmin(2e6, 2e4 * (1 << (lost < 8 ? lost : 8))) * (0.5 + rand_r(&seed) / 2.0 / RAND_MAX));
    }
    pthread_mutex_lock(&lock);
    failed += lost;
    if (member->is_trying) {
        printf("refused %d %d\n", number, status);
    } else if (status != 200) {
        printf("trouble %d %d %.*s\n", number, status, (int)strcspn(host->head, "\r\n"), host->head);
        member->state = AWAY;
    } else {
        keep(member, issued);
        issued = NULL;
        free(member->request);
        member->request = NULL;
        member->issued = moment();
        times[times_count++] = now(CLOCK_MONOTONIC) - start;
        others += !is_renewal;
        if (!is_renewal) printf("enrolled %d\n", number);
        free(member->proof);
        member->proof = NULL;
    }
    X509_free(issued);
    if (member->is_leaving) printf("left %d\n", number);
    if (member->is_leaving || member->is_trying) member->state = AWAY;
    if (member->is_trying) {
        free(member->request);
        member->request = NULL;
    }
    member->is_leaving = member->is_trying = 0;
    if (member->state == BUSY) {
        member->state = WAITING;
        push(number, renewal(member));
    }
    fflush(stdout);
    busy_count--;
    pthread_mutex_unlock(&lock);
}

static void *work(void *argument) {
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!queue_count && !is_over) pthread_cond_wait(&ready, &lock);
        if (!queue_count) break;
        struct event event = queue[queue_first];
        queue_first = (queue_first + 1) % LARGEST_FLEET;
        queue_count--;
        pthread_mutex_unlock(&lock);
        act(argument, event.number, event.due);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

// Sorts what was measured since an earlier time, and prints it.
static void report(const char *title, int from, int tries) {
    int count = times_count - from;
    double *sorted = malloc((count + 1) * sizeof *sorted);
    memcpy(sorted, times + from, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_size);
    if (!count) sorted[count++] = 0;
    printf("%s %d %d %.3f %.3f %.3f\n", title, times_count - from, failed - tries, sorted[count / 2] * 1e3, sorted[count - 1 - count / 100] * 1e3,
           sorted[count - 1] * 1e3);
    fflush(stdout);
    free(sorted);
}

static void report_hour(int hour) {
    char title[32];
    sprintf(title, "hour %d", hour);
    report(title, times_before, failed_before);
    times_before = times_count;
    failed_before = failed;
}

// Hands out what is due, until the day is over; what hosts are told to do also after that.
static void *dispatch(void *unused) {
    int hour = 1;
    pthread_mutex_lock(&lock);
    for (double at; (at = moment()) < DAY || busy_count || queue_count || !is_said || (heap_count && heap[0].due < 0);) {
        if (at >= hour * DAY / 24.0 && hour < 24) report_hour(hour++);
        while (heap_count && heap[0].due <= at && (at < DAY || heap[0].due < 0)) {
            struct event event = pop();
            struct member *member = &fleet[event.number];
            if (member->state != WAITING || member->due != event.due) continue;
            member->state = BUSY;
            busy_count++;
            event.due = now(CLOCK_MONOTONIC);
            queue[(queue_first + queue_count++) % LARGEST_FLEET] = event;
            pthread_cond_signal(&ready);
        }
        double until = fmin(hour * DAY / 24.0, heap_count && at < DAY ? heap[0].due : DAY);
        struct timespec limit = time_of(fmax(until, at + 0.02 * DAY / seconds));
        pthread_cond_timedwait(&changed, &lock, &limit);
    }
    report_hour(24);
    is_over = 1;
    pthread_cond_broadcast(&ready);
    pthread_mutex_unlock(&lock);
    return unused;
}

// Reads what else happens.
static void *listen_to_lines(void *unused) {
    char line[512], word[16], name[256], password[256];
    int number;
    while (fgets(line, sizeof line, stdin)) {
        if (!strcmp(line, "end\n")) break;
        int count = sscanf(line, "%15s %d %255s %255s", word, &number, name, password);
        if (count < 2 || number < 0 || number >= LARGEST_FLEET) fail("not a line", line);
        pthread_mutex_lock(&lock);
        struct member *member = &fleet[number];
        if (!strcmp(word, "leave")) {
            if (member->state == BUSY) {
                member->is_leaving = 1;
            } else {
                member->state = AWAY;
                printf("left %d\n", number);
                fflush(stdout);
            }
        } else {
            if (number >= hosts) hosts = number + 1;
            member->is_trying = !strcmp(word, "refused");
            if (count == 4) member->proof = basic_proof(name, password);
            member->state = WAITING;
            push(number, -1);
        }
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    is_said = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return unused;
}

// Enrols every host, on kept connections.
static void *begin(void *argument) {
    struct host *host = argument;
    for (int number; (number = atomic_fetch_add(&next, 1)) < hosts;) {
        char name[64], *request = est_request(name_of(number, name));
        X509 *issued;
        double start = now(CLOCK_MONOTONIC);
        if (est(host, "simpleenroll", basic, request, &issued) != 200) fail(host->head, host->body);
        times[number] = now(CLOCK_MONOTONIC) - start;
        keep(&fleet[number], issued);
        free(request);
    }
    leave(host);
    return NULL;
}

static void in_threads(void *(*function)(void *), struct host *each) {
    pthread_t running[threads];
    for (int number = 0; number < threads; number++) pthread_create(&running[number], NULL, function, &each[number]);
    for (int number = 0; number < threads; number++) pthread_join(running[number], NULL);
}

int main(int argc, char **argv) {
    if (argc != 10) fail("usage", "fleet_day PORTS ROOT THREADS HOSTS SECONDS NAME PASSWORD PREFIX FILE");
    // A server that is stopped ends connections while something is being sent.
    signal(SIGPIPE, SIG_IGN);
    read_ports(argv[1]);
    root = argv[2];
    threads = atoi(argv[3]);
    hosts = atoi(argv[4]);
    seconds = atoi(argv[5]);
    basic = basic_proof(argv[6], argv[7]);
    prefix = argv[8];
    if (threads < 1 || threads > 200 || hosts < threads || hosts > LARGEST_FLEET / 2 || seconds < 1) fail("usage", "1 to 200 threads, up to a million hosts");
    certified = EVP_EC_gen("P-256");
    // Pages that are never used take no memory.
    fleet = calloc(LARGEST_FLEET, sizeof *fleet);
    heap = calloc(4 * LARGEST_FLEET, sizeof *heap);
    queue = calloc(LARGEST_FLEET, sizeof *queue);
    times = calloc(8 * LARGEST_FLEET, sizeof *times);
    struct host *each = calloc(threads, sizeof *each);
    for (int number = 0; number < threads; number++) {
        each[number].port = ports[number % port_count];
        each[number].address = 0x7f010001 + (number << 8);
        each[number].settings = settings_for(root);
    }
    double start = now(CLOCK_MONOTONIC);
    in_threads(begin, each);
    times_count = hosts;
    char title[64], line[64];
    sprintf(title, "enrolled %.3f", now(CLOCK_MONOTONIC) - start);
    report(title, 0, 0);
    if (!fgets(line, sizeof line, stdin)) fail("standard input", "no line");

    // As if the fleet were in its usual state: certificates are as old as they become, and looks are spread.
    times_count = 0;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &monotonic);
    double busy = now(CLOCK_PROCESS_CPUTIME_ID);
    dawn = now(CLOCK_MONOTONIC);
    for (int number = 0; number < hosts; number++) {
        struct member *member = &fleet[number];
        member->phase = LOOK * drand48();
        push(number, member->phase + LOOK * (lrand48() % (PERIOD / LOOK)));
    }
    pthread_t dispatcher, listener;
    pthread_create(&dispatcher, NULL, dispatch, NULL);
    pthread_create(&listener, NULL, listen_to_lines, NULL);
    in_threads(work, each);
    pthread_join(dispatcher, NULL);
    sprintf(title, "day %.3f %.3f %d", now(CLOCK_MONOTONIC) - dawn, now(CLOCK_PROCESS_CPUTIME_ID) - busy, others);
    pthread_mutex_lock(&lock);
    FILE *file = fopen(argv[9], "w");
    if (!file) fail(argv[9], strerror(errno));
    for (int number = 0; number < hosts; number++) {
        struct member *member = &fleet[number];
        if (!member->size) continue;
        char name[64];
        fprintf(file, "%s\t%d\t", name_of(number, name), member->state == AWAY);
        unsigned char digest[32];
        EVP_Digest(member->certificate, member->size, digest, NULL, EVP_sha256(), NULL);
        for (int octet = 0; octet < 32; octet++) fprintf(file, "%02x", digest[octet]);
        fputs("\n", file);
    }
    if (fclose(file)) fail(argv[9], strerror(errno));
    report(title, 0, 0);
    return 0;
}
