// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport

extension PublicKey {
    /// Reads a SubjectPublicKeyInfo.
    ///
    /// A key of an algorithm that this libcrypto does not know is accepted: it can be compared and certified, not used.
    ///
    /// - Parameter derEncoded: The DER encoding.
    /// - Throws: ``CertificateError`` when the bytes are not a SubjectPublicKeyInfo.
    public init(derEncoded: [UInt8]) throws(CertificateError) {
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
            self = unsafe PublicKey(derEncoded: derEncoded, algorithm: KeyAlgorithm(key))
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

    /// A libcrypto key.
    func key() throws(OpenSSLError) -> Owned<KeyObject> {
        try unsafe derDecoded(derEncoded, by: "d2i_PUBKEY") { unsafe d2i_PUBKEY(nil, $0, $1) }
    }

    /// Checks a signature made in the way of ``SigningKey/signature(for:digest:)``.
    ///
    /// - Parameters:
    ///   - signature: The signature.
    ///   - message: The bytes that were signed.
    ///   - digest: The hash function for RSA and EC keys; not used for ML-DSA.
    /// - Returns: Whether the signature is this key's over this message; `false` also for a key that cannot be used.
    public func isValid(signature: [UInt8], for message: [UInt8], digest: Digest) -> Bool {
        guard let verifier = try? SignatureVerifier(self) else { return false }
        return verifier.isValid(signature: signature, for: message, digest: digest)
    }
}

extension PublicKey {
    /// The SHA-1 of the key's BIT STRING, the first method of RFC 5280 §4.2.1.2. It identifies; it protects nothing.
    func keyIdentifier() throws(OpenSSLError) -> [UInt8] {
        // SubjectPublicKeyInfo is the algorithm and a BIT STRING, whose first octet counts unused bits.
        guard let parts = DER.elements(inSequence: derEncoded), parts.count == 2, parts[1].tag == DER.bitString else {
            throw OpenSSLError(in: "SubjectPublicKeyInfo")
        }
        let key = Array(parts[1].contents.dropFirst())
        var hash = [UInt8](repeating: 0, count: 20)
        try unsafe check(EVP_Digest(key, key.count, &hash, nil, EVP_sha1(), nil), "EVP_Digest")
        return hash
    }
}
