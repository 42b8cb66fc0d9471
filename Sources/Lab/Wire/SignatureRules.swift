// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import HTTPServer
import SystemSupport

/// The rules for every signature of AWS's version 4, whatever the key.
///
/// Source: AWS, *IAM User Guide*, "Elements of an AWS API request signature".
struct SignatureRules: Sendable {
    private static let forbiddenHeaders: Set<String> = ["authorization", "user-agent", "x-amzn-trace-id"]

    var dialect: SignatureDialect
    var services: [String]
    /// The regions that the scope may name, the lab's own first.
    var regions: [String]

    private var requiredHeaders: [String] {
        dialect == .certificate ? ["content-type", "host", "x-amz-date", "x-amz-x509"] : ["host", "x-amz-date"]
    }

    /// The header that must be signed when it is sent.
    private var optionalHeader: String { dialect == .certificate ? "x-amz-x509-chain" : "x-amz-security-token" }

    /// Reads the signature of a request, and checks everything about it but whether it is valid.
    func signature(
        of request: HTTPRequest, _ trace: inout Trace
    ) throws -> (header: AuthorizationHeader, time: RequestTime) {
        let now = trace.date
        let header = try trace.run(.authorization) {
            let header = try AuthorizationHeader(request.headers, in: dialect)
            guard dialect != .certificate else { return (header, "present") }
            guard header.algorithm == "AWS4-HMAC-SHA256" else {
                throw dialect.refusal(
                    .incomplete, "the algorithm is \"\(header.algorithm.prefix(40))\"",
                    hint: "sign with AWS4-HMAC-SHA256")
            }
            return (header, header.identifier)
        }
        try trace.run(.signedHeaders) { try checkSignedHeaders(header.signedHeaders, request.headers) }
        let time = try trace.run(.date) { try checkDate(request.headers["X-Amz-Date"], at: now) }
        try trace.run(.scope) { try checkScope(header, time) }
        return (header, time)
    }

    private func checkSignedHeaders(_ names: [String], _ headers: HTTPHeaders) throws -> String {
        guard zip(names, names.dropFirst()).allSatisfy({ $0.utf8.lexicographicallyPrecedes($1.utf8) }) else {
            throw dialect.refusal(.invalid, "the signed headers are not sorted, or one is named twice")
        }
        guard names.allSatisfy({ $0 == $0.lowercased() }) else {
            throw dialect.refusal(.invalid, "the signed headers are not in lower case")
        }
        let required = requiredHeaders + (headers.contains(optionalHeader) ? [optionalHeader] : [])
        for name in required where !names.contains(name) {
            throw dialect.refusal(
                .invalid, "the header \(name) is not signed", hint: "sign \(required.joined(separator: ";"))")
        }
        for name in names where Self.forbiddenHeaders.contains(name) {
            throw dialect.refusal(
                .invalid, "the header \(name) is signed", hint: "leave it out: it may change on the way")
        }
        for name in names where !headers.contains(name) {
            throw dialect.refusal(.invalid, "the header \(name) is signed and was not received")
        }
        return names.joined(separator: ";")
    }

    private func checkDate(_ header: String?, at now: Date) throws -> (RequestTime, String) {
        guard let time = RequestTime(header ?? "") else {
            throw dialect.refusal(.invalid, "X-Amz-Date is \"\((header ?? "").prefix(40))\", not YYYYMMDDTHHMMSSZ")
        }
        let difference = time.date.timeIntervalSince(now)
        let tolerance = AWSLimit.clockDifference.maximum
        guard abs(difference) <= Double(tolerance) else {
            throw dialect.refusal(
                .invalid,
                "the request was signed \(Int(abs(difference))) s \(difference < 0 ? "ago" : "ahead of the service's time")",
                hint: "set the clock: at most \(tolerance) s are granted")
        }
        return (time, time.text)
    }

    private func checkScope(_ authorization: AuthorizationHeader, _ time: RequestTime) throws -> String {
        guard authorization.date == time.day else {
            throw dialect.refusal(.invalid, "the scope's day is \(authorization.date), X-Amz-Date's \(time.day)")
        }
        guard regions.contains(authorization.region) else {
            throw dialect.refusal(
                .invalid, "the scope's region is \"\(authorization.region)\", this is \(regions.first ?? "")",
                hint: "sign for the region of the endpoint, or start the lab with "
                    + Quoting.shell("--region=\(authorization.region)"))
        }
        guard services.contains(authorization.service), authorization.terminator == "aws4_request" else {
            throw dialect.refusal(
                .invalid, "the scope ends in \(authorization.service)/\(authorization.terminator)",
                hint: "it should end in \(services.joined(separator: " or "))/aws4_request")
        }
        return "\(authorization.date)/\(authorization.region)"
    }

    /// Checks that a signature is valid. Otherwise the trace shows what the lab made of the request, and what the client did
    /// where that can be found.
    func check(
        _ signature: (header: AuthorizationHeader, time: RequestTime), of request: HTTPRequest, query: [QueryParameter],
        _ trace: inout Trace, isSigned: ([UInt8]) -> Bool
    ) throws {
        let (header, time) = signature
        func fits(_ canonical: CanonicalRequest) -> Bool { isSigned(canonical.stringToSign(header, date: time.text)) }
        let form: CanonicalRequest.Form = dialect == .certificate ? .standard : .encodedAgain
        let names = header.signedHeaders
        let isValid = fits(CanonicalRequest(request, query: query, signedHeaders: names, form: form))
        if !isValid {
            trace.canonicalRequest = CanonicalComparison(
                request, query: query, signedHeaders: names, form: form, isSigned: fits)
        }
        let difference = trace.canonicalRequest?.difference
        try trace.run(.signature) {
            if isValid { return header.algorithm }
            if let difference {
                throw dialect.refusal(.invalid, difference, hint: "sign the canonical request as the lab makes it")
            }
            let (signer, hint) =
                dialect == .certificate
                ? ("certificate's key's", "check that key and certificate belong together")
                : ("access key's", "check the secret access key")
            throw dialect.refusal(
                .invalid, "the signature is not the \(signer) over this request",
                hint: "\(hint), and compare the canonical request")
        }
    }
}

