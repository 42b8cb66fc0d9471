// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import SystemSupport

/// A key in an open session, ready to sign.
struct TokenSigner: Sendable {
    let session: Session
    let token: Token
    let key: KeyObject
    let address: PKCS11URI
    let pins: PINKeeper

    /// Signs a message in the way of ``SigningKey/signature(for:digest:)``.
    ///
    /// - Parameters:
    ///   - message: The message.
    ///   - digest: The hash function.
    ///   - algorithm: The key's, when it is known: a hash that is longer than a curve's order is cut.
    /// - Returns: The signature.
    /// - Throws: ``CryptokiError``, ``HardwareKeyError``, or what the source of PINs throws.
    func signature(for message: [UInt8], digest: Digest, algorithm: KeyAlgorithm? = nil) throws -> [UInt8] {
        guard session.isCurrent else { throw CryptokiError(value: CKR_SESSION_HANDLE_INVALID, function: "C_SignInit") }
        let hash = digest.hash(message)
        switch key.keyType {
        case CKK_RSA: return try rawSignature(CKM_RSA_PKCS, of: SignatureEncoding.digestInfo(hash, digest))
        case CKK_EC:
            let cut = SignatureEncoding.orderSize(algorithm).map { Array(hash.prefix($0)) } ?? hash
            let signature = try rawSignature(CKM_ECDSA, of: cut)
            guard let encoded = SignatureEncoding.ecdsa(signature) else {
                throw HardwareKeyError(.failed, "the token \(token.name) made a signature that is none")
            }
            return encoded
        default:
            throw HardwareKeyError(
                .unsupported,
                "the key \(key.name) in the token \(token.name) is of a kind that is not supported",
                hint: "use an RSA or EC key"
            )
        }
    }

    private func rawSignature(_ mechanism: CK_MECHANISM_TYPE, of data: [UInt8]) throws -> [UInt8] {
        try session.beginSignature(mechanism, key: key.handle)
        if key.alwaysAuthenticates { try pins.logInForSignature(session, to: token, by: address) }
        return try session.signature(of: data)
    }

    /// Which of some public keys is this key's, found out by a signature.
    ///
    /// - Parameter publicKeys: The public keys.
    /// - Returns: The one, or nothing.
    /// - Throws: What ``signature(for:digest:algorithm:)`` throws.
    func proven(among publicKeys: [PublicKey]) throws -> PublicKey? {
        let possible = publicKeys.filter { publicKey in
            switch publicKey.algorithm {
            case .rsa: key.keyType == CKK_RSA
            case .ec: key.keyType == CKK_EC
            case .mlDSA, .other: false
            }
        }
        guard !possible.isEmpty else { return nil }
        let message = Array("a signature to prove whose key this is".utf8)
        let signature = try signature(for: message, digest: .sha256)
        return possible.first { $0.isValid(signature: signature, for: message, digest: .sha256) }
    }
}

/// The forms between what tokens sign and what signatures are.
enum SignatureEncoding {
    /// What RSASSA-PKCS1-v1_5 pads and signs (RFC 8017 §9.2).
    static func digestInfo(_ hash: [UInt8], _ digest: Digest) -> [UInt8] {
        let identifier =
            switch digest {
            case .sha256: "2.16.840.1.101.3.4.2.1"
            case .sha384: "2.16.840.1.101.3.4.2.2"
            case .sha512: "2.16.840.1.101.3.4.2.3"
            }
        let algorithm = DER.sequence([DER.objectIdentifier(identifier), [0x05, 0x00]])
        return DER.sequence([algorithm, DER.encode(DER.octetString, hash)])
    }

    /// How many octets the order of a curve has.
    static func orderSize(_ algorithm: KeyAlgorithm?) -> Int? {
        switch algorithm {
        case .ec("prime256v1"): 32
        case .ec("secp384r1"): 48
        case .ec("secp521r1"): 66
        default: nil
        }
    }

    /// The DER encoding (RFC 3279 §2.2.3) of a signature that is r and s, of the same length, one after the other.
    ///
    /// - Parameter signature: r and s.
    /// - Returns: The encoding, or nothing when it is not two numbers.
    static func ecdsa(_ signature: [UInt8]) -> [UInt8]? {
        guard !signature.isEmpty, signature.count.isMultiple(of: 2) else { return nil }
        let half = signature.count / 2
        return DER.sequence([
            DER.unsignedInteger(Array(signature[..<half])), DER.unsignedInteger(Array(signature[half...])),
        ])
    }
}
