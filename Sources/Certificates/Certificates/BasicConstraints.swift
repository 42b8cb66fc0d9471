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

    /// Reads the value of the extension.
    ///
    /// - Parameter derEncoded: A SEQUENCE of an optional BOOLEAN and an optional INTEGER of up to two octets.
    init?(derEncoded: [UInt8]) {
        guard let parts = DER.elements(inSequence: derEncoded), parts.allSatisfy({ $0.contents.count <= 2 }) else {
            return nil
        }
        let isCA = parts.first { $0.tag == DER.boolean }?.contents == [0xff]
        let length = parts.first { $0.tag == DER.integer }?.contents.reduce(0) { $0 << 8 | Int($1) }
        self.init(isCA: isCA, pathLength: length)
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
