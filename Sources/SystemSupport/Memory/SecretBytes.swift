// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A buffer for secrets, such as a passphrase or a private key; wiped on release.
///
/// They are wiped when the last reference goes, and no description, mirror or dump shows them.
@safe public final class SecretBytes: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    // SAFETY: allocated and filled in `init`, never written afterwards, freed in `deinit`.
    private nonisolated(unsafe) let storage: UnsafeMutableBufferPointer<UInt8>

    /// The number of bytes.
    public let count: Int

    /// Copies bytes into a place of their own.
    ///
    /// - Parameter bytes: The secret. The caller's copy remains the caller's to forget.
    public init(_ bytes: some Collection<UInt8>) {
        let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
        unsafe Self.lock(buffer)
        // Byte by byte is slow where the compiler does not know the collection.
        let isCopied = unsafe bytes.withContiguousStorageIfAvailable { unsafe buffer.initialize(from: $0) } != nil
        if !isCopied { _ = unsafe buffer.initialize(from: bytes) }
        unsafe storage = unsafe buffer
        count = bytes.count
    }

    /// Lets a closure write the secret where it will stay, so that there is no other copy to forget.
    package init<Failure: Error>(
        capacity: Int, _ write: (UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Int
    ) throws(Failure) {
        let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: capacity)
        unsafe Self.lock(buffer)
        unsafe buffer.initialize(repeating: 0)
        do {
            let written = try unsafe write(buffer)
            count = min(written, capacity)
            unsafe storage = unsafe buffer
        } catch {
            if let base = buffer.baseAddress { unsafe explicit_bzero(base, capacity) }
            unsafe buffer.deallocate()
            throw error
        }
    }

    deinit {
        if let base = unsafe storage.baseAddress { unsafe explicit_bzero(base, storage.count) }
        unsafe storage.deallocate()
    }

    /// Lends the bytes to a closure.
    ///
    /// - Parameter body: Must not let the buffer escape.
    /// - Returns: What the closure returns.
    /// - Throws: What the closure throws.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(storage)[..<count]))
    }

    /// Keeps the pages of a secret out of the swap, as far as the process's limit on locked memory goes. They stay locked:
    /// the page of one secret may be that of another.
    private static func lock(_ buffer: UnsafeMutableBufferPointer<UInt8>) {
        // What is larger is a file of certificates.
        guard let base = buffer.baseAddress, (1...65536).contains(buffer.count) else { return }
        _ = unsafe mlock(base, buffer.count)
    }

    /// A copy that is not wiped, for contents that turn out not to be secret.
    package var array: [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }

    /// The first byte; `nil` without any.
    package var first: UInt8? { unsafe withUnsafeBytes { unsafe $0.first } }

    /// The bytes before the first line end: a passphrase in a file.
    package var firstLine: SecretBytes {
        unsafe withUnsafeBytes { bytes in
            let end = unsafe bytes.firstIndex { $0 == 0x0a || $0 == 0x0d } ?? bytes.count
            return unsafe SecretBytes(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
        }
    }

    /// Always `<redacted>`.
    public var description: String { "<redacted>" }

    /// Always `<redacted>`.
    public var debugDescription: String { "<redacted>" }

    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Overwrites bytes in a way that the compiler cannot remove. They must have no other owner, who would keep them.
package func wipe(_ bytes: inout [UInt8]) {
    unsafe bytes.withUnsafeMutableBytes { bytes in
        if let base = bytes.baseAddress { unsafe explicit_bzero(base, bytes.count) }
    }
}
