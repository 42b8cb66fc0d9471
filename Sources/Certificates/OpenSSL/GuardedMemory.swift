// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Glibc

/// What keeps the keys in a process's memory from other processes and from the disk.
///
/// It is for the program to call, not for a library, because it is about the whole process.
public enum GuardedMemory {
    /// Lets no other process of the same user read this one's memory or environment, and the system write neither into a
    /// file when the process dies (prctl(2), PR_SET_DUMPABLE). A program that takes this one's place starts without it.
    ///
    /// - Returns: Whether it is so now.
    @discardableResult
    public static func keepFromOthers() -> Bool { pki_prctl(PR_SET_DUMPABLE, 0) == 0 }

    /// The size of the memory for keys: some 2,000 keys of RSA-4096 at once, or 60,000 of P-256. When it is full, a key
    /// cannot be opened. It takes no room before it is used.
    static let size = 4 << 20

    /// Has libcrypto keep the numbers of private keys in memory of their own, which is not written to the swap as far as the
    /// process's limit on locked memory goes, nor into a core, and lies between guard pages.
    ///
    /// To be called after ``FreedMemory/wipeFromNowOn()`` and before libcrypto makes or reads a key.
    ///
    /// - Returns: Whether the memory is locked.
    @discardableResult
    public static func lockKeys() -> Bool { CRYPTO_secure_malloc_init(size, 64) == 1 }
}
