// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPService

extension CreateSession {
    private static let dialect = SignatureDialect.certificate
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
        _ trace: inout Trace
    ) throws -> AuthenticRequest {
        let headers = request.headers
        let rules = SignatureRules(
            dialect: Self.dialect,
            requiredHeaders: ["content-type", "host", "x-amz-date", "x-amz-x509"],
            optionalHeaders: ["x-amz-x509-chain"],
            services: ["rolesanywhere"],
            regions: [environment.region]
        )
        try trace.run(.contentType) { try Self.checkContentType(headers) }
        let query = try trace.run(.form) { (try Self.checkForm(request), "well formed") }
        let authorization = try trace.run(.authorization) {
            (try AuthorizationHeader(headers, in: Self.dialect), "present")
        }
        try trace.run(.signedHeaders) { try rules.checkSignedHeaders(authorization.signedHeaders, headers) }
        let moment = try trace.run(.date) { try rules.checkDate(headers["X-Amz-Date"], at: now) }
        try trace.run(.scope) { try rules.checkScope(authorization, moment) }
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
        try trace.run(.serialNumber) { try Self.checkSerialNumber(authorization.identifier, client) }
        try rules.checkSignature(
            of: request,
            query: query,
            authorization,
            moment,
            form: .standard,
            signer: (name: "certificate's key's", hint: "check that key and certificate belong together"),
            &trace
        ) { client.verifier?.isValid(signature: authorization.signature, for: $0, digest: .sha256) ?? false }
        return AuthenticRequest(client: client, chain: chain, query: query)
    }

    private static func checkContentType(_ headers: HTTPHeaders) throws -> String {
        let value = headers["Content-Type"] ?? ""
        let type = value.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        guard ["application/json", "application/x-amz-json-1.0"].contains(type) else {
            throw ServiceRefusal.validation(
                "the content type is \"\(value.prefix(60))\"",
                hint: "send Content-Type: application/json"
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
            throw Self.dialect.refusal(
                .invalid,
                "the algorithm is \"\(authorization.algorithm.prefix(40))\" and the key \(leaf.publicKey.algorithm)",
                hint: "sign with \(expected): it follows the key, not the certificate's own signature"
            )
        }
        return expected
    }

    private static func checkSerialNumber(_ serial: String, _ client: ClientCertificate) throws -> String {
        let expected = client.serialNumber
        guard serial == expected else {
            let isHexadecimal = serial.lowercased() == client.leaf.serialNumber.hexadecimal
            throw Self.dialect.refusal(
                .invalid,
                isHexadecimal
                    ? "the credential's serial number is in hexadecimal"
                    : "the credential's serial number is not the certificate's",
                hint: "write it in decimal: \(expected)"
            )
        }
        return expected
    }
}
