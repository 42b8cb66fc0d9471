// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A buffer for secrets, such as a passphrase or a private key; wiped on release.
///
/// No description, mirror or dump shows the bytes.
@safe public final class SecretBytes: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    // SAFETY: allocated and filled in `init`, never written afterwards, freed in `deinit`.
    private nonisolated(unsafe) let storage: UnsafeMutableBufferPointer<UInt8>

    /// The number of bytes.
    public let count: Int

    /// Copies bytes. The caller wipes its own copy.
    public init(_ bytes: some Collection<UInt8>) {
        let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
        unsafe Self.lock(buffer)
        // Byte by byte is slow where the compiler does not know the collection.
        let isCopied = unsafe bytes.withContiguousStorageIfAvailable { unsafe buffer.initialize(from: $0) } != nil
        if !isCopied { _ = unsafe buffer.initialize(from: bytes) }
        unsafe storage = unsafe buffer
        count = bytes.count
    }

    /// Lets a closure write the secret in place, so that no other copy has to be wiped.
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

    /// Calls a closure with the bytes, which it must not let escape.
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

    /// Whether a text is somewhere in the bytes.
    package func contains(_ text: StaticString) -> Bool {
        unsafe withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            let (length, end) = (text.utf8CodeUnitCount, bytes.count)
            var position = 0
            while position + length <= end,
                let hit = unsafe memchr(base + position, CInt(text.utf8Start.pointee), end - length + 1 - position)
            {
                if unsafe memcmp(hit, text.utf8Start, length) == 0 { return true }
                position = unsafe base.distance(to: hit) + 1
            }
            return false
        }
    }

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

/// Text with secrets in it, put together without a copy of them that is not wiped.
package struct SecretText: Sendable {
    private enum Piece {
        case text([UInt8])
        case base64(SecretBytes)
    }

    private var pieces: [Piece] = []

    package init() {}

    /// Appends text that is not secret.
    package mutating func append(_ text: String) { pieces.append(.text(Array(text.utf8))) }

    /// Appends a secret in base64 (RFC 4648 §4), in one line and with padding.
    package mutating func append(base64 secret: SecretBytes) { pieces.append(.base64(secret)) }

    /// The whole text.
    package var bytes: SecretBytes {
        let capacity = pieces.reduce(0) { sum, piece in
            switch piece {
            case .text(let text): sum + text.count
            case .base64(let secret): sum + (secret.count + 2) / 3 * 4
            }
        }
        return unsafe SecretBytes(capacity: capacity) { buffer in
            var count = 0
            for piece in pieces {
                switch piece {
                case .text(let text):
                    for byte in text {
                        unsafe buffer[count] = byte
                        count += 1
                    }
                case .base64(let secret):
                    unsafe secret.withUnsafeBytes { bytes in
                        unsafe Self.encode(bytes, into: buffer, &count)
                    }
                }
            }
            return count
        }
    }

    private static func encode(
        _ bytes: UnsafeRawBufferPointer, into buffer: UnsafeMutableBufferPointer<UInt8>, _ count: inout Int
    ) {
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let octets = min(3, bytes.count - start)
            var group: UInt32 = 0
            for index in 0..<3 { group = unsafe group << 8 | (index < octets ? UInt32(bytes[start + index]) : 0) }
            for index in 0..<4 {
                let digit = UInt8(truncatingIfNeeded: group >> (18 - 6 * UInt32(index)) & 0x3f)
                unsafe buffer[count] = index <= octets ? character(for: digit) : UInt8(ascii: "=")
                count += 1
            }
        }
    }

    /// Computed, not looked up: which table a processor has read is a trace.
    private static func character(for digit: UInt8) -> UInt8 {
        switch digit {
        case 0..<26: digit + UInt8(ascii: "A")
        case 26..<52: digit - 26 + UInt8(ascii: "a")
        case 52..<62: digit - 52 + UInt8(ascii: "0")
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }
}
