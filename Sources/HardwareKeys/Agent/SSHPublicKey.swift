// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// A public key as SSH writes it (RFC 4253 §6.6, RFC 5656 §3.1): a name and what belongs to it.
struct SSHPublicKey {
    /// The name of its kind: `ecdsa-sha2-nistp256`, `ssh-rsa`, …
    let kind: String

    /// The same key as X.509 writes it, or why it cannot be used.
    let result: Result<PublicKey, Obstacle>

    /// Why a key cannot be used, to be put after a colon.
    struct Obstacle: Error {
        let text: String
    }

    /// Reads a key. One of an unknown kind is no failure: it can be listed.
    init(_ blob: [UInt8]) {
        var reader = SSHWireReader(blob)
        guard let kind = reader.name() else {
            self.kind = "unknown"
            result = .failure(Obstacle(text: "its public half cannot be read"))
            return
        }
        self.kind = kind
        result =
            switch kind {
            case "ssh-rsa": Self.rsaKey(&reader)
            case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521": Self.ecKey(&reader, kind: kind)
            default: .failure(Obstacle(text: Self.obstacle(of: kind)))
            }
    }

    /// The fingerprint that `ssh-keygen -l` prints.
    static func fingerprint(of blob: [UInt8]) -> String {
        let base64 = Data(Digest.sha256.hash(blob)).base64EncodedString()
        return "SHA256:" + base64.prefix { $0 != "=" }
    }

    private static func rsaKey(_ reader: inout SSHWireReader) -> Result<PublicKey, Obstacle> {
        guard let exponent = reader.magnitude(), let modulus = reader.magnitude(), reader.isAtEnd else {
            return .failure(Obstacle(text: "its public half cannot be read"))
        }
        // RFC 3279 §2.3.1: the parameters are NULL.
        return key(
            DER.sequence([DER.objectIdentifier("1.2.840.113549.1.1.1"), [0x05, 0x00]]),
            DER.sequence([DER.unsignedInteger(modulus), DER.unsignedInteger(exponent)])
        ) { if case .rsa = $0 { true } else { false } }
    }

    private static func ecKey(_ reader: inout SSHWireReader, kind: String) -> Result<PublicKey, Obstacle> {
        let curves = [
            "nistp256": ("1.2.840.10045.3.1.7", "prime256v1"), "nistp384": ("1.3.132.0.34", "secp384r1"),
            "nistp521": ("1.3.132.0.35", "secp521r1"),
        ]
        guard let name = reader.name(), kind.hasSuffix(name), let (curve, known) = curves[name],
            let point = reader.string(), point.first == 0x04, reader.isAtEnd
        else { return .failure(Obstacle(text: "its public half cannot be read")) }
        return key(
            DER.sequence([DER.objectIdentifier("1.2.840.10045.2.1"), DER.objectIdentifier(curve)]),
            point
        ) { $0 == .ec(curve: known) }
    }

    /// Puts a SubjectPublicKeyInfo together and lets libcrypto judge it.
    private static func key(
        _ algorithm: [UInt8],
        _ bits: [UInt8],
        isKnown: (KeyAlgorithm) -> Bool
    ) -> Result<PublicKey, Obstacle> {
        guard let key = try? PublicKey(derEncoded: DER.sequence([algorithm, DER.bitString(bits)])),
            isKnown(key.algorithm)
        else { return .failure(Obstacle(text: "its public half is not a valid key")) }
        return .success(key)
    }

    private static func obstacle(of kind: String) -> String {
        if kind.contains("-cert-v") {
            return
                "it is a certificate of OpenSSH, which signs for SSH alone; its plain key can be used if the agent has it"
        }
        if kind.hasPrefix("sk-") {
            return "a FIDO security key signs data of its own around the message, which is no signature of X.509"
        }
        if kind == "ssh-ed25519" || kind == "ssh-ed448" {
            return "neither certificates here nor IAM Roles Anywhere use Edwards curves"
        }
        return "keys of the kind \(printable(kind, limit: 64)) are not supported"
    }
}
