// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport

extension PublicKey {
    /// Reads a SubjectPublicKeyInfo in the usual encoding of a curve of NIST; `nil` if it is another.
    init?(usualEncoding derEncoded: [UInt8]) {
        guard let encoding = EllipticKeyEncoding.all.first(where: { $0.point(of: derEncoded) != nil }),
            encoding.key(of: derEncoded) != nil
        else { return nil }
        self.init(derEncoded: derEncoded, algorithm: .ec(curve: encoding.curve.rawValue))
    }

    /// Reads a SubjectPublicKeyInfo. A key of an algorithm that this libcrypto does not know is accepted: it can be
    /// compared and certified, not used.
    public init(derEncoded: [UInt8]) throws(CertificateError) {
        if let key = PublicKey(usualEncoding: derEncoded) {
            self = key
            return
        }
        do {
            let info: Owned<PublicKeyInfoObject> = try unsafe derDecoded(derEncoded, by: "d2i_X509_PUBKEY") {
                unsafe d2i_X509_PUBKEY(nil, $0, $1)
            }
            self = unsafe PublicKey(derEncoded: derEncoded, info: info.pointer)
        } catch {
            throw CertificateError(.malformed, "the public key cannot be read: \(error)")
        }
    }

    /// Reads what libcrypto made of a SubjectPublicKeyInfo.
    init(derEncoded: [UInt8], info: OpaquePointer) {
        if let key = unsafe X509_PUBKEY_get0(info) {
            let algorithm = unsafe KeyAlgorithm(key)
            let usual = algorithm.namedCurve.flatMap { curve in
                EllipticKeyEncoding(curve).point(of: derEncoded) == nil ? unsafe usualEncoding(of: key, curve) : nil
            }
            self = PublicKey(derEncoded: derEncoded, algorithm: algorithm, usualEncoding: usual)
        } else {
            var algorithm: OpaquePointer?
            unsafe X509_PUBKEY_get0_param(&algorithm, nil, nil, nil, info)
            forgiveOpenSSLErrors()
            let kind: KeyAlgorithm =
                switch unsafe dottedText(of: algorithm) {
                case "2.16.840.1.101.3.4.3.17": .mlDSA(44)
                case "2.16.840.1.101.3.4.3.18": .mlDSA(65)
                case "2.16.840.1.101.3.4.3.19": .mlDSA(87)
                default: unsafe .other(name(of: algorithm))
                }
            self = PublicKey(derEncoded: derEncoded, algorithm: kind)
        }
    }

    func key() throws(OpenSSLError) -> Owned<KeyObject> {
        if let curve = algorithm.namedCurve,
            let key = EllipticKeyEncoding(curve).key(of: derEncoded)
        {
            return key
        }
        return try unsafe derDecoded(derEncoded, by: "d2i_PUBKEY") { unsafe d2i_PUBKEY(nil, $0, $1) }
    }

    /// Checks a signature as ``SigningKey/signature(for:digest:)`` makes it; `false` also for a key that cannot be used.
    public func isValid(signature: [UInt8], for message: [UInt8], digest: Digest) -> Bool {
        guard let verifier = try? SignatureVerifier(self) else { return false }
        return verifier.isValid(signature: signature, for: message, digest: digest)
    }

    /// The SHA-1 of the key's BIT STRING, the first method of RFC 5280 §4.2.1.2. It identifies and needs no security.
    func keyIdentifier() throws(OpenSSLError) -> [UInt8] {
        // SubjectPublicKeyInfo is the algorithm and a BIT STRING, whose first octet counts unused bits.
        guard let parts = DER.elements(inSequence: derEncoded), parts.count == 2, parts[1].tag == DER.bitString else {
            throw OpenSSLError(in: "SubjectPublicKeyInfo")
        }
        return sha1(Array(parts[1].contents.dropFirst()))
    }
}

/// Checks the signatures of one public key, from any thread. libcrypto takes longer to decode a key than to check a P-256
/// signature, so keep this value for a key that is used again.
@safe package final class SignatureVerifier: @unchecked Sendable {
    // SAFETY: the key is complete before `init` returns and never changed afterwards; libcrypto counts references
    // atomically and locks what it caches in a key, so that threads may verify with one key at once.
    private let key: Owned<KeyObject>
    package let publicKey: PublicKey

    package init(_ publicKey: PublicKey) throws(CertificateError) {
        do {
            key = try publicKey.key()
            self.publicKey = publicKey
        } catch {
            throw CertificateError(.unsupported, "the \(publicKey.algorithm) key cannot be used: \(error)")
        }
    }

    /// Whether libcrypto has the algorithm of a key.
    static func knows(_ publicKey: PublicKey) -> Bool { (try? SignatureVerifier(publicKey)) != nil }

    /// Checks a signature made in the way of ``SigningKey/signature(for:digest:)``.
    package func isValid(signature: [UInt8], for message: [UInt8], digest: Digest) -> Bool {
        defer { forgiveOpenSSLErrors() }
        guard let context = try? unsafe Owned<DigestContextObject>(EVP_MD_CTX_new(), from: "EVP_MD_CTX_new") else {
            return false
        }
        let method = unsafe publicKey.algorithm.usesDigest ? digest.method : nil
        let status = unsafe EVP_DigestVerifyInit(context.pointer, nil, method, nil, key.pointer)
        guard status == 1 else { return false }
        return unsafe EVP_DigestVerify(context.pointer, signature, signature.count, message, message.count) == 1
    }
}

extension SignatureVerifier {
    /// ``Certificate/hasSigned(_:)`` for many certificates; `nil` for signatures that are not checked here.
    package func hasSigned(_ certificate: Certificate) -> Bool? {
        guard let parts = DER.elements(inSequence: certificate.derEncoded), parts.count == 3,
            let result = hasSigned(parts, by: certificate.signatureAlgorithm)
        else { return nil }
        // The signed part has the algorithm too, after version and serial number (RFC 5280 §4.1.2.3).
        let fields = DER.elements(in: parts[0].contents)
        return result && fields?.first(where: { $0.tag == DER.sequence })?.contents == parts[1].contents
    }

    /// Checks a signature as certificates and requests have it: after what is signed and the algorithm. `nil` for those
    /// that are not checked here.
    func hasSigned(_ parts: [DER.Element], by algorithm: SignatureAlgorithm) -> Bool? {
        guard let digest = Digest.allCases.first(where: { $0.rawValue.uppercased() == algorithm.digest }),
            algorithm.name == signatureName(digest), parts[2].tag == DER.bitString, parts[2].contents.first == 0
        else { return nil }
        return isValid(
            signature: Array(parts[2].contents.dropFirst()), for: Array(parts[0].encoding), digest: digest)
    }

    /// X.509's names of the signatures that ``isValid(signature:for:digest:)`` checks.
    private func signatureName(_ digest: Digest) -> String? {
        switch publicKey.algorithm {
        case .rsa: "\(digest.rawValue)WithRSAEncryption"
        case .ec: "ecdsa-with-\(digest.rawValue.uppercased())"
        default: nil
        }
    }
}
