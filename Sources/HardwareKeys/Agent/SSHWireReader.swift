// SPDX-License-Identifier: Apache-2.0

/// Takes a message of the SSH protocols apart (RFC 4251 §5). What does not fit is nothing, and nothing is read past it.
struct SSHWireReader {
    /// What has not been read yet.
    private(set) var rest: ArraySlice<UInt8>

    /// Begins at the first byte.
    init(_ bytes: some Sequence<UInt8>) { rest = Array(bytes)[...] }

    /// Whether everything has been read.
    var isAtEnd: Bool { rest.isEmpty }

    /// A single byte.
    mutating func byte() -> UInt8? { rest.popFirst() }

    /// Four bytes, the most significant first.
    mutating func number() -> Int? {
        guard rest.count >= 4 else { return nil }
        defer { rest = rest.dropFirst(4) }
        return rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
    }

    /// Bytes after their number.
    mutating func string() -> [UInt8]? {
        var ahead = self
        guard let count = ahead.number(), count <= ahead.rest.count else { return nil }
        defer { rest = ahead.rest.dropFirst(count) }
        return Array(ahead.rest.prefix(count))
    }

    /// A string that is a name.
    mutating func name() -> String? { string().map { String(decoding: $0, as: UTF8.self) } }

    /// The magnitude of a number of any length, which must be positive, without leading zeros.
    ///
    /// A first bit that is set means a negative number (RFC 4251 §5), of which there are none in keys and signatures: it is
    /// taken for a zero octet that somebody forgot.
    mutating func magnitude() -> [UInt8]? {
        guard let octets = string() else { return nil }
        let magnitude = Array(octets.drop { $0 == 0 })
        return magnitude.isEmpty ? nil : magnitude
    }
}

/// A number as four bytes, the most significant first.
func sshNumber(_ number: Int) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
}

/// Bytes after their number.
func sshString(_ bytes: [UInt8]) -> [UInt8] { sshNumber(bytes.count) + bytes }
