// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPServer
import SystemSupport
import Testing

@testable import Lab

/// A lab of one's own, whose control plane is asked as AWS's tools ask it.
struct ControlPlaneLab {
    struct Answer {
        var status: Int
        /// The code of a refusal; empty for an answer.
        var code: String
        var body: JSONValue

        var message: String { body["message"]?.string ?? "" }
    }

    static let roleARN = "arn:aws:iam::123456789012:role/web"

    private let service: LabService

    init() throws {
        let environment = LabEnvironment(
            region: "us-east-1", account: "123456789012", now: { fixtureMoment },
            randomBytes: { count in (0..<count).map { _ in .random(in: 0...255) } })
        service = try LabService(environment: environment)
    }

    /// Asks for an operation by its name.
    ///
    /// - Parameters:
    ///   - operation: The operation.
    ///   - arguments: Its members, which go where the service's model puts them: into the path, into the query of a
    ///     method without a body, and into the body.
    ///   - body: What is sent instead of the body.
    /// - Returns: What came back.
    /// - Throws: A failure of the test itself.
    func ask(_ operation: String, _ arguments: JSONValue = [:], body: [UInt8]? = nil) throws -> Answer {
        let operation = try #require(ControlPlane.operations.first { $0.name == operation })
        let hasBody = operation.method != .get && operation.method != .delete
        var (target, query, members) = (operation.path, [String](), [JSONMember]())
        for member in arguments.members ?? [] {
            let place = "{\(member.name)}"
            if target.contains(place) {
                target = target.replacing(place, with: PercentEncoding.encode(Self.text(member.value)))
            } else if hasBody {
                members.append(member)
            } else {
                for value in member.value.array ?? [member.value] {
                    query.append("\(member.name)=\(PercentEncoding.encode(Self.text(value)))")
                }
            }
        }
        if !query.isEmpty { target += "?" + query.joined(separator: "&") }
        let written = hasBody ? JSONValue.object(members).bytes : []
        let request = try AccessKeys().signed(
            operation.method, target, body ?? written, for: "rolesanywhere", at: fixtureMoment)
        let response = try #require(service.answer(request).immediateResponse)
        return Answer(
            status: Int(response.status.code), code: response.headers["X-Amzn-ErrorType"] ?? "",
            body: try JSONReader.value(of: response.bodyBytes ?? []))
    }

    private static func text(_ value: JSONValue) -> String { value.string ?? value.text }

    /// Asks for what has to succeed, and returns a member of the answer.
    @discardableResult
    func make(_ operation: String, _ arguments: JSONValue, _ member: String? = nil) throws -> JSONValue {
        let answer = try ask(operation, arguments)
        try #require(answer.code.isEmpty, "\(operation): \(answer.message)")
        return try member.map { try #require(answer.body[$0]) } ?? answer.body
    }

    func makeAnchor(_ changes: JSONValue = [:]) throws -> JSONValue {
        let base: JSONValue = ["name": "limits", "source": TestAuthority.shared.source]
        return try make("CreateTrustAnchor", base.setting(changes), "trustAnchor")
    }

    func makeProfile(_ changes: JSONValue = [:]) throws -> JSONValue {
        let base: JSONValue = ["name": "limits", "roleArns": [.string(Self.roleARN)]]
        return try make("CreateProfile", base.setting(changes), "profile")
    }

    /// Expects a refusal of an operation that names the member which is wrong.
    func expectRefusal(
        _ operation: String, _ arguments: JSONValue, naming word: String = "", code: String = "ValidationException",
        status: Int = 400, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let answer = try ask(operation, arguments)
        #expect(answer.code == code, "\(answer.message)", sourceLocation: sourceLocation)
        #expect(answer.status == status, sourceLocation: sourceLocation)
        // Messages are sentences: their first letter is a capital.
        let isNamed = word.isEmpty || answer.message.lowercased().contains(word.lowercased())
        #expect(isNamed, "\(answer.message)", sourceLocation: sourceLocation)
    }

    func tags(of arn: JSONValue?) throws -> [String: String] {
        let tags = try make("ListTagsForResource", ["resourceArn": arn ?? .null], "tags").array ?? []
        return Dictionary(uniqueKeysWithValues: tags.map { ($0["key"]?.string ?? "", $0["value"]?.string ?? "") })
    }
}

extension JSONValue {
    /// The object with other values for some members; `null` takes a member away.
    func setting(_ changes: JSONValue) -> JSONValue {
        let changes = changes.members ?? []
        let kept = (members ?? []).filter { member in !changes.contains { $0.name == member.name } }
        return .object(kept + changes.filter { $0.value != .null })
    }

