// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import HTTPServer

extension CreateSession {
    private static let singleHeaders = ["Content-Type", "Host", "X-Amz-Date", "X-Amz-X509", "X-Amz-X509-Chain"]

    /// Finds out whose key signed the request, from nothing but what was received.
    func authenticate(_ request: HTTPRequest, _ trace: inout Trace) throws -> AuthenticRequest {
        let headers = request.headers
        let rules = SignatureRules(dialect: .certificate, services: ["rolesanywhere"], regions: [environment.region])
        try trace.run(.contentType) { try Self.checkContentType(headers) }
        let query = try trace.run(.form) {
            for name in Self.singleHeaders where headers.count(name) > 1 {
                throw ServiceRefusal.validation("the header \(name) appears more than once")
            }
            return (try QueryParameter.parameters(in: request.query), "well formed")
        }
        let signature = try rules.signature(of: request, &trace)
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
        try trace.run(.algorithm) { try Self.checkAlgorithm(signature.header.algorithm, client.leaf.publicKey) }
        try trace.run(.serialNumber) { try Self.checkSerialNumber(signature.header.identifier, client) }
        try rules.check(signature, of: request, query: query, &trace) { message in
            client.verifier?.isValid(signature: signature.header.signature, for: message, digest: .sha256) ?? false
        }
        return AuthenticRequest(client: client, chain: chain, query: query)
    }

    private static func checkContentType(_ headers: HTTPHeaders) throws -> String {
        let value = headers["Content-Type"] ?? ""
        let type = value.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        guard ["application/json", "application/x-amz-json-1.0"].contains(type) else {
            throw ServiceRefusal.validation(
                "the content type is \"\(value.prefix(60))\"", hint: "send Content-Type: application/json")
        }
        return type
    }

    private static func checkAlgorithm(_ algorithm: String, _ key: PublicKey) throws -> String {
        guard let expected = RequestSignature.name(for: key.algorithm) else {
            throw ServiceRefusal.untrusted("the certificate's key is \(key.algorithm), not RSA, EC or ML-DSA")
        }
        guard algorithm == expected else {
            throw SignatureDialect.certificate.refusal(
                .invalid, "the algorithm is \"\(algorithm.prefix(40))\" and the key \(key.algorithm)",
                hint: "sign with \(expected): it follows the key, not the certificate's own signature")
        }
        return expected
    }

    private static func checkSerialNumber(_ serial: String, _ client: ClientCertificate) throws -> String {
        let expected = client.serialNumber
        guard serial == expected else {
            let isHexadecimal = serial.lowercased() == client.leaf.serialNumber.hexadecimal
            throw SignatureDialect.certificate.refusal(
                .invalid,
                isHexadecimal
                    ? "the credential's serial number is in hexadecimal"
                    : "the credential's serial number is not the certificate's",
                hint: "write it in decimal: \(expected)")
        }
        return expected
    }
}

/// What a CreateSession request asks for, from its query and its body.
struct SessionParameters {
    var trustAnchor: AmazonResourceName
    var profile: AmazonResourceName
    var role: AmazonResourceName
    var durationSeconds: Int?
    var roleSessionName: String?
    var instanceProperties: [String: String]

    /// Reads the parameters. The ARNs may be in the query, as the reference client sends them, or in the body.
    init(query: [QueryParameter], body bytes: [UInt8]) throws(ServiceRefusal) {
        let body = try InputMembers(reading: bytes)
        trustAnchor = try Self.arn("trustAnchorArn", query, body, kind: "trust-anchor")
        profile = try Self.arn("profileArn", query, body, kind: "profile")
        role = try Self.arn("roleArn", query, body, kind: "role")
        durationSeconds = try body.integer("durationSeconds", Int.min...Int.max)
        roleSessionName = try body.string("roleSessionName", 0...Int.max)
        instanceProperties = try body.texts("instanceProperties") ?? [:]
    }

    private static func arn(
        _ name: String, _ query: [QueryParameter], _ body: InputMembers, kind: String
    ) throws(ServiceRefusal) -> AmazonResourceName {
        let inQuery = query.filter { $0.name == name }.map(\.value)
        let inBody = try body.string(name, 0...Int.max)
        guard let text = inQuery.first ?? inBody else {
            throw .validation("\(name) is missing", hint: "send it in the query or in the body")
        }
        guard inQuery.count <= 1, inBody == nil || inBody == text else { throw .validation("\(name) has two values") }
        guard let arn = AmazonResourceName(text) else {
            throw .validation("\(name) is not an ARN: \(text.prefix(200))")
        }
        let isRight =
            if kind == "role" {
                arn.isA(.role) && !arn.resource.hasSuffix("/")
            } else {
                arn.rolesAnywhereResource?.kind == kind[...]
            }
        guard isRight else { throw .validation("\(name) is not the ARN of a \(kind): \(text.prefix(200))") }
        return arn
    }

    func checkDuration() throws(ServiceRefusal) -> String {
        guard let durationSeconds else { return "the default" }
        guard AWSLimit.sessionDuration.contains(durationSeconds) else {
            throw .validation(
                "durationSeconds is \(durationSeconds), not \(AWSLimit.sessionDuration.minimum) to \(AWSLimit.sessionDuration.maximum)"
            )
        }
        return "\(durationSeconds) s asked for"
    }

    /// Checks the session's name and the instance's properties.
    func checkNames() throws(ServiceRefusal) -> String {
        let count = AWSLimit.instancePropertyCount
        let length = AWSLimit.instancePropertyLength
        guard count.contains(instanceProperties.count) else {
            throw .validation("instanceProperties has \(instanceProperties.count) pairs, not at most \(count.maximum)")
        }
        guard instanceProperties.allSatisfy({ length.contains($0.key.count) && length.contains($0.value.count) }) else {
            throw .validation(
                "a key or value of instanceProperties is empty or longer than \(length.maximum) characters")
        }
        guard let roleSessionName else { return "no name asked for" }
        guard AWSLimit.roleSessionNameLength.contains(roleSessionName.utf8.count),
            AWSText.sessionName.allows(roleSessionName)
        else {
            throw .validation("roleSessionName is not 2 to 64 characters of letters, digits and _+=,.@-")
        }
        return "\"\(roleSessionName)\" asked for"
    }
}
