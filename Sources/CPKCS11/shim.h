// SPDX-License-Identifier: Apache-2.0
//
// PKCS#11 (Cryptoki 2.40) as Swift sees it: p11-kit's header, which needs no library. Modules are opened when a key in a
// token is used. There is no logic here.

#ifndef PKI_CPKCS11_SHIM_H
#define PKI_CPKCS11_SHIM_H

#include <p11-kit-1/p11-kit/pkcs11.h>

#endif
