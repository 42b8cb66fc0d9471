// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CLibraries.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef void (*pki_function)(void);

/// A library in entries.S.
typedef struct {
    const char *file;
    /// In the order of the table, each ended by a zero, the last by two.
    const char *names;
    /// What the entries jump through; a page or more of its own.
    pki_function *table;
    size_t size;
    /// The same functions, while the action runs.
    pki_function *found;
} pki_library;

extern pki_library pki_libcrypto __attribute__((visibility("hidden")));

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static void (*action)(void);

static void give_up(const char *file, const char *reason) {
    fprintf(stderr, "pki: error: the library %s cannot be used: %s\n", file, reason);
    const char *packages = strcmp(file, "libpq.so.5") == 0 ? "libpq5" : "libssl3 libsqlite3-0";
    fprintf(stderr, "pki: hint: install it: apt-get install %s\n", packages);
    _exit(2);
}

static void fill(pki_library *library) {
    void *handle = dlopen(library->file, RTLD_LAZY | RTLD_LOCAL);
    if (handle == NULL) give_up(library->file, dlerror());
    library->found = calloc(1, library->size);
    if (library->found == NULL) give_up(library->file, "no memory");
    pki_function *next = library->found;
    for (const char *name = library->names; *name != 0; name += strlen(name) + 1) {
        void *function = dlsym(handle, name);
        if (function == NULL) give_up(library->file, dlerror());
        memcpy(next++, &function, sizeof function);
    }
}

/// Called by an entry whose place in the table is empty. Returns the function.
__attribute__((visibility("hidden"))) pki_function pki_open_library(pki_library *library, size_t index) {
    pthread_mutex_lock(&lock);
    if (library->found == NULL) {
        // libssl allocates by libcrypto.
        if (library != &pki_libcrypto) pki_open_libcrypto_first();
        fill(library);
        // The action's own calls of libcrypto come back to this function, in the same thread.
        if (library == &pki_libcrypto && action != NULL) action();
        memcpy(library->table, library->found, library->size);
        mprotect(library->table, library->size, PROT_READ);
    }
    pki_function function = library->found[index];
    pthread_mutex_unlock(&lock);
    return function;
}

void pki_when_libcrypto_opens(void (*wanted)(void)) { action = wanted; }

void pki_open_libcrypto_first(void) {
    if (action != NULL) pki_open_library(&pki_libcrypto, 0);
}
