// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Synchronization
import Testing

@testable import Lab

@Suite struct SessionCredentialsTests {
    private let key = [UInt8](1...32)
    private let claims = SessionClaims(
        roleARN: "arn:aws:iam::123456789012:role/path/web", roleName: "web", roleIdentifier: "AROAWEB",
        sessionName: "one", issuedAt: 1_772_366_400, expiration: 1_772_370_000, sourceIdentity: "CN=Ünïcode \"quoted\"",
        tags: ["x509Subject/CN": "web", "x509SAN/URI": "spiffe://a/b"],
        sessionPolicy: #"{"Version":"2012-10-17","Statement":[]}"#,
        sessionPolicyARNs: ["arn:aws:iam::aws:policy/ReadOnlyAccess"])

    private func credentials() -> SessionCredentials {
        SessionCredentials(claims, key: key, in: fixtureEnvironment())
    }

    @Test func `a token gives back what the session is, and the secret`() throws {
        let made = credentials()
        let opened = try #require(
            SessionCredentials.open(made.sessionToken, accessKeyIdentifier: made.accessKeyIdentifier, key: key))
        #expect(opened.claims == claims)
        #expect(opened.secretAccessKey == made.secretAccessKey)
        #expect(made.accessKeyIdentifier.hasPrefix("ASIA"))
        #expect(made.accessKeyIdentifier.count == 20)
        #expect(made.secretAccessKey.count == 40)
    }

    @Test func `a token that was altered anywhere is refused`() throws {
        let made = credentials()
        let prefix = 16
        var bytes = Array(try #require(Data(base64Encoded: String(made.sessionToken.dropFirst(prefix)))))
        for index in bytes.indices {
            bytes[index] ^= 1
            let token = made.sessionToken.prefix(prefix) + Data(bytes).base64EncodedString()
            let opened = SessionCredentials.open(String(token), accessKeyIdentifier: made.accessKeyIdentifier, key: key)
            #expect(opened == nil, "byte \(index)")
            bytes[index] ^= 1
        }
    }

    @Test func `a token goes with one access key and one lab`() {
        let made = credentials()
        #expect(SessionCredentials.open(made.sessionToken, accessKeyIdentifier: "ASIAOTHER", key: key) == nil)
        #expect(
            SessionCredentials.open(
                made.sessionToken, accessKeyIdentifier: made.accessKeyIdentifier, key: [UInt8](2...33)) == nil)
        for token in ["", "IQoJb3JpZ2luX2Vj", "IQoJb3JpZ2luX2VjAAAA", "x\(made.sessionToken)"] {
            #expect(SessionCredentials.open(token, accessKeyIdentifier: made.accessKeyIdentifier, key: key) == nil)
        }
    }

    @Test func `no description shows the secret`() {
        let credentials = credentials()
        var text = "\(credentials) \(String(reflecting: credentials)) "
        dump(credentials, to: &text)
        #expect(text.contains(credentials.accessKeyIdentifier))
        #expect(!text.contains(credentials.secretAccessKey))
        #expect(!text.contains(credentials.sessionToken))
    }
}
