// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import SystemSupport

/// A private key in a token, as a session sees it.
struct KeyObject: Sendable {
    let handle: CK_OBJECT_HANDLE
    let label: [UInt8]
    let identifier: [UInt8]
    let keyType: CK_KEY_TYPE
    /// Whether each signature wants the PIN.
    let alwaysAuthenticates: Bool

    /// The key for a message.
    var name: String { objectName(label: label, identifier: identifier) }
}

/// How an object is called in a message.
func objectName(label: [UInt8], identifier: [UInt8]) -> String {
    let text = printable(String(decoding: label, as: UTF8.self), limit: 60)
    let parts = [text.isEmpty ? nil : text, identifier.isEmpty ? nil : "id \(hexadecimal(identifier.prefix(32)))"]
    return parts.compactMap(\.self).joined(separator: " ").isEmpty
        ? "one without label and id" : parts.compactMap(\.self).joined(separator: " ")
}

extension Session {
    /// The private keys of a label and an identifier that can sign; nothing matches everything.
    func privateKeys(label: [UInt8]? = nil, identifier: [UInt8]? = nil) throws(CryptokiError) -> [KeyObject] {
        var attributes = [Attribute(CKA_CLASS, CKO_PRIVATE_KEY)]
        if let label { attributes.append(Attribute(CKA_LABEL, label)) }
        if let identifier { attributes.append(Attribute(CKA_ID, identifier)) }
        var keys: [KeyObject] = []
        for handle in try objects(attributes) where try flag(CKA_SIGN, of: handle) ?? true {
            keys.append(
                KeyObject(
                    handle: handle,
                    label: try value(CKA_LABEL, of: handle) ?? [],
                    identifier: try value(CKA_ID, of: handle) ?? [],
                    keyType: number(try value(CKA_KEY_TYPE, of: handle)) ?? .max,
                    alwaysAuthenticates: try flag(CKA_ALWAYS_AUTHENTICATE, of: handle) ?? false
                )
            )
        }
        return keys
    }

    /// What the token says are the public halves of a private key: what the key itself says, and public keys of the same
    /// identifier, or of the same label when it has none.
    func publicKeys(of key: KeyObject) throws(CryptokiError) -> [PublicKey] {
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
                add(PublicKeyInformation.rsa(modulus: modulus, exponent: exponent))
            case CKK_EC:
                guard let parameters = try value(CKA_EC_PARAMS, of: handle), !parameters.isEmpty,
                    let point = try value(CKA_EC_POINT, of: handle), !point.isEmpty
                else { continue }
                for information in PublicKeyInformation.ec(parameters: parameters, point: point) { add(information) }
            default: continue
            }
        }
        return keys
    }
}

/// SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) from what tokens keep of keys.
enum PublicKeyInformation {
    /// - Parameters:
    ///   - modulus: Big-endian.
    ///   - exponent: Big-endian.
    /// - Returns: The DER encoding.
    static func rsa(modulus: [UInt8], exponent: [UInt8]) -> [UInt8] {
        let key = DER.sequence([DER.unsignedInteger(modulus), DER.unsignedInteger(exponent)])
        // RFC 3279 §2.3.1: the parameters are NULL.
        let algorithm = DER.sequence([DER.objectIdentifier("1.2.840.113549.1.1.1"), [0x05, 0x00]])
        return DER.sequence([algorithm, DER.bitString(key)])
    }

    /// A point is an OCTET STRING around the point by the book, and the point alone in some tokens. Both begin with the
    /// same octet, so both are tried.
    ///
    /// - Parameters:
    ///   - parameters: The DER encoding of the curve.
    ///   - point: The point in either form.
    /// - Returns: What it may be; libcrypto accepts one at most.
    static func ec(parameters: [UInt8], point: [UInt8]) -> [[UInt8]] {
        var points = [point]
        if let wrapped = DER.elements(in: point[...]), wrapped.count == 1, wrapped[0].tag == DER.octetString {
            points.insert(Array(wrapped[0].contents), at: 0)
        }
        let algorithm = DER.sequence([DER.objectIdentifier("1.2.840.10045.2.1"), parameters])
        return points.map { DER.sequence([algorithm, DER.bitString($0)]) }
    }
}
