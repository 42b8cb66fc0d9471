// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPService

extension CreateSession {
    private static let requiredHeaders = ["content-type", "host", "x-amz-date", "x-amz-x509"]
    private static let forbiddenHeaders: Set<String> = ["authorization", "user-agent", "x-amzn-trace-id"]
    private static let singleHeaders = ["Content-Type", "Host", "X-Amz-Date", "X-Amz-X509", "X-Amz-X509-Chain"]

    /// Finds out whose key signed the request, from nothing but what was received.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - now: The current time.
    ///   - trace: Takes the checks.
    /// - Returns: The certificate that vouches for the request.
    /// - Throws: ``ServiceRefusal``.
    func authenticate(
        _ request: HTTPRequest,
        at now: Date,
        _ trace: inout SessionTrace
    ) throws -> AuthenticRequest {
        let headers = request.headers
        try trace.run(.contentType) { try Self.checkContentType(headers) }
        let query = try trace.run(.form) { (try Self.checkForm(request), "well formed") }
        let authorization = try trace.run(.authorization) { (try AuthorizationHeader(headers), "present") }
        try trace.run(.signedHeaders) { try Self.checkSignedHeaders(authorization.signedHeaders, headers) }
        let moment = try trace.run(.date) { try Self.checkDate(headers["X-Amz-Date"], at: now) }
        try trace.run(.scope) { try checkScope(authorization, moment) }
        let client = try trace.run(.certificate) {
            let header = headers["X-Amz-X509"] ?? ""
            let client = try leaves.value(for: header) { try ClientCertificate(header) }
            return (client, client.subject)
        }
        trace.subject = client.subject
        let chain = try trace.run(.chain) {
            let header = headers["X-Amz-X509-Chain"]
            let chain = try chains.value(for: header ?? "-") { try ClientCertificate.chain(header) }
            return (chain, "\(chain.count) intermediates")
        }
        try trace.run(.algorithm) { try Self.checkAlgorithm(authorization, client.leaf) }
        try trace.run(.serialNumber) { try Self.checkSerialNumber(authorization.serial, client) }
        let canonical = CanonicalRequest(request, query: query, signedHeaders: authorization.signedHeaders)
        let message = canonical.stringToSign(authorization, date: moment.text)
        let isValid =
            client.verifier?.isValid(signature: authorization.signature, for: message, digest: .sha256) ?? false
        if !isValid { trace.canonicalRequest = canonical.text }
        try trace.run(.signature) {
            guard isValid else {
                throw ServiceRefusal.invalidSignature(
                    "the signature is not the certificate's key's over this request",
                    remedy: "check that key and certificate belong together, and compare the canonical request"
                )
            }
            return authorization.algorithm
        }
        return AuthenticRequest(client: client, chain: chain, query: query)
    }

    private static func checkContentType(_ headers: HTTPHeaders) throws -> String {
        let value = headers["Content-Type"] ?? ""
        let type = value.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        guard ["application/json", "application/x-amz-json-1.0"].contains(type) else {
            throw ServiceRefusal.validation(
                "the content type is \"\(value.prefix(60))\"",
                remedy: "send Content-Type: application/json"
            )
        }
        return type
    }

    private static func checkForm(_ request: HTTPRequest) throws -> [QueryParameter] {
        for name in singleHeaders where request.headers.count(name) > 1 {
            throw ServiceRefusal.validation("the header \(name) stands more than once")
        }
        return try QueryParameter.parameters(in: request.query)
    }

    private static func checkSignedHeaders(_ names: [String], _ headers: HTTPHeaders) throws -> String {
        guard zip(names, names.dropFirst()).allSatisfy({ $0.utf8.lexicographicallyPrecedes($1.utf8) }) else {
            throw ServiceRefusal.invalidSignature("the signed headers are not sorted, or one is named twice")
        }
        guard names.allSatisfy({ $0 == $0.lowercased() }) else {
            throw ServiceRefusal.invalidSignature("the signed headers are not in lower case")
        }
        let required = requiredHeaders + (headers.contains("X-Amz-X509-Chain") ? ["x-amz-x509-chain"] : [])
        for name in required where !names.contains(name) {
            throw ServiceRefusal.invalidSignature(
                "the header \(name) is not signed",
                remedy: "sign \(required.joined(separator: ";"))"
            )
        }
        for name in names where forbiddenHeaders.contains(name) {
            throw ServiceRefusal.invalidSignature(
                "the header \(name) is signed",
                remedy: "leave it out: it may change on the way"
            )
        }
        for name in names where !headers.contains(name) {
            throw ServiceRefusal.invalidSignature("the header \(name) is signed and was not received")
        }
        return names.joined(separator: ";")
    }

    private static func checkDate(_ header: String?, at now: Date) throws -> (RequestMoment, String) {
        guard let moment = RequestMoment(header ?? "") else {
            throw ServiceRefusal.invalidSignature(
                "X-Amz-Date is \"\((header ?? "").prefix(40))\", not YYYYMMDDTHHMMSSZ"
            )
        }
        let difference = moment.date.timeIntervalSince(now)
        guard abs(difference) <= tolerance else {
            throw ServiceRefusal.invalidSignature(
                "the request was signed \(Int(abs(difference))) s \(difference < 0 ? "ago" : "ahead of the service's time")",
                remedy: "set the clock: at most \(Int(tolerance)) s are granted"
            )
        }
        return (moment, moment.text)
    }

    private func checkScope(_ authorization: AuthorizationHeader, _ moment: RequestMoment) throws -> String {
        guard authorization.date == moment.day else {
            throw ServiceRefusal.invalidSignature(
                "the scope's day is \(authorization.date), X-Amz-Date's \(moment.day)"
            )
        }
        guard authorization.region == environment.region else {
            throw ServiceRefusal.invalidSignature(
                "the scope's region is \"\(authorization.region)\", this is \(environment.region)",
                remedy: "sign for the region of the endpoint, or start the lab with --region \(authorization.region)"
            )
        }
        guard authorization.service == "rolesanywhere", authorization.terminator == "aws4_request" else {
            throw ServiceRefusal.invalidSignature("the scope does not end in rolesanywhere/aws4_request")
        }
        return "\(authorization.date)/\(authorization.region)"
    }

    private static func checkAlgorithm(_ authorization: AuthorizationHeader, _ leaf: Certificate) throws -> String {
        let expected: String? =
            switch leaf.publicKey.algorithm {
            case .rsa: "AWS4-X509-RSA-SHA256"
            case .ec: "AWS4-X509-ECDSA-SHA256"
            case .mlDSA: "AWS4-X509-MLDSA"
            case .other: nil
            }
        guard let expected else {
            throw ServiceRefusal.untrusted(
                "the certificate's key is \(leaf.publicKey.algorithm), not RSA, EC or ML-DSA"
            )
        }
        guard authorization.algorithm == expected else {
            throw ServiceRefusal.invalidSignature(
                "the algorithm is \"\(authorization.algorithm.prefix(40))\" and the key \(leaf.publicKey.algorithm)",
                remedy: "sign with \(expected): it follows the key, not the certificate's own signature"
            )
        }
        return expected
    }

    private static func checkSerialNumber(_ serial: String, _ client: ClientCertificate) throws -> String {
        let expected = client.serialNumber
        guard serial == expected else {
            let isHexadecimal = serial.lowercased() == client.leaf.serialNumber.hexadecimal
            throw ServiceRefusal.invalidSignature(
                isHexadecimal
                    ? "the credential's serial number is in hexadecimal"
                    : "the credential's serial number is not the certificate's",
                remedy: "write it in decimal: \(expected)"
            )
        }
        return expected
    }
}
