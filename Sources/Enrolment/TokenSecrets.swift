// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// The secrets of join tokens: each an HMAC of the token's identifier with a key of the CA's directory, so that none is
/// stored and none can be read from a copy of the inventory.
package struct TokenSecrets: Sendable {
    private let key: [UInt8]

    /// - Parameter key: At least 32 random octets; see `Inventory.tokenKey`.
    package init(key: [UInt8]) { self.key = key }

    /// The secret of a token: 32 octets, EAB's HMAC key.
    package func secret(of identifier: String) -> [UInt8] {
        HMACSHA256.code(Array("pki join token 1\n\(identifier)".utf8), key: key)
    }

    /// Whether a secret is that of the token, in a time that does not depend on it.
    package func isSecret(_ secret: [UInt8], of identifier: String) -> Bool {
        areEqual(secret, self.secret(of: identifier))
    }

    /// Whether a text is the secret of the token in base64url, as HTTP Basic carries it.
    package func isSecret(text: String, of identifier: String) -> Bool {
        areEqual(Array(text.utf8), Array(Base64URL.encode(secret(of: identifier)).utf8))
    }

    /// The identifier of a new token, whose secret does not begin with a hyphen: it would read as an option of an ACME
    /// client.
    package func newToken(using generator: inout some RandomNumberGenerator) -> String {
        while true {
            let identifier = Self.newIdentifier(using: &generator)
            if !Base64URL.encode(secret(of: identifier)).hasPrefix("-") { return identifier }
        }
    }

    /// A new identifier: 72 random bits in base64url.
    package static func newIdentifier(using generator: inout some RandomNumberGenerator) -> String {
        var octets: [UInt8] = []
        while octets.count < 9 { octets.append(UInt8.random(in: 0...255, using: &generator)) }
        // One that begins with a hyphen would read as an option.
        let text = Base64URL.encode(octets)
        return text.hasPrefix("-") ? "A" + text.dropFirst() : text
    }
}

/// A join token as it is given to a client: `KID.SECRET.FINGERPRINT` in one line.
///
/// The identifier is EST's user name and ACME's key identifier; the secret, in base64url, is EST's password and ACME's
/// HMAC key; the fingerprint is the SHA-256 of the root's certificate in hexadecimal, by which the client knows the CA.
package struct TokenText: Hashable, Sendable {
    package let identifier: String
    package let secret: [UInt8]
    /// 32 octets.
    package let fingerprint: [UInt8]

    package init(identifier: String, secret: [UInt8], fingerprint: [UInt8]) {
        (self.identifier, self.secret, self.fingerprint) = (identifier, secret, fingerprint)
    }

    /// Reads what ``text`` wrote; `nil` for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, (1...64).contains(parts[0].utf8.count), Base64URL.decode(parts[0]) != nil,
            let secret = Base64URL.decode(parts[1]), secret.count == 32, parts[2].utf8.count == 64,
            let fingerprint = octets(hexadecimal: Array(parts[2].utf8))
        else { return nil }
        self.init(identifier: String(parts[0]), secret: secret, fingerprint: fingerprint)
    }

    /// The line; a secret.
    package var text: String {
        "\(identifier).\(Base64URL.encode(secret)).\(hexadecimal(fingerprint))"
    }
}

/// Base64 with the URL and filename safe alphabet and without padding (RFC 4648 §5, RFC 7515 §2).
package enum Base64URL {
    package static func encode(_ octets: [UInt8]) -> String {
        String(
            decoding: Data(octets).base64EncodedString().utf8.compactMap { octet in
                switch octet {
                case UInt8(ascii: "+"): UInt8(ascii: "-")
                case UInt8(ascii: "/"): UInt8(ascii: "_")
                case UInt8(ascii: "="): nil
                default: octet
                }
            }, as: UTF8.self)
    }

    /// `nil` if the text is not what ``encode(_:)`` writes: another alphabet, padding, bits after the last octet.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var plain: [UInt8] = []
        plain.reserveCapacity(text.utf8.count + 3)
        for octet in text.utf8 {
            switch octet {
            case UInt8(ascii: "-"): plain.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): plain.append(UInt8(ascii: "/"))
            case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
            default: plain.append(octet)
            }
        }
        while plain.count % 4 != 0 { plain.append(UInt8(ascii: "=")) }
        guard let data = Data(base64Encoded: Data(plain)) else { return nil }
        let octets = Array(data)
        return encode(octets).utf8.elementsEqual(text.utf8) ? octets : nil
    }
}
