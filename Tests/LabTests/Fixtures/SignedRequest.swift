// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPServer
import SystemSupport

@testable import Lab

extension HTTPRequest {
    /// A request as a client of AWS sends it: `Host` and `X-Amz-Date` are added, and all headers signed.
    fileprivate static func signed(
        _ method: HTTPMethod, _ target: String, _ headers: [(String, String)], _ body: [UInt8], from address: String,
        algorithm: String, credential: (identifier: String, service: String), at date: Date,
        form: CanonicalRequest.Form, by sign: (_ message: [UInt8], _ day: String) throws -> [UInt8]
    ) throws -> HTTPRequest {
        let time = timestamp(date).filter { $0 != "-" && $0 != ":" }
        let day = String(time.prefix(8))
        let headers = [("Host", "127.0.0.1:1"), ("X-Amz-Date", time)] + headers
        let names = headers.map { $0.0.lowercased() }.sorted().joined(separator: ";")
        func request(_ signature: String) -> HTTPRequest {
            var all = HTTPHeaders()
            for (name, value) in headers { all.append(name, value) }
            all.append(
                "Authorization",
                "\(algorithm) Credential=\(credential.identifier)/\(day)/us-east-1/\(credential.service)/aws4_request, "
                    + "SignedHeaders=\(names), Signature=\(signature)")
            return HTTPRequest(
                method: method, target: target, headers: all, body: body, remoteAddress: address, arrival: .now)
        }
        let unsigned = request(String(repeating: "0", count: 64))
        let header = try AuthorizationHeader(unsigned.headers, in: .query)
        let canonical = CanonicalRequest(
            unsigned, query: try QueryParameter.parameters(in: unsigned.query), signedHeaders: header.signedHeaders,
            form: form)
        return request(hexadecimal(try sign(canonical.stringToSign(header, date: time), day)))
    }
}

/// What a client signs with: the administrator's keys, unless others are given.
struct AccessKeys {
    var identifier = Administrator.documented.accessKeyIdentifier
    var secret = Administrator.documented.secretAccessKey
    var token: String?

    /// A request, signed with Signature Version 4.
    func signed(
        _ method: HTTPMethod, _ target: String, _ body: [UInt8] = [], for service: String, at date: Date
    ) throws -> HTTPRequest {
        try .signed(
            method, target, token.map { [("X-Amz-Security-Token", $0)] } ?? [], body, from: "192.0.2.7:50000",
            algorithm: "AWS4-HMAC-SHA256", credential: (identifier, service), at: date, form: .encodedAgain
        ) { message, day in
            let key = [day, "us-east-1", service, "aws4_request"]
                .reduce(Array("AWS4\(secret)".utf8)) { HMACSHA256.code(Array($1.utf8), key: $0) }
            return HMACSHA256.code(message, key: key)
        }
    }
}

/// A client's certificate with its key, which is EC P-256.
struct TestClient {
    let key: PrivateKey
    let certificate: Certificate

    /// A request for a session from this machine, with the three ARNs by their names.
    func sessionRequest(_ arns: [String: String]) throws -> HTTPRequest {
        let query = arns.map { "\($0.key)=\(PercentEncoding.encode($0.value))" }.joined(separator: "&")
        let headers = [
            ("Content-Type", "application/json"), ("X-Amz-X509", Data(certificate.derEncoded).base64EncodedString()),
        ]
        return try .signed(
            .post, "/sessions?\(query)", headers, Array("{}".utf8), from: "127.0.0.1:50000",
            algorithm: "AWS4-X509-ECDSA-SHA256", credential: (certificate.serialNumber.decimal, "rolesanywhere"),
            at: fixtureMoment, form: .standard
        ) { message, _ in try key.signature(for: message, digest: .sha256) }
    }
}
