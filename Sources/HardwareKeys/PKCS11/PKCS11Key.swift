// SPDX-License-Identifier: Apache-2.0

package import Certificates
import CPKCS11
import Synchronization
import SystemSupport

/// A private key in a PKCS#11 token, which signs without ever leaving it. The key keeps a session with its token open.
/// When the session is lost (the token was pulled out and put back, another part of the process closed it) it is opened
/// again and the key looked for again, once for each signature, with the PIN that was accepted before. Signatures are
/// made one at a time, and each is checked before it is handed out. Calls block, for as long as the token takes or a
/// person at its keypad.
package final class PKCS11Key: SigningKey {
    /// The public half, proven to be this key's.
    package let publicKey: PublicKey

    package let label: String

    package let identifier: [UInt8]

    package let tokenLabel: String

    private let verifier: SignatureVerifier
    private let signer: Mutex<TokenSigner?>
    private let reopen: @Sendable () throws -> TokenSigner

    init(
        _ signer: TokenSigner, publicKey: PublicKey, reopen: @escaping @Sendable () throws -> TokenSigner
    ) throws(CertificateError) {
        verifier = try SignatureVerifier(publicKey)
        self.publicKey = publicKey
        label = String(decoding: signer.key.label, as: UTF8.self)
        identifier = signer.key.identifier
        tokenLabel = signer.token.name
        self.signer = Mutex(signer)
        self.reopen = reopen
    }

    /// Signs a message in the token; see `SigningKey`.
    package func signature(for message: [UInt8], digest: Digest) throws -> [UInt8] {
        do {
            return try signer.withLock { signer in
                if let open = signer {
                    // A failure may leave an operation unfinished, so the session is not used again.
                    signer = nil
                    do {
                        if let signature = try signature(by: open, message, digest) {
                            signer = open
                            return signature
                        }
                    } catch let error as CryptokiError where error.isLostSession {}
                }
                let reopened = try reopen()
                guard let signature = try signature(by: reopened, message, digest) else {
                    throw HardwareKeyError(
                        .mismatch, "the token \(tokenLabel) signs with another key than it did before")
                }
                signer = reopened
                return signature
            }
        } catch let error as CryptokiError {
            throw error.explained("the token \(tokenLabel) cannot sign")
        }
    }

    /// Returns a signature that this key's public half accepts; `nil` if it does not, because the handle now belongs to
    /// another object.
    private func signature(by signer: TokenSigner, _ message: [UInt8], _ digest: Digest) throws -> [UInt8]? {
        let signature = try signer.signature(for: message, digest: digest, algorithm: publicKey.algorithm)
        return verifier.isValid(signature: signature, for: message, digest: digest) ? signature : nil
    }
}

/// A key in an open session, ready to sign.
struct TokenSigner: Sendable {
    let session: Session
    let token: Token
    let key: TokenKey
    let address: PKCS11URI
    let pins: PINKeeper

    /// Signs a message in the way of ``SigningKey/signature(for:digest:)``.
    func signature(for message: [UInt8], digest: Digest, algorithm: KeyAlgorithm? = nil) throws -> [UInt8] {
        guard session.isCurrent else { throw CryptokiError(value: CKR_SESSION_HANDLE_INVALID, function: "C_SignInit") }
        let hash = digest.hash(message)
        switch key.keyType {
        case CKK_RSA: return try rawSignature(CKM_RSA_PKCS, of: SignatureEncoding.digestInfo(hash, digest))
        case CKK_EC:
            let cut = (algorithm?.namedCurve?.orderSize).map { Array(hash.prefix($0)) } ?? hash
            let signature = try rawSignature(CKM_ECDSA, of: cut)
            guard let encoded = SignatureEncoding.ecdsa(signature) else {
                throw HardwareKeyError(.failed, "the token \(token.name) made a malformed signature")
            }
            return encoded
        default:
            throw HardwareKeyError(
                .unsupported, "the key \(key.name) in the token \(token.name) is of a kind that is not supported",
                hint: "use an RSA or EC key")
        }
    }

    private func rawSignature(_ mechanism: CK_MECHANISM_TYPE, of data: [UInt8]) throws -> [UInt8] {
        try session.beginSignature(mechanism, key: key.handle)
        if key.alwaysAuthenticates { try pins.logInForSignature(session, to: token, by: address) }
        return try session.signature(of: data)
    }

    /// Returns the public key that is this key's, found by a signature; `nil` if none is.
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
    /// The input of RSASSA-PKCS1-v1_5's padding (RFC 8017 §9.2).
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

