// SPDX-License-Identifier: Apache-2.0

import Certificates
import Enrolment
import SystemSupport
import Testing
@testable import EnrolmentService

/// A signature of a document, with its key.
private struct Vector: Sendable, CustomTestStringConvertible {
    let source: String
    let key: String
    let protected: String
    let payload: String
    let signature: String

    var testDescription: String { source }

    func message(signature: String? = nil, payload: String? = nil) throws -> JSONWebSignature {
        try JSONWebSignature([
            "protected": .string(protected), "payload": .string(payload ?? self.payload),
            "signature": .string(signature ?? self.signature),
        ])
    }

    static let claims =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

    static let all = [
        Vector(
            source: "RFC 7515 A.2: RS256",
            key: """
                {"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL\
                -yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2\
                R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW\
                yuXpoQ","e":"AQAB"}
                """,
            protected: "eyJhbGciOiJSUzI1NiJ9", payload: claims,
            signature: """
                cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZ\
                cAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHW\
                EsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw
                """),
        Vector(
            source: "RFC 7515 A.3: ES256",
            key: """
                {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",\
                "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
                """,
            protected: "eyJhbGciOiJFUzI1NiJ9", payload: claims,
            signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
        Vector(
            source: "RFC 7515 A.4: ES512",
            key: """
                {"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",\
                "y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}
                """,
            protected: "eyJhbGciOiJFUzUxMiJ9", payload: "UGF5bG9hZA",
            signature: """
                AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3\
                xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn
                """),
        Vector(
            source: "RFC 8037 A.4: EdDSA",
            key: #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            protected: "eyJhbGciOiJFZERTQSJ9", payload: "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
    ]
}

private func value(_ text: String) throws -> JSONValue { try JSONReader.value(of: Array(text.utf8)) }

struct JSONWebKeyTests {
    @Test(arguments: [
        (
            #"""
            {"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiF\#
            V4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5\#
            hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e":"AQAB","alg":"RS256","kid":"2011-04-29"}
            """#, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        ),
        (
            #"{"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kty":"OKP","crv":"Ed25519"}"#,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        ),
    ])
    func `the thumbprint is that of RFC 7638 and RFC 8037`(key: String, thumbprint: String) throws {
        #expect(Base64URL.encode(try JSONWebKey(value(key)).thumbprint) == thumbprint)
    }

    @Test(arguments: [
        ("[]", JOSEError.Code.malformed), ("{}", .malformed), (#"{"kty":1}"#, .malformed),
        (#"{"kty":"oct","k":"AAAA"}"#, .badPublicKey), (#"{"kty":"oct"}"#, .badPublicKey),
        (#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#, .badPublicKey),
        (#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#, .badPublicKey),
        (#"{"kty":"EC","crv":"P-256","x":"A+==","y":"AA"}"#, .malformed),
        // A point that is not on the curve.
        (
            #"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}"#,
            .badPublicKey
        ),
        (#"{"kty":"OKP","crv":"Ed448","x":"AA"}"#, .badPublicKey),
        (#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#, .badPublicKey),
        (#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AA"}"#, .badPublicKey),
        (#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, .badPublicKey),
    ])
    func `what is not one public key is refused`(key: String, code: JOSEError.Code) throws {
        let error = #expect(throws: JOSEError.self) { try JSONWebKey(value(key)) }
        #expect(error?.code == code)
    }

    @Test(arguments: ["AA", "AQ", "Ag", "AAEAAQ", "AQAAAAE"])
    func `an RSA key has an odd public exponent above 1`(exponent: String) throws {
        var members = try #require(try value(Vector.all[0].key).members)
        members[members.count - 1].value = .string(exponent)
        #expect(throws: JOSEError.self) { try JSONWebKey(.object(members)) }
    }
}

struct JSONWebSignatureTests {
    @Test(arguments: Vector.all)
    private func `the signatures of the RFCs verify and no other`(vector: Vector) throws {
        let key = try JSONWebKey(value(vector.key)).publicKey
        try vector.message().verify(by: key)
        let other = vector.signature.replacing(vector.signature.prefix(1), with: "Z", maxReplacements: 1)
        #expect(throws: JOSEError.self) { try vector.message(signature: other).verify(by: key) }
        #expect(throws: JOSEError.self) { try vector.message(payload: "AAAA").verify(by: key) }
        #expect(throws: JOSEError.self) { try vector.message(signature: "").verify(by: key) }
        #expect(try !vector.message().isAuthenticated(by: key.derEncoded))
    }

    @Test func `no key verifies the algorithm of another`() throws {
        for vector in Vector.all {
            for other in Vector.all where other.source != vector.source {
                let key = try JSONWebKey(value(other.key)).publicKey
                #expect(throws: JOSEError.self) { try vector.message().verify(by: key) }
            }
        }
    }

    @Test func `HS256 is that of RFC 7515 and needs the secret`() throws {
        let message = try JSONWebSignature([
            "protected": "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "payload": .string(Vector.claims),
            "signature": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ])
        let secret = try #require(
            Base64URL.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"))
        #expect(message.isAuthenticated(by: secret))
        #expect(!message.isAuthenticated(by: secret + [0]))
        let key = try JSONWebKey(value(Vector.all[0].key)).publicKey
        #expect(throws: JOSEError.self) { try message.verify(by: key) }
    }

    @Test(arguments: [
        (#"{"alg":"none"}"#, JOSEError.Code.badSignatureAlgorithm), (#"{"alg":"PS256"}"#, .badSignatureAlgorithm),
        ("{}", .malformed), ("[]", .malformed), ("", .malformed), (#"{"alg":"ES256","crit":["exp"]}"#, .malformed),
        (#"{"alg":"ES256","b64":false}"#, .malformed), (#"{"alg":"ES256","alg":"none"}"#, .malformed),
        (#"{"alg":"ES256","kid":1}"#, .malformed), (#"{"alg":"ES256","kid":"a","jwk":{"kty":"oct"}}"#, .malformed),
        (#"{"alg":"ES256","url":["x"]}"#, .malformed),
        (
            #"{"alg":"EdDSA","kid":"a","jwk":{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#,
            .malformed
        ),
    ])
    func `a header that says too much or too little is refused`(header: String, code: JOSEError.Code) throws {
        let error = #expect(throws: JOSEError.self) {
            try JSONWebSignature([
                "protected": .string(Base64URL.encode(Array(header.utf8))), "payload": "", "signature": "",
            ])
        }
        #expect(error?.code == code)
    }

    @Test(arguments: [
        "", "{", "[]", "{}", #"{"protected":"","payload":"","signature":""}"#,
        #"{"protected":"eyJhbGciOiJFUzI1NiJ9","payload":"","signature":"","header":{}}"#,
        #"{"protected":"eyJhbGciOiJFUzI1NiJ9","payload":"AA==","signature":""}"#,
        #"{"protected":"eyJhbGciOiJFUzI1NiJ9","payload":"","payload":"","signature":""}"#,
        #"{"protected":"eyJhbGciOiJFUzI1NiJ9","payload":"","signatures":[]}"#,
        #"{"protected":"eyJhbGciOiJFUzI1NiJ9","payload":"","signature":""} {}"#,
    ])
    func `a message of another form is refused`(text: String) {
        let error = #expect(throws: JOSEError.self) { try JSONWebSignature(Array(text.utf8)) }
        #expect(error?.code == .malformed)
    }
}

struct ACMENoncesTests {
    @Test func `each is good once and only here`() {
        let nonces = ACMENonces(key: Array(repeating: 1, count: 32))
        let (first, second) = (nonces.next(), nonces.next())
        #expect(nonces.redeem(second))
        #expect(nonces.redeem(first))
        #expect(!nonces.redeem(first))
        #expect(!ACMENonces(key: Array(repeating: 2, count: 32)).redeem(nonces.next()))
        for text in ["", "AAAA", String(repeating: "A", count: 32)] { #expect(!nonces.redeem(text)) }
    }

    @Test func `an old one is refused when others were given out since`() {
        let nonces = ACMENonces(key: Array(repeating: 1, count: 32))
        let old = nonces.next()
        for _ in 0..<ACMENonces.count { _ = nonces.next() }
        #expect(!nonces.redeem(old))
    }
}
