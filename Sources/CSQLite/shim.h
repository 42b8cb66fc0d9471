// SPDX-License-Identifier: Apache-2.0
//
// SQLite as Swift sees it: the header, and a static inline call for each thing that Swift cannot call by itself. There is
// no logic here.

#ifndef PKI_CSQLITE_SHIM_H
#define PKI_CSQLITE_SHIM_H

#include <sqlite3.h>

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

#endif
