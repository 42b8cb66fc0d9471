// SPDX-License-Identifier: Apache-2.0

import CLibraries
import COpenSSL
import Glibc

/// Wipes the memory that libcrypto frees.
package enum FreedMemory {
    /// Has libcrypto wipe all memory before it frees it, for the rest of the process: the decoders of OpenSSL 3.0 free
    /// the DER of a private key unwiped. Programs call it, not libraries, before anything else of libcrypto, which
    /// refuses once it has allocated memory. Returns whether memory is now wiped.
    @discardableResult
    package static func wipeFromNowOn() -> Bool {
        unsafe CRYPTO_set_mem_functions(
            { count, _, _ in unsafe malloc(count) },
            { memory, count, _, _ in
                guard let memory = unsafe memory else { return unsafe malloc(count) }
                // The system's realloc may leave a copy where the memory was.
                let before = unsafe malloc_usable_size(memory)
                if count <= before, count > 0 { return unsafe memory }
                let moved = unsafe count > 0 ? malloc(count) : nil
                if count > 0, unsafe moved == nil { return nil }
                if let moved = unsafe moved { unsafe memcpy(moved, memory, before) }
                unsafe explicit_bzero(memory, before)
                unsafe free(memory)
                return unsafe moved
            },
            { memory, _, _ in
                guard let memory = unsafe memory else { return }
                unsafe explicit_bzero(memory, malloc_usable_size(memory))
                unsafe free(memory)
            }
        ) == 1
    }
}

/// Protects the keys in a process's memory from other processes and from the disk. Programs call it, not libraries,
/// because it affects the whole process.
package enum GuardedMemory {
    /// Wipes what libcrypto frees and keeps its keys apart, from when libcrypto is opened: by the first call of it, which a
    /// command may do without.
    ///
    /// Random numbers are then Hash_DRBG's with SHA-256, unless OpenSSL's configuration, which is read later, has a section
    /// about them. The usual CTR_DRBG is as strong (SP 800-90A), but its first use makes libcrypto 3.0 construct every
    /// cipher, which takes longer than making a key.
    package static func guardKeysWhenNeeded() {
        pki_when_libcrypto_opens {
            FreedMemory.wipeFromNowOn()
            GuardedMemory.lockKeys()
            _ = unsafe RAND_set_DRBG_type(nil, "HASH-DRBG", nil, nil, "SHA256")
            forgiveOpenSSLErrors()
        }
    }

    /// Lets no other process of the same user read this one's memory or environment, and the system write neither into a
    /// file when the process dies (prctl(2), PR_SET_DUMPABLE). A program that takes this one's place starts without it.
    @discardableResult
    package static func keepFromOthers() -> Bool { pki_prctl(PR_SET_DUMPABLE, 0) == 0 }

    /// The size of the memory for keys: some 2,000 keys of RSA-4096 at once, or 60,000 of P-256. When it is full, a key
    /// cannot be opened. It takes no room before it is used.
    static let size = 4 << 20

    /// Has libcrypto keep private keys in memory of their own between guard pages, which is not swapped, up to the
    /// process's limit on locked memory, nor dumped. Call it after ``FreedMemory/wipeFromNowOn()`` and before libcrypto
    /// makes or reads a key. Returns whether the memory is locked.
    @discardableResult
    package static func lockKeys() -> Bool { CRYPTO_secure_malloc_init(size, 64) == 1 }
}

/// The heaps of malloc. glibc gives threads heaps of their own, up to eight for each processor, and memory that is free in one
/// is of no use to the threads of another. Programs call it, not libraries.
package enum Heaps {
    /// Has all threads share some heaps, from now on. A server with as many as processors does not wait for one.
    package static func limit(to count: Int) { _ = mallopt(M_ARENA_MAX, CInt(clamping: count)) }
}

/// The libcrypto that this process runs with.
package enum OpenSSLVersion {
    /// Name, version and date: `OpenSSL 3.0.17 1 Jul 2025`.
    package static var text: String { unsafe Certificates.text(of: OpenSSL_version(OPENSSL_VERSION)) ?? "libcrypto" }
}
