// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// How an agent is told to sign, and what its signature becomes.
struct SSHSignatureScheme {
    /// What the request asks for (draft-miller-ssh-agent §4.5.1).
    let flags: Int

    /// The name that the signature bears.
    private let name: String

    /// The length of an RSA modulus or of a curve's order, in octets.
    private let size: Int

    private let isRSA: Bool

    /// Finds the scheme for a key and a hash function.
    ///
    /// - Parameters:
    ///   - algorithm: The key's.
    ///   - digest: The hash function.
    /// - Throws: ``HardwareKeyError`` with ``HardwareKeyErrorCode/unsupported`` when an agent does not sign so.
    init(of algorithm: KeyAlgorithm, digest: Digest) throws(HardwareKeyError) {
        switch (algorithm, digest) {
        case (.rsa(let bits), .sha256): self.init(flags: 2, "rsa-sha2-256", size: (bits + 7) / 8, isRSA: true)
        case (.rsa(let bits), .sha512): self.init(flags: 4, "rsa-sha2-512", size: (bits + 7) / 8, isRSA: true)
        case (.ec("prime256v1"), .sha256): self.init("ecdsa-sha2-nistp256", size: 32)
        case (.ec("secp384r1"), .sha384): self.init("ecdsa-sha2-nistp384", size: 48)
        case (.ec("secp521r1"), .sha512): self.init("ecdsa-sha2-nistp521", size: 66)
        default:
            let possible =
                switch algorithm {
                case .rsa: "SHA-256 or SHA-512"
                case .ec("prime256v1"): "SHA-256"
                case .ec("secp384r1"): "SHA-384"
                default: "SHA-512"
                }
            throw HardwareKeyError(
                .unsupported,
                "in an SSH agent, a key of the kind \(algorithm) signs with \(possible) only, not with \(digest.name)",
                hint: "use a P-256 or RSA key where SHA-256 is asked for, as by Roles Anywhere"
            )
        }
    }

    private init(flags: Int = 0, _ name: String, size: Int, isRSA: Bool = false) {
        self.flags = flags
        self.name = name
        self.size = size
        self.isRSA = isRSA
    }

    /// Brings a signature (RFC 8332 §3, RFC 5656 §3.1.2) into the form of X.509.
    ///
    /// - Parameter blob: What the agent made.
    /// - Returns: RSA's number in the length of the modulus (RFC 8017 §8.2.1), or `(r, s)` in DER (RFC 3279 §2.2.3).
    /// - Throws: ``HardwareKeyError`` when it is something else.
    func signature(from blob: [UInt8]) throws(HardwareKeyError) -> [UInt8] {
        var reader = SSHWireReader(blob)
        guard let found = reader.name(), var inner = reader.string().map({ SSHWireReader($0) }), reader.isAtEnd else {
            throw HardwareKeyError(.failed, "the SSH agent's signature cannot be read")
        }
        guard found == name else {
            throw HardwareKeyError(
                .failed,
                "the SSH agent was asked for a signature by \(name) and made one by \(printable(found, limit: 64))",
                hint: found == "ssh-rsa" ? "this agent knows SHA-1 only: use another, or an ECDSA key" : nil
            )
        }
        guard !isRSA else {
            // Some agents drop the zeros it begins with.
            let number = inner.rest.drop { $0 == 0 }
            guard number.count <= size else {
                throw HardwareKeyError(.failed, "the SSH agent's signature is longer than the key's modulus")
            }
            return [UInt8](repeating: 0, count: size - number.count) + number
        }
        guard let r = inner.magnitude(), let s = inner.magnitude(), inner.isAtEnd, max(r.count, s.count) <= size else {
            throw HardwareKeyError(.failed, "the SSH agent's signature is not a pair of numbers of the key's size")
        }
        return DER.sequence([DER.unsignedInteger(r), DER.unsignedInteger(s)])
    }
}

extension Digest {
    /// The name that a person would use.
    fileprivate var name: String {
        switch self {
        case .sha256: "SHA-256"
        case .sha384: "SHA-384"
        case .sha512: "SHA-512"
        }
    }
}
