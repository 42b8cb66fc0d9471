// SPDX-License-Identifier: Apache-2.0

package import Certificates
import Enrolment
package import SystemSupport

/// A JSON Web Signature with one signature and without unprotected members (RFC 7515 §7.2.2), as ACME sends it.
package struct JSONWebSignature: Sendable {
    /// The algorithms that are accepted (RFC 7518 §3.1, RFC 8037 §3.1). Those with a shared secret verify nothing by a
    /// public key.
    package enum Algorithm: String, Sendable, CaseIterable {
        case es256 = "ES256"
        case es384 = "ES384"
        case es512 = "ES512"
        case rs256 = "RS256"
        case edDSA = "EdDSA"
        case hs256 = "HS256"

        /// Those for public keys.
        package static let ofPublicKeys = allCases.filter { $0 != .hs256 }
    }

    /// Whose signature it claims to be.
    package enum Signer: Hashable, Sendable {
        /// The key in it.
        case key(JSONWebKey)
        /// The key with this identifier.
        case identifier(String)
    }

    package let algorithm: Algorithm
    /// `nil` if it does not say.
    package let signer: Signer?
    /// Where it is sent to; `nil` if it does not say.
    package let url: String?
    package let nonce: String?
    package let payload: [UInt8]
    /// What is signed: both parts in base64url, with a dot between.
    private let signed: [UInt8]
    private let signature: [UInt8]

    /// Reads a JWS; its signature is not verified.
    package init(_ bytes: [UInt8]) throws(JOSEError) { try self.init(Self.object(bytes, "the JWS")) }

    package init(_ value: JSONValue) throws(JOSEError) {
        func part(_ name: String) throws(JOSEError) -> (text: String, octets: [UInt8]) {
            guard let text = value[name]?.string, let octets = Base64URL.decode(text) else {
                throw JOSEError(.malformed, "the JWS's \"\(name)\" is not base64url without padding")
            }
            return (text, octets)
        }
        guard let members = value.members else { throw JOSEError(.malformed, "the JWS is not an object") }
        if let other = members.first(where: { !["protected", "payload", "signature"].contains($0.name) }) {
            throw JOSEError(
                .malformed,
                "the JWS has the member \"\(printable(other.name, limit: 40))\" besides the three it may have")
        }
        let (protected, payload) = (try part("protected"), try part("payload"))
        signature = try part("signature").octets
        self.payload = payload.octets
        signed = Array("\(protected.text).\(payload.text)".utf8)

        let header = try Self.object(protected.octets, "the protected header")
        for name in ["crit", "b64"] where header[name] != nil {
            throw JOSEError(.malformed, "the protected header has \"\(name)\", which is not supported")
        }
        guard let name = header["alg"]?.string else {
            throw JOSEError(.malformed, "the protected header has no \"alg\"")
        }
        guard let algorithm = Algorithm(rawValue: name) else {
            throw JOSEError(
                .badSignatureAlgorithm, "the algorithm \(printable(name, limit: 40)) is not supported")
        }
        self.algorithm = algorithm
        func text(_ name: String) throws(JOSEError) -> String? {
            guard let value = header[name] else { return nil }
            guard let text = value.string else { throw JOSEError(.malformed, "\"\(name)\" is not a string") }
            return text
        }
        (url, nonce) = (try text("url"), try text("nonce"))
        if let nonce, Base64URL.decode(nonce) == nil {
            throw JOSEError(.malformed, "\"nonce\" is not base64url without padding")
        }
        switch (header["jwk"], try text("kid")) {
        case (let key?, nil): signer = .key(try JSONWebKey(key))
        case (nil, let identifier?): signer = .identifier(identifier)
        case (nil, nil): signer = nil
        default: throw JOSEError(.malformed, "the protected header has both \"jwk\" and \"kid\"")
        }
    }

    /// Reads an object.
    package static func object(_ bytes: [UInt8], _ what: String) throws(JOSEError) -> JSONValue {
        do {
            let value = try JSONReader.value(of: bytes)
            guard value.members != nil else { throw JOSEError(.malformed, "\(what) is not an object") }
            return value
        } catch let error as JOSEError {
            throw error
        } catch {
            throw JOSEError(
                .malformed,
                "\(what) is not JSON: \(printable((error as? JSONError)?.message ?? "", limit: 200))")
        }
    }

    /// Throws if it was not signed by a key. The algorithm must be that of the key's kind and curve.
    package func verify(by key: PublicKey) throws(JOSEError) {
        let (digest, encoded): (Digest, [UInt8])
        switch algorithm {
        case .es256: (digest, encoded) = (.sha256, try ellipticSignature(on: .p256, key))
        case .es384: (digest, encoded) = (.sha384, try ellipticSignature(on: .p384, key))
        case .es512: (digest, encoded) = (.sha512, try ellipticSignature(on: .p521, key))
        case .rs256:
            guard case .rsa = key.algorithm else { throw mismatch(key) }
            (digest, encoded) = (.sha256, signature)
        case .edDSA:
            guard key.derEncoded.starts(with: PublicKey.ed25519Prefix) else { throw mismatch(key) }
            (digest, encoded) = (.sha512, signature)
        case .hs256: throw JOSEError(.badSignatureAlgorithm, "HS256 is not a signature by a public key")
        }
        guard key.isValid(signature: encoded, for: signed, digest: digest) else {
            throw JOSEError(.malformed, "the signature does not verify")
        }
    }

    private func mismatch(_ key: PublicKey) -> JOSEError {
        JOSEError(.malformed, "\(algorithm.rawValue) is not an algorithm for a key of the kind \(key.algorithm)")
    }

    /// The two numbers of an ECDSA signature, each as long as the curve's order (RFC 7518 §3.4), in DER.
    private func ellipticSignature(on curve: NamedCurve, _ key: PublicKey) throws(JOSEError) -> [UInt8] {
        guard key.algorithm.namedCurve == curve else { throw mismatch(key) }
        guard signature.count == 2 * curve.orderSize else {
            throw JOSEError(.malformed, "the signature does not verify: it has \(signature.count) octets")
        }
        return DER.sequence([
            DER.unsignedInteger(Array(signature.prefix(curve.orderSize))),
            DER.unsignedInteger(Array(signature.suffix(curve.orderSize))),
        ])
    }

    /// Whether a shared secret made it, by HS256.
    package func isAuthenticated(by secret: [UInt8]) -> Bool {
        algorithm == .hs256 && areEqual(signature, HMACSHA256.code(signed, key: secret))
    }
}
