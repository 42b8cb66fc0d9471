// SPDX-License-Identifier: Apache-2.0
//
// SQLite as Swift sees it: the header, and a static inline call for each thing that Swift cannot call by itself. There is
// no logic here.

#ifndef PKI_CSQLITE_SHIM_H
#define PKI_CSQLITE_SHIM_H

// POSIX's calls, where a strict standard of C is asked for.
#if defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// SQLITE_TRANSIENT is a cast in a macro: SQLite copies what is bound.
static inline int pki_sqlite3_bind_text(sqlite3_stmt *statement, int index, const char *text, int count) {
    return sqlite3_bind_text(statement, index, text, count, SQLITE_TRANSIENT);
}

// As above.
static inline int pki_sqlite3_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, int count) {
    return sqlite3_bind_blob(statement, index, bytes, count, SQLITE_TRANSIENT);
}

// sqlite3_db_config takes what it is given as variable arguments, which Swift cannot pass.
static inline int pki_sqlite3_db_config_flag(sqlite3 *database, int option, int value) {
    return sqlite3_db_config(database, option, value, (int *)0);
}

// Two VFSs that reach files through the descriptor of a directory.
//
// "pki-writing" is the system's own, but for one thing: it takes a name such as /proc/self/fd/7/inventory.sqlite as it is,
// where the system's would follow the link to find the directory's path and then trust that. The system's opens with
// O_NOFOLLOW.
//
// "pki-reading" takes names such as 7/inventory.sqlite, opens nothing but regular files, and cannot write, lock, make or
// remove anything. A connection with `locking_mode = EXCLUSIVE` reads a log (-wal) through it without shared memory; there
// never is a journal (-journal), so that none is rolled back.

static int pki_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *result) {
    (void)vfs;
    size_t length = strlen(name);
    if (length >= (size_t)size) return SQLITE_CANTOPEN;
    memcpy(result, name, length + 1);
    return SQLITE_OK;
}

typedef struct {
    sqlite3_file base;
    int descriptor; // -1 for a log that is not there: it is empty
} pki_reader;

static int pki_reader_close(sqlite3_file *file) {
    pki_reader *reader = (pki_reader *)file;
    if (reader->descriptor >= 0) close(reader->descriptor);
    return SQLITE_OK;
}

static int pki_reader_read(sqlite3_file *file, void *buffer, int count, sqlite3_int64 offset) {
    pki_reader *reader = (pki_reader *)file;
    int total = 0;
    while (reader->descriptor >= 0 && total < count) {
        ssize_t received = pread(reader->descriptor, (char *)buffer + total, (size_t)(count - total), offset + total);
        if (received < 0 && errno == EINTR) continue;
        if (received < 0) return SQLITE_IOERR_READ;
        if (received == 0) break;
        total += (int)received;
    }
    if (total == count) return SQLITE_OK;
    memset((char *)buffer + total, 0, (size_t)(count - total));
    return SQLITE_IOERR_SHORT_READ;
}

static int pki_reader_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    (void)file, (void)bytes, (void)count, (void)offset;
    return SQLITE_READONLY;
}

static int pki_reader_truncate(sqlite3_file *file, sqlite3_int64 size) {
    (void)file, (void)size;
    return SQLITE_READONLY;
}

static int pki_reader_size(sqlite3_file *file, sqlite3_int64 *size) {
    pki_reader *reader = (pki_reader *)file;
    struct stat status;
    *size = 0;
    if (reader->descriptor < 0) return SQLITE_OK;
    if (fstat(reader->descriptor, &status) != 0) return SQLITE_IOERR_FSTAT;
    *size = status.st_size;
    return SQLITE_OK;
}

static int pki_reader_done(sqlite3_file *file, int ignored) {
    (void)file, (void)ignored;
    return SQLITE_OK;
}

static int pki_reader_is_reserved(sqlite3_file *file, int *result) {
    (void)file;
    *result = 0;
    return SQLITE_OK;
}

static int pki_reader_control(sqlite3_file *file, int operation, void *argument) {
    (void)file, (void)operation, (void)argument;
    return SQLITE_NOTFOUND;
}

static int pki_reader_sector_size(sqlite3_file *file) {
    (void)file;
    return 4096;
}

static int pki_reader_characteristics(sqlite3_file *file) {
    (void)file;
    return 0;
}

static const sqlite3_io_methods pki_reader_methods = {
    1, pki_reader_close, pki_reader_read, pki_reader_write, pki_reader_truncate, pki_reader_done, pki_reader_size,
    pki_reader_done, pki_reader_done, pki_reader_is_reserved, pki_reader_control, pki_reader_sector_size,
    pki_reader_characteristics, 0, 0, 0, 0, 0, 0,
};

static int pki_reader_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
    (void)vfs;
    pki_reader *reader = (pki_reader *)file;
    file->pMethods = 0;
    if (name == 0 || (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0) return SQLITE_CANTOPEN;
    char *rest = 0;
    long directory = strtol(name, &rest, 10);
    if (rest == name || *rest != '/' || strchr(rest + 1, '/') != 0) return SQLITE_CANTOPEN;
    int descriptor = openat((int)directory, rest + 1, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0 && (errno != ENOENT || (flags & SQLITE_OPEN_WAL) == 0)) return SQLITE_CANTOPEN;
    struct stat status;
    if (descriptor >= 0 && (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))) {
        close(descriptor);
        return SQLITE_CANTOPEN;
    }
    reader->descriptor = descriptor;
    file->pMethods = &pki_reader_methods;
    if (out_flags != 0) *out_flags = (flags & ~SQLITE_OPEN_READWRITE & ~SQLITE_OPEN_CREATE) | SQLITE_OPEN_READONLY;
    return SQLITE_OK;
}

static int pki_reader_delete(sqlite3_vfs *vfs, const char *name, int synchronizes) {
    (void)vfs, (void)name, (void)synchronizes;
    return SQLITE_READONLY;
}

// A log is there when it has something to say.
static int pki_reader_access(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
    (void)vfs, (void)flags;
    char *rest = 0;
    long directory = strtol(name, &rest, 10);
    size_t length = strlen(name);
    struct stat status;
    *result = *rest == '/' && length > 4 && strcmp(name + length - 4, "-wal") == 0 &&
              fstatat((int)directory, rest + 1, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_size > 0;
    return SQLITE_OK;
}

// Registers both, once for the whole process.
static inline int pki_sqlite3_register_file_systems(void) {
    static sqlite3_vfs writing, reading;
    sqlite3_vfs *system = sqlite3_vfs_find("unix");
    if (system == 0) return SQLITE_ERROR;
    writing = *system;
    writing.zName = "pki-writing";
    writing.xFullPathname = pki_full_pathname;
    reading = writing;
    reading.zName = "pki-reading";
    reading.szOsFile = sizeof(pki_reader);
    reading.xOpen = pki_reader_open;
    reading.xDelete = pki_reader_delete;
    reading.xAccess = pki_reader_access;
    int status = sqlite3_vfs_register(&writing, 0);
    return status == SQLITE_OK ? sqlite3_vfs_register(&reading, 0) : status;
}

#endif
