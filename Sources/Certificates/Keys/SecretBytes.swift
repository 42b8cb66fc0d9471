// SPDX-License-Identifier: Apache-2.0

/// Bytes that nobody should see: a passphrase, or a private key on its way to a file.
///
/// They are wiped when the last reference goes, and no description, mirror or dump shows them.
@safe public final class SecretBytes: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    // SAFETY: allocated in `init`, never written afterwards, freed in `deinit`.
    private nonisolated(unsafe) let storage: UnsafeMutableBufferPointer<UInt8>

    /// Copies bytes into a place of their own.
    ///
    /// - Parameter bytes: The secret. The caller's copy remains the caller's to forget.
    public init(_ bytes: some Collection<UInt8>) {
        unsafe storage = .allocate(capacity: bytes.count)
        _ = unsafe storage.initialize(from: bytes)
    }

    deinit {
        if let base = unsafe storage.baseAddress { unsafe cleanse(base, count: storage.count) }
        unsafe storage.deallocate()
    }

    /// The number of bytes.
    public var count: Int { unsafe storage.count }

    /// Lends the bytes to a closure.
    ///
    /// - Parameter body: Must not let the buffer escape.
    /// - Returns: What the closure returns.
    /// - Throws: What the closure throws.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe body(UnsafeRawBufferPointer(storage))
    }

    /// Always `<redacted>`.
    public var description: String { "<redacted>" }

    /// Always `<redacted>`.
    public var debugDescription: String { "<redacted>" }

    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
