// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials

/// Who was seen, and which sessions were given out, up to a bound.
struct Activity {
    /// Subjects beyond this number push out those that were not seen for longest.
    static let subjectLimit = 1_000

    /// So many sessions are remembered for those who look.
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

    mutating func record(_ sighting: CertificateUse) -> Subject {
        let name = sighting.certificate.subject
        var subject = byName[name] ?? newSubject(name, at: sighting.date)
        subject.record(sighting)
        byName[name] = subject
        if let session = sighting.session { sessions.append(session) }
        return subject
    }

    private mutating func newSubject(_ name: DistinguishedName, at date: Date) -> Subject {
        if byName.count >= Self.subjectLimit,
            let oldest = byName.min(by: { $0.value.lastSeen < $1.value.lastSeen })
        {
            byName.removeValue(forKey: oldest.key)
        }
        let identifier = UniversalIdentifier.derived(
            from: [Array("subject".utf8), Array(environment.account.utf8), name.derEncoded]
        )
        return Subject(
            identifier: identifier,
            arn: AmazonResourceName(
                rolesAnywhere: "\(Subject.kind)/\(identifier)",
                region: environment.region,
                account: environment.account
            ),
            name: name,
            createdAt: date,
            lastSeen: date
        )
    }
}

/// A certificate that was used, successfully or not.
struct CertificateUse {
    var certificate: Certificate
    var date: Date
    var instanceProperties: [String: String]
    /// The session that was given out; nothing for a request that was refused.
    var session: SessionRecord?
}

/// A session as it is remembered: nothing in it helps to use it.
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
