// SPDX-License-Identifier: Apache-2.0
//
// The least that two RSA-2048 keys cost: libcrypto makes them, and nothing else happens.

#include <openssl/evp.h>
#include <openssl/rsa.h>

int main(void) {
    for (int made = 0; made < 2; made++) {
        EVP_PKEY *key = EVP_RSA_gen(2048);
        if (key == NULL) {
            return 1;
        }
        EVP_PKEY_free(key);
    }
    return 0;
}
