// SPDX-License-Identifier: Apache-2.0

/// Whether a certificate is a CA's, and how long the path below it may be (RFC 5280 §4.2.1.9).
public struct BasicConstraints: Hashable, Sendable {
    /// Whether the subject may issue certificates.
    public let isCA: Bool

    /// How many intermediate CA certificates may follow; nothing means any number.
    public let pathLength: Int?

    /// Makes the constraints.
    ///
    /// - Parameters:
    ///   - isCA: Whether the subject may issue certificates.
    ///   - pathLength: How many intermediates may follow; only for a CA.
    public init(isCA: Bool, pathLength: Int? = nil) {
        self.isCA = isCA
        self.pathLength = pathLength
    }

    /// Reads the value of the extension as libcrypto writes it.
    ///
    /// - Parameter derEncoded: A SEQUENCE of an optional BOOLEAN and an optional INTEGER of up to two octets.
    init?(derEncoded: [UInt8]) {
        guard derEncoded.count >= 2, derEncoded[0] == DER.sequence else { return nil }
        let contents = derEncoded.dropFirst(2)
        guard contents.starts(with: DER.true) else {
            self.init(isCA: false)
            return
        }
        let length = contents.dropFirst(3)
        guard let tag = length.first else {
            self.init(isCA: true)
            return
        }
        guard tag == DER.integer, length.count <= 5 else { return nil }
        self.init(isCA: true, pathLength: length.dropFirst(2).reduce(0) { $0 << 8 | Int($1) })
    }

    /// The value of the extension.
    var derEncoded: [UInt8] {
        guard isCA else { return DER.sequence([]) }
        let length = pathLength.map {
            DER.unsignedInteger([UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)])
        }
        return DER.sequence([DER.true, length ?? []])
    }
}
