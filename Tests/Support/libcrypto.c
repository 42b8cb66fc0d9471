// SPDX-License-Identifier: Apache-2.0

#include "libcrypto.h"
#include <openssl/crypto.h>

#if __has_feature(address_sanitizer)
// libcrypto cleans up at exit and then forgets what it allocated for each thread, so that a thread which ends after that is
// reported as a leak. Without the clean-up each thread frees its own memory.
__attribute__((constructor)) static void skip_cleanup_at_exit(void) {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}
#endif