    /// The DER encoding (RFC 3279 §2.2.3) of a signature that is r and s, of the same length; `nil` if it is not two
    /// numbers.
    static func ecdsa(_ signature: [UInt8]) -> [UInt8]? {
        guard !signature.isEmpty, signature.count.isMultiple(of: 2) else { return nil }
        let half = signature.count / 2
        return DER.sequence([
            DER.unsignedInteger(Array(signature[..<half])), DER.unsignedInteger(Array(signature[half...])),
        ])
    }
}

/// A private key in a token, as a session sees it.
struct TokenKey: Sendable {
    let handle: CK_OBJECT_HANDLE
    let label: [UInt8]
    let identifier: [UInt8]
    let keyType: CK_KEY_TYPE
    /// Whether each signature requires the PIN.
    let alwaysAuthenticates: Bool

    var name: String { objectName(label: label, identifier: identifier) }
}

func objectName(label: [UInt8], identifier: [UInt8]) -> String {
    let text = printable(String(decoding: label, as: UTF8.self), limit: 60)
    let parts = [text.isEmpty ? nil : text, identifier.isEmpty ? nil : "id \(hexadecimal(identifier.prefix(32)))"]
    let name = parts.compactMap(\.self).joined(separator: " ")
    return name.isEmpty ? "one without label and id" : name
}

extension Session {
    /// The private keys with a label and an identifier that can sign; `nil` matches every one.
    func privateKeys(label: [UInt8]? = nil, identifier: [UInt8]? = nil) throws(CryptokiError) -> [TokenKey] {
        var attributes = [Attribute(CKA_CLASS, CKO_PRIVATE_KEY)]
        if let label { attributes.append(Attribute(CKA_LABEL, label)) }
        if let identifier { attributes.append(Attribute(CKA_ID, identifier)) }
        var keys: [TokenKey] = []
        for handle in try objects(attributes) where try flag(CKA_SIGN, of: handle) ?? true {
            keys.append(
                TokenKey(
                    handle: handle, label: try value(CKA_LABEL, of: handle) ?? [],
                    identifier: try value(CKA_ID, of: handle) ?? [],
                    keyType: number(try value(CKA_KEY_TYPE, of: handle)) ?? .max,
                    alwaysAuthenticates: try flag(CKA_ALWAYS_AUTHENTICATE, of: handle) ?? false))
        }
        return keys
    }

    /// The public halves of a private key by the token: from the key itself, and from public keys with the same
    /// identifier, or the same label when it has none.
    func publicKeys(of key: TokenKey) throws(CryptokiError) -> [PublicKey] {
        var keys: [PublicKey] = []
        func add(_ information: [UInt8]?) {
            guard let information, let key = try? PublicKey(derEncoded: information), !keys.contains(key) else {
                return
            }
            if case .other = key.algorithm { return }
            keys.append(key)
        }
        add(try value(CKA_PUBLIC_KEY_INFO, of: key.handle))
        let name =
            key.identifier.isEmpty ? Attribute(CKA_LABEL, key.label) : Attribute(CKA_ID, key.identifier)
        let attributes = [Attribute(CKA_CLASS, CKO_PUBLIC_KEY), Attribute(CKA_KEY_TYPE, key.keyType), name]
        for handle in [key.handle] + (name.value.isEmpty ? [] : try objects(attributes)) {
            switch key.keyType {
            case CKK_RSA:
                guard let modulus = try value(CKA_MODULUS, of: handle), !modulus.isEmpty,
                    let exponent = try value(CKA_PUBLIC_EXPONENT, of: handle), !exponent.isEmpty
                else { continue }
                add(PublicKey.rsaEncoding(modulus: modulus, exponent: exponent))
            case CKK_EC:
                guard let parameters = try value(CKA_EC_PARAMS, of: handle), !parameters.isEmpty,
                    let point = try value(CKA_EC_POINT, of: handle), !point.isEmpty
                else { continue }
                for point in points(in: point) { add(PublicKey.ecEncoding(parameters: parameters, point: point)) }
            default: continue
            }
        }
        return keys
    }
}

/// The points that a token's CKA_EC_POINT may be: an OCTET STRING around the point by the standard, the point alone in some
/// tokens. Both begin with the same octet; libcrypto accepts one at most.
func points(in value: [UInt8]) -> [[UInt8]] {
    guard let wrapped = DER.elements(in: value[...]), wrapped.count == 1, wrapped[0].tag == DER.octetString else {
        return [value]
    }
    return [Array(wrapped[0].contents), value]
}
