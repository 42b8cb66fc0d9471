// SPDX-License-Identifier: Apache-2.0

#include "libcrypto.h"
#include <openssl/crypto.h>
#include <stdlib.h>

#if __has_feature(address_sanitizer)
// libcrypto cleans up at exit and then forgets what it allocated for each thread, so that a thread which ends after that is
// reported as a leak. Without the clean-up each thread frees its own memory. A test that is a process of its own
// (Swift Testing's exit tests) sets libcrypto up by itself.
__attribute__((constructor)) static void skip_cleanup_at_exit(void) {
    if (getenv("SWT_EXIT_TEST_ID")) return;
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}
#endif
