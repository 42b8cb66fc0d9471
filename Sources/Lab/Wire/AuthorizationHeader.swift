// SPDX-License-Identifier: Apache-2.0

import HTTPService

/// What stands in the `Authorization` header of a signed request:
/// `ALG Credential=IDENTIFIER/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX`.
struct AuthorizationHeader: Equatable {
    var algorithm: String
    /// The serial number of a certificate or an access key, as the client wrote it.
    var identifier: String
    var date: String
    var region: String
    var service: String
    var terminator: String
    var signedHeaders: [String]
    var signature: [UInt8]

    /// Reads the header of a request.
    ///
    /// - Parameters:
    ///   - headers: The request's headers.
    ///   - dialect: How the service words a refusal.
    /// - Throws: ``ServiceRefusal`` naming what is missing or malformed.
    init(_ headers: HTTPHeaders, in dialect: SignatureDialect) throws(ServiceRefusal) {
        func refusal(_ detail: String) -> ServiceRefusal { Self.refusal(dialect, .incomplete, detail) }
        let values = headers.values("Authorization")
        guard let text = values.first else {
            throw Self.refusal(dialect, .missing, "the request has no Authorization header")
        }
        guard values.count == 1 else { throw refusal("Authorization stands more than once") }
        guard let blank = text.utf8.firstIndex(of: 0x20) else { throw refusal("Authorization has no parts") }
        algorithm = String(text[..<blank])
        var parts: [Substring: Substring] = [:]
        for part in Self.split(text[blank...].dropFirst(), 0x2c) {
            let trimmed = Substring(part.utf8.drop { $0 == 0x20 })
            guard let equals = trimmed.utf8.firstIndex(of: 0x3d) else {
                throw refusal("\"\(trimmed.prefix(40))\" in Authorization is not NAME=VALUE")
            }
            guard parts.updateValue(trimmed[trimmed.index(after: equals)...], forKey: trimmed[..<equals]) == nil else {
                throw refusal("\(trimmed[..<equals]) stands twice in Authorization")
            }
        }
        guard parts.count == 3, let credential = parts["Credential"], let names = parts["SignedHeaders"],
            let digits = parts["Signature"]
        else { throw refusal("Authorization needs Credential, SignedHeaders and Signature, and nothing else") }
        let scope = Self.split(credential, 0x2f).map(String.init)
        guard scope.count == 5 else {
            throw refusal("Credential is not IDENTIFIER/DATE/REGION/SERVICE/aws4_request")
        }
        (identifier, date, region, service, terminator) = (scope[0], scope[1], scope[2], scope[3], scope[4])
        signedHeaders = Self.split(names, 0x3b).map(String.init)
        guard let bytes = Self.bytes(digits), !bytes.isEmpty else {
            throw refusal("Signature is not lower-case hexadecimal")
        }
        signature = bytes
    }

    private static func split(_ text: Substring, _ separator: UInt8) -> [Substring] {
        text.utf8.split(separator: separator, omittingEmptySubsequences: false).map(Substring.init)
    }

    private static func refusal(
        _ dialect: SignatureDialect,
        _ fault: SignatureDialect.Fault,
        _ detail: String
    ) -> ServiceRefusal {
        dialect.refusal(
            fault,
            detail,
            hint: dialect == .certificate
                ? "sign the request as IAM Roles Anywhere wants it" : "sign the request with AWS Signature Version 4"
        )
    }

    private static func bytes(_ digits: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.utf8.count / 2)
        var high: UInt8?
        for digit in digits.utf8 {
            let value: UInt8
            switch digit {
            case 0x30...0x39: value = digit - 0x30
            case 0x61...0x66: value = digit - 0x61 + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return high == nil ? bytes : nil
    }
}
