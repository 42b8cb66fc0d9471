// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Glibc

/// What becomes of the memory that libcrypto gives back.
public enum FreedMemory {
    /// Has libcrypto wipe all memory before it frees it, for the rest of the process.
    ///
    /// libcrypto wipes keys when they are dropped, and forgets some of the buffers that they passed through on their way
    /// in: the decoders of OpenSSL 3.0 free the DER of a private key as it is.
    ///
    /// To be called by a program as the first thing that has to do with libcrypto: the library refuses once it has
    /// allocated anything. It is for the program to call, not for a library, because it is about the whole process.
    ///
    /// - Returns: Whether memory is now wiped.
    @discardableResult
    public static func wipeFromNowOn() -> Bool {
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
