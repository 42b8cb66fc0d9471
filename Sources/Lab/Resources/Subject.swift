// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

/// A client that has asked for a session: a certificate's subject, known by its name.
struct Subject: Codable, Hashable, Sendable {
    /// A certificate that was used.
    struct Credential: Codable, Hashable, Sendable {
        var certificate: [UInt8]
        /// In hexadecimal.
        var serialNumber: String
        var issuer: String
        var seenAt: Date
        /// Whether the last request with it was refused.
        var hasFailed: Bool
    }

    /// What a client said of the machine it runs on.
    struct Instance: Codable, Hashable, Sendable {
        var properties: [String: String]
        var seenAt: Date
        var hasFailed: Bool
    }

    /// The DER encoding is stored: the text of a name does not give it back.
    private enum CodingKeys: String, CodingKey {
        case identifier, arn, createdAt, lastSeen, credentials, instances, tags
        case encodedName = "name"
    }

    static let kind = "subject"
    static let pathParameter = "subjectId"

    /// How many certificates and instances are remembered, last seen first.
    private static let historyLimit = 10

    let identifier: String
    let arn: AmazonResourceName
    private let encodedName: Data
    let createdAt: Date
    private(set) var lastSeen: Date
    private(set) var credentials: [Credential] = []
    private(set) var instances: [Instance] = []
    var tags: [Tag] = []

    init(_ name: DistinguishedName, seenAt date: Date, in environment: LabEnvironment) {
        identifier = UniversalIdentifier.derived(from: [
            Array("subject".utf8), Array(environment.account.utf8), name.derEncoded,
        ])
        arn = environment.arn(Self.kind, identifier)
        encodedName = Data(name.derEncoded)
        createdAt = date
        lastSeen = date
    }

    var name: DistinguishedName { DistinguishedName(derEncoded: Array(encodedName)) }

    /// The serial number of the certificate that was last used, in hexadecimal.
    var serialNumber: String { credentials.first?.serialNumber ?? "" }

    mutating func record(_ use: CertificateUse) {
        lastSeen = use.date
        let hasFailed = use.session == nil
        let credential = Credential(
            certificate: use.certificate.derEncoded, serialNumber: use.certificate.serialNumber.hexadecimal,
            issuer: "\(use.certificate.issuer)", seenAt: use.date, hasFailed: hasFailed)
        credentials.removeAll { $0.certificate == credential.certificate }
        credentials = Array(([credential] + credentials).prefix(Self.historyLimit))
        guard !use.instanceProperties.isEmpty else { return }
        instances.removeAll { $0.properties == use.instanceProperties }
        let instance = Instance(properties: use.instanceProperties, seenAt: use.date, hasFailed: hasFailed)
        instances = Array(([instance] + instances).prefix(Self.historyLimit))
    }

    /// The service's summary.
    var summary: [JSONMember] {
        JSONValue.compact([
            "subjectArn": .string(arn.description), "subjectId": .string(identifier), "enabled": true,
            "x509Subject": .string("\(name)"), "lastSeenAt": JSONValue(lastSeen), "createdAt": JSONValue(createdAt),
            "updatedAt": JSONValue(lastSeen),
        ]).members ?? []
    }

    /// The service's detail: the certificates that were used, and where from.
    var detail: JSONValue {
        let certificates = credentials.map { credential -> JSONValue in
            [
                "seenAt": JSONValue(credential.seenAt), "serialNumber": .string(credential.serialNumber),
                "issuer": .string(credential.issuer), "enabled": true, "failed": .boolean(credential.hasFailed),
                "x509CertificateData": JSONValue((try? Certificate(derEncoded: credential.certificate))?.pemEncoded),
            ]
        }
        let places = instances.map { instance -> JSONValue in
            [
                "seenAt": JSONValue(instance.seenAt), "failed": .boolean(instance.hasFailed),
                "properties": JSONValue(sorted: instance.properties),
            ]
        }
        return .object(
            summary + [
                JSONMember(name: "credentials", value: .array(certificates)),
                JSONMember(name: "instanceProperties", value: .array(places)),
            ]
        )
    }
}

/// The subjects that were seen and the sessions that were given out, up to a bound.
struct Activity {
    /// Subjects beyond this number push out the one that was not seen for longest.
    private static let subjectLimit = 1_000

    /// How many sessions are remembered, for the page.
    static let sessionLimit = 200

    private let environment: LabEnvironment
    private var byName: [DistinguishedName: Subject] = [:]
    private(set) var sessions: RingBuffer<SessionRecord>

    init(environment: LabEnvironment, subjects: [Subject], sessions: [SessionRecord]) {
        self.environment = environment
        for subject in subjects { byName[subject.name] = subject }
        self.sessions = RingBuffer(capacity: Self.sessionLimit)
        for session in sessions { self.sessions.append(session) }
    }

    /// Last seen first.
    var subjects: [Subject] { byName.values.sorted { ($1.lastSeen, $0.identifier) < ($0.lastSeen, $1.identifier) } }

    func subject(_ identifier: String) -> Subject? { byName.values.first { $0.identifier == identifier } }

    mutating func put(_ subject: Subject) { byName[subject.name] = subject }

    mutating func record(_ use: CertificateUse) -> Subject {
        let name = use.certificate.subject
        if byName[name] == nil, byName.count >= Self.subjectLimit,
            let oldest = byName.min(by: { $0.value.lastSeen < $1.value.lastSeen })
        {
            byName.removeValue(forKey: oldest.key)
        }
        var subject = byName[name] ?? Subject(name, seenAt: use.date, in: environment)
        subject.record(use)
        byName[name] = subject
        if let session = use.session { sessions.append(session) }
        return subject
    }
}

/// A certificate that was used, successfully or not.
struct CertificateUse {
    var certificate: Certificate
    var date: Date
    var instanceProperties: [String: String]
    /// The session that was given out; `nil` for a request that was refused.
    var session: SessionRecord?
}

/// A session as it is remembered, without its secrets.
struct SessionRecord: Codable, Hashable, Sendable {
    var accessKeyIdentifier: String
    var assumedRoleARN: String
    var roleARN: String
    var subject: String
    var sourceIdentity: String
    var issuedAt: Date
    var expiration: Date
    var tags: [String: String]
}
