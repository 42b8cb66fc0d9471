// SPDX-License-Identifier: Apache-2.0
//
// libpq as Swift sees it: the header alone. It is included by its path below /usr/include, because pkg-config's flags would
// link the library.

#ifndef PKI_CPOSTGRESQL_SHIM_H
#define PKI_CPOSTGRESQL_SHIM_H

#include <postgresql/libpq-fe.h>

#endif
