// SPDX-License-Identifier: Apache-2.0
//
// libcrypto, libssl and SQLite, opened when the first of their functions is called.
//
// To load and bind them takes longer than most commands, and a hit in the cache needs none. entries.S therefore defines the
// functions of *.functions, hidden from other libraries, as jumps through a table that the first call fills from the
// system's library; then the table is read-only. The compiler sees the libraries' own headers and notices nothing. A
// function that is used and not listed is a link error.

#ifndef PKI_CLIBRARIES_H
#define PKI_CLIBRARIES_H

/// Sets what is called once, after libcrypto is opened and before any other thread gets to call it.
void pki_when_libcrypto_opens(void (*action)(void));

/// Opens libcrypto if an action waits for it: for who opens a library that may bring libcrypto along and use it.
void pki_open_libcrypto_first(void);

/// Of the C library, whose header has it for GNU programs only.
int syncfs(int descriptor);

#endif
