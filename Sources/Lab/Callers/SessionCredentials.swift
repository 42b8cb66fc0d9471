// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

/// The credentials of a session. No description shows the secret.
///
/// The token holds the session's claims, and a code over them that only the lab can make; the access key is part of it, and
/// the secret is derived from it and the lab's key. The lab therefore stores no session, and a session outlives its lab
/// when the key does.
struct SessionCredentials: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// How tokens of STS begin.
    private static let tokenPrefix = "IQoJb3JpZ2luX2Vj"

    private static let nonceLength = 16

    var accessKeyIdentifier: String
    var secretAccessKey: String
    var sessionToken: String
    var expiration: Date

    /// Creates credentials with the lab's key.
    init(_ claims: SessionClaims, key: [UInt8], in environment: LabEnvironment) {
        let nonce = environment.randomBytes(Self.nonceLength)
        let sealed = nonce + claims.encoded
        let code = HMACSHA256.code(sealed, key: key)
        accessKeyIdentifier = Self.accessKeyIdentifier(nonce)
        secretAccessKey = Self.secretAccessKey(sealed, key)
        sessionToken = Self.tokenPrefix + Data(sealed + code).base64EncodedString()
        expiration = Date(timeIntervalSince1970: Double(claims.expiration))
    }

    /// Reads a token; `nil` if the lab did not make it, or if it was altered or belongs to another access key.
    static func open(
        _ token: String, accessKeyIdentifier: String, key: [UInt8]
    ) -> (claims: SessionClaims, secretAccessKey: String)? {
        guard token.hasPrefix(tokenPrefix), token.utf8.count < 65_536,
            let data = Data(base64Encoded: String(token.dropFirst(tokenPrefix.count))),
            // Bits that are lost in decoding could be altered unseen.
            token.dropFirst(tokenPrefix.count) == data.base64EncodedString()
        else { return nil }
        let bytes = Array(data)
        guard bytes.count > nonceLength + 32 else { return nil }
        let sealed = Array(bytes.dropLast(32))
        guard areEqual(Array(bytes.suffix(32)), HMACSHA256.code(sealed, key: key)),
            Self.accessKeyIdentifier(Array(sealed.prefix(nonceLength))) == accessKeyIdentifier,
            let claims = SessionClaims(encoded: Array(sealed.dropFirst(nonceLength)))
        else { return nil }
        return (claims, secretAccessKey(sealed, key))
    }

    private static func accessKeyIdentifier(_ nonce: [UInt8]) -> String { "ASIA" + Base32.characters(nonce) }

    private static func secretAccessKey(_ sealed: [UInt8], _ key: [UInt8]) -> String {
        let secret = HMACSHA256.code(Array("secret access key".utf8) + sealed, key: key)
        return Data(secret.prefix(30)).base64EncodedString()
    }

    var description: String {
        "SessionCredentials(accessKeyIdentifier: \"\(accessKeyIdentifier)\", secretAccessKey: <redacted>)"
    }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: ["accessKeyIdentifier": accessKeyIdentifier]) }
}

/// What a session token says of its session.
struct SessionClaims: Hashable, Sendable {
    var roleARN: String
    var roleName: String
    var roleIdentifier: String
    var sessionName: String
    /// Seconds since 1970, as ``expiration``.
    var issuedAt: Int
    var expiration: Int
    var sourceIdentity: String?
    /// The session's tags, which policies know as `aws:PrincipalTag/…`.
    var tags: [String: String]
    /// The keys of the tags that are handed on to a session that is made with this one.
    var transitiveTagKeys: [String] = []
    /// The policy that limits the session, as JSON: the profile's, or that of the request to AssumeRole. Later changes to
    /// the profile make no difference.
    var sessionPolicy: String?
    /// The managed policies that limit the session, from the same place.
    var sessionPolicyARNs: [String] = []

    /// The session's own ARN.
    func assumedRole(in environment: LabEnvironment) -> String {
        environment.globalARN("sts", "assumed-role/\(roleName)/\(sessionName)").description
    }

    /// The claims as the token carries them. An encoder would cost more than the rest of a session.
    fileprivate var encoded: [UInt8] {
        JSONValue.compact([
            "r": .string(roleARN), "n": .string(roleName), "i": .string(roleIdentifier), "s": .string(sessionName),
            "b": .integer(issuedAt), "e": .integer(expiration), "o": JSONValue(sourceIdentity),
            "l": JSONValue(sessionPolicy),
            "a": sessionPolicyARNs.isEmpty ? .null : JSONValue(sessionPolicyARNs),
            "k": transitiveTagKeys.isEmpty ? .null : JSONValue(transitiveTagKeys), "t": JSONValue(sorted: tags),
        ]).bytes
    }
}

extension SessionClaims {
    fileprivate init?(encoded: [UInt8]) {
        guard let value = try? JSONReader.value(of: encoded), let roleARN = value["r"]?.string,
            let roleName = value["n"]?.string, let roleIdentifier = value["i"]?.string,
            let sessionName = value["s"]?.string, let issuedAt = value["b"]?.integer,
            let expiration = value["e"]?.integer, let tags = value["t"]?.members
        else { return nil }
        self.init(
            roleARN: roleARN,
            roleName: roleName,
            roleIdentifier: roleIdentifier,
            sessionName: sessionName,
            issuedAt: issuedAt,
            expiration: expiration,
            sourceIdentity: value["o"]?.string,
            tags: tags.reduce(into: [:]) { $0[$1.name] = $1.value.string ?? "" },
            transitiveTagKeys: value["k"]?.array?.compactMap(\.string) ?? [],
            sessionPolicy: value["l"]?.string,
            sessionPolicyARNs: value["a"]?.array?.compactMap(\.string) ?? []
        )
    }
}
