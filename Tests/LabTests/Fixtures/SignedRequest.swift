// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPServer
import SystemSupport

@testable import Lab

/// What a client signs with: the administrator's keys, unless others are given.
struct AccessKeys {
    var identifier = Administrator.documented.accessKeyIdentifier
    var secret = Administrator.documented.secretAccessKey
    var token: String?

    /// A request as a client of AWS sends it, signed with Signature Version 4.
    func signed(
        _ method: HTTPMethod, _ target: String, _ body: [UInt8] = [], for service: String, at date: Date
    ) throws -> HTTPRequest {
        let time = timestamp(date).filter { $0 != "-" && $0 != ":" }
        func request(_ signature: String) -> HTTPRequest {
            var headers: HTTPHeaders = ["Host": "127.0.0.1:1", "X-Amz-Date": time]
            if let token { headers.append("X-Amz-Security-Token", token) }
            let names = "host;x-amz-date" + (token == nil ? "" : ";x-amz-security-token")
            headers.append(
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=\(identifier)/\(time.prefix(8))/us-east-1/\(service)/aws4_request, "
                    + "SignedHeaders=\(names), Signature=\(signature)")
            return HTTPRequest(
                method: method, target: target, headers: headers, body: body, remoteAddress: "192.0.2.7:50000",
                arrival: .now)
        }
        let unsigned = request(String(repeating: "0", count: 64))
        let header = try AuthorizationHeader(unsigned.headers, in: .query)
        let canonical = CanonicalRequest(
            unsigned, query: try QueryParameter.parameters(in: unsigned.query), signedHeaders: header.signedHeaders,
            form: .encodedAgain)
        let key = [String(time.prefix(8)), "us-east-1", service, "aws4_request"]
            .reduce(Array("AWS4\(secret)".utf8)) { HMACSHA256.code(Array($1.utf8), key: $0) }
        return request(hexadecimal(HMACSHA256.code(canonical.stringToSign(header, date: time), key: key)))
    }
}
