// SPDX-License-Identifier: Apache-2.0

package import Certificates
import Enrolment
package import SystemSupport

/// Why a JSON Web Key or Signature is refused.
package struct JOSEError: Error, Equatable {
    package enum Code: Sendable {
        case malformed, badPublicKey, badSignatureAlgorithm
    }

    package let code: Code
    /// A sentence without a full stop.
    package let message: String

    init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }
}

/// A public key as JSON (RFC 7517): EC on a curve of NIST, RSA, or Ed25519 (RFC 8037).
package struct JSONWebKey: Hashable, Sendable {
    package let publicKey: PublicKey

    /// SHA-256 of the required members in the order of their names (RFC 7638).
    package let thumbprint: [UInt8]

    /// Reads a key. Its numbers have one spelling: EC coordinates are as long as the curve's field, RSA's numbers begin
    /// with no zero.
    package init(_ value: JSONValue) throws(JOSEError) {
        func refuse(_ why: String) -> JOSEError { JOSEError(.badPublicKey, "the key \(why)") }
        guard let members = value.members else { throw JOSEError(.malformed, "the key is not an object") }
        if let secret = members.first(where: { ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].contains($0.name) }) {
            throw refuse("has the private member \"\(secret.name)\"")
        }
        guard let kind = value["kty"]?.string else { throw JOSEError(.malformed, "the key has no \"kty\"") }
        func number(_ name: String) throws(JOSEError) -> [UInt8] {
            guard let octets = value[name]?.string.flatMap({ Base64URL.decode($0) }), !octets.isEmpty else {
                throw JOSEError(.malformed, "the key's \"\(name)\" is not base64url")
            }
            return octets
        }
        let encoded: [UInt8]
        switch kind {
        case "EC":
            guard let curve = NamedCurve.allCases.first(where: { $0.jsonName == value["crv"]?.string }) else {
                throw refuse("is not on P-256, P-384 or P-521")
            }
            let (x, y) = (try number("x"), try number("y"))
            guard x.count == curve.orderSize, y.count == curve.orderSize else {
                throw refuse("has coordinates of another length than its curve")
            }
            encoded = PublicKey.ecEncoding(
                parameters: DER.objectIdentifier(curve.objectIdentifier), point: [0x04] + x + y)
        case "RSA":
            let (modulus, exponent) = (try number("n"), try number("e"))
            guard (256...512).contains(modulus.count), modulus[0] != 0, modulus.count > 256 || modulus[0] >= 0x80 else {
                throw refuse("has a modulus that is not of 2048 to 4096 bits")
            }
            guard exponent.count <= 4, exponent[0] != 0, exponent[exponent.count - 1] & 1 == 1, exponent != [1] else {
                throw refuse("has a public exponent that is not odd, above 1 and of at most 32 bits")
            }
            encoded = PublicKey.rsaEncoding(modulus: modulus, exponent: exponent)
        case "OKP":
            guard value["crv"]?.string == "Ed25519" else { throw refuse("is not on Ed25519") }
            let octets = try number("x")
            guard octets.count == 32 else { throw refuse("has not 32 octets") }
            encoded = PublicKey.ed25519Prefix + octets
        default: throw refuse("is of a kind that is not EC, RSA or OKP")
        }
        guard let key = try? PublicKey(derEncoded: encoded), (try? SignatureVerifier(key)) != nil,
            let thumbprint = Self.thumbprint(of: key)
        else { throw refuse("is none: it is not on its curve, or not usable") }
        publicKey = key
        self.thumbprint = thumbprint
    }

    /// The thumbprint of a key that an account could have; `nil` for keys of other kinds.
    static func thumbprint(of key: PublicKey) -> [UInt8]? {
        guard let parts = DER.elements(inSequence: key.derEncoded), parts.count == 2 else { return nil }
        let octets = parts[1].contents.dropFirst()
        func number(_ octets: ArraySlice<UInt8>) -> JSONValue { .string(Base64URL.encode(Array(octets))) }
        let required: JSONValue
        if let curve = key.algorithm.namedCurve, octets.count == 1 + 2 * curve.orderSize {
            let point = octets.dropFirst()
            required = [
                "crv": .string(curve.jsonName), "kty": "EC", "x": number(point.prefix(curve.orderSize)),
                "y": number(point.suffix(curve.orderSize)),
            ]
        } else if case .rsa = key.algorithm, let numbers = DER.elements(inSequence: Array(octets)), numbers.count == 2 {
            let (modulus, exponent) = (numbers[0].contents.drop { $0 == 0 }, numbers[1].contents.drop { $0 == 0 })
            required = ["e": number(exponent), "kty": "RSA", "n": number(modulus)]
        } else if key.derEncoded.starts(with: PublicKey.ed25519Prefix) {
            required = ["crv": "Ed25519", "kty": "OKP", "x": number(octets)]
        } else {
            return nil
        }
        return Digest.sha256.hash(required.bytes)
    }
}

extension NamedCurve {
    /// The name in a JSON Web Key (RFC 7518 §6.2.1.1).
    fileprivate var jsonName: String {
        switch self {
        case .p256: "P-256"
        case .p384: "P-384"
        case .p521: "P-521"
        }
    }
}

extension PublicKey {
    /// What precedes the 32 octets of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410 §4).
    static let ed25519Prefix: [UInt8] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]
}