/// How a service words its refusal of a signature. The faults are the same everywhere, the codes are not.
enum SignatureDialect: Sendable {
    /// CreateSession, signed by a certificate's key.
    case certificate
    /// The control plane of IAM Roles Anywhere: REST with JSON.
    case rest
    /// IAM and STS: the query protocol with XML.
    case query

    enum Fault: Sendable {
        case missing
        /// A part of it is missing or malformed.
        case incomplete
        /// There is no such access key, or the session token was altered or is not from the service.
        case unknownCredentials
        case expiredCredentials
        /// It does not fit what was received, or was made for another time or place.
        case invalid
    }

    /// Returns a refusal in the service's words.
    func refusal(_ fault: Fault, _ detail: String, hint: String? = nil) -> ServiceRefusal {
        let (code, message) = words(fault, detail)
        return ServiceRefusal(code: code, message: message, detail: detail, hint: hint)
    }

    private func words(_ fault: Fault, _ detail: String) -> (ServiceRefusal.Code, String) {
        let mismatch =
            "The request signature we calculated does not match the signature you provided. "
            + "Check your AWS Secret Access Key and signing method."
        let unknown = "The security token included in the request is invalid."
        let expired = "The security token included in the request is expired"
        switch (self, fault) {
        case (.certificate, .missing), (.certificate, .incomplete):
            return (.accessDenied, "Missing or malformed Authorization header")
        case (.certificate, _): return (.accessDenied, "Invalid signature")
        case (.rest, .missing):
            return (.init("MissingAuthenticationTokenException", .forbidden), "Missing Authentication Token")
        case (.rest, .incomplete): return (.init("IncompleteSignatureException", .forbidden), detail)
        case (.rest, .unknownCredentials): return (.init("UnrecognizedClientException", .forbidden), unknown)
        case (.rest, .expiredCredentials): return (.init("ExpiredTokenException", .forbidden), expired)
        case (.rest, .invalid): return (.init("InvalidSignatureException", .forbidden), mismatch)
        case (.query, .missing):
            return (.init("MissingAuthenticationToken", .forbidden), "Request is missing Authentication Token")
        case (.query, .incomplete): return (.init("IncompleteSignature", .badRequest), detail)
        case (.query, .unknownCredentials): return (.init("InvalidClientTokenId", .forbidden), unknown)
        case (.query, .expiredCredentials): return (.init("ExpiredToken", .forbidden), expired)
        case (.query, .invalid): return (.init("SignatureDoesNotMatch", .forbidden), mismatch)
        }
    }
}

/// When a request was signed: `YYYYMMDDTHHMMSSZ`, and no other format.
struct RequestTime: Equatable {
    /// As received.
    let text: String

    let date: Date

    /// The first eight digits, which the scope repeats.
    var day: Substring { text.prefix(8) }

    /// Reads `X-Amz-Date`; `nil` if the text has another format or is no time.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 16, bytes[8] == 0x54, bytes[15] == 0x5a,
            (bytes[0..<8] + bytes[9..<15]).allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        func number(_ range: Range<Int>) -> Int { bytes[range].reduce(0) { $0 * 10 + Int($1 - 0x30) } }
        let time = CivilTime(
            year: number(0..<4), month: number(4..<6), day: number(6..<8), hour: number(9..<11),
            minute: number(11..<13), second: number(13..<15))
        // The calendar reads a leap second; no clock that signs shows one.
        guard let time, number(13..<15) < 60 else { return nil }
        self.text = text
        date = time.date
    }
}

/// The `Authorization` header of a signed request:
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

    init(_ headers: HTTPHeaders, in dialect: SignatureDialect) throws(ServiceRefusal) {
        func refusal(_ detail: String, _ fault: SignatureDialect.Fault = .incomplete) -> ServiceRefusal {
            let hint =
                dialect == .certificate
                ? "sign the request as IAM Roles Anywhere wants it" : "sign the request with AWS Signature Version 4"
            return dialect.refusal(fault, detail, hint: hint)
        }
        let values = headers.values("Authorization")
        guard let text = values.first else { throw refusal("the request has no Authorization header", .missing) }
        guard values.count == 1 else { throw refusal("Authorization appears more than once") }
        guard let blank = text.utf8.firstIndex(of: 0x20) else { throw refusal("Authorization has no parts") }
        algorithm = String(text[..<blank])
        var parts: [Substring: Substring] = [:]
        for part in Self.split(text[blank...].dropFirst(), 0x2c) {
            let trimmed = Substring(part.utf8.drop { $0 == 0x20 })
            guard let equals = trimmed.utf8.firstIndex(of: 0x3d) else {
                throw refusal("\"\(trimmed.prefix(40))\" in Authorization is not NAME=VALUE")
            }
            guard parts.updateValue(trimmed[trimmed.index(after: equals)...], forKey: trimmed[..<equals]) == nil else {
                throw refusal("\(trimmed[..<equals]) appears twice in Authorization")
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

    private static func bytes(_ digits: Substring) -> [UInt8]? {
        let values = digits.utf8.map { digit -> UInt8? in
            (0x41...0x46).contains(digit) ? nil : UInt8(hexadecimalDigit: digit)
        }
        guard values.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: values.count, by: 2) {
            guard let high = values[index], let low = values[index + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}