    /// The object with another value for one member.
    func setting(_ name: String, _ value: JSONValue) -> JSONValue {
        setting(.object([JSONMember(name: name, value: value)]))
    }
}

/// A CA of the tests' own.
struct TestAuthority {
    static let shared = made("CN=authority")

    let key: PrivateKey
    let certificate: Certificate

    init(_ subject: String, usage: String = "keyCertSign, cRLSign", key: PrivateKey? = nil) throws {
        self.key = try key ?? PrivateKey(generating: .ecP256)
        certificate = try Self.parameters(
            subject, self.key, "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, \(usage)"
        ).selfSigned(by: self.key)
    }

    private static func made(_ subject: String) -> TestAuthority {
        guard let authority = try? TestAuthority(subject) else { preconditionFailure("no CA could be made") }
        return authority
    }

    private static func parameters(
        _ subject: String, _ key: PrivateKey, _ extensions: String
    ) throws -> CertificateParameters {
        var generator = SystemRandomNumberGenerator()
        return CertificateParameters(
            serialNumber: .random(using: &generator), subject: try DistinguishedName(subject), publicKey: key.publicKey,
            notBefore: fixtureMoment.addingTimeInterval(-86_400), notAfter: fixtureMoment.addingTimeInterval(86_400),
            template: try CertificateTemplate(reading: Array("[ v3 ]\n\(extensions)\n".utf8), name: "test"))
    }

    /// A client with its certificate.
    ///
    /// - Parameters:
    ///   - subject: The certificate's subject.
    ///   - names: Its alternative names, as OpenSSL writes them.
    /// - Returns: The client.
    /// - Throws: What kept the certificate from being made.
    func client(_ subject: String, names: String = "") throws -> TestClient {
        var extensions = "basicConstraints = CA:FALSE\nkeyUsage = critical, digitalSignature"
        if !names.isEmpty { extensions += "\nsubjectAltName = \(names)" }
        let client = try PrivateKey(generating: .ecP256)
        let certificate = try Self.parameters(subject, client, extensions).signed(by: key, issuer: certificate)
        return TestClient(key: client, certificate: certificate)
    }

    /// A CRL that revokes nothing.
    func revocationList() throws -> CertificateRevocationList {
        let next = fixtureMoment.addingTimeInterval(3_600)
        return try RevocationListParameters(
            number: SerialNumber([1]), thisUpdate: fixtureMoment, nextUpdate: next, entries: []
        ).signed(by: key, issuer: certificate)
    }

    /// The same as `crlData` of a request.
    func revocationData() throws -> JSONValue { .bytes(try revocationList().pemEncoded.utf8) }

    /// The CA as the `source` of a trust anchor.
    var source: JSONValue { Self.source(certificate.pemEncoded) }

    static func source(_ text: String, type: JSONValue = "CERTIFICATE_BUNDLE") -> JSONValue {
        ["sourceType": type, "sourceData": ["x509CertificateData": .string(text)]]
    }
}

extension JSONValue {
    /// Bytes in base64.
    static func bytes(_ bytes: some Sequence<UInt8>) -> JSONValue { .string(Data(bytes).base64EncodedString()) }
}
