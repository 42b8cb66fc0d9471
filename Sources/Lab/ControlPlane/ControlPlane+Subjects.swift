// SPDX-License-Identifier: Apache-2.0

import HTTPService

import Certificates
import FoundationEssentials

extension Subject {
    /// The name of the open part of its path.
    static let pathParameter = "subjectId"

    /// The service's summary.
    var summary: [JSONMember] {
        let members: KeyValuePairs<String, JSONValue> = [
            "subjectArn": .string(arn.description), "subjectId": .string(identifier), "enabled": true,
            "x509Subject": .string("\(name)"), "lastSeenAt": JSONValue(lastSeen), "createdAt": JSONValue(createdAt),
            "updatedAt": JSONValue(lastSeen),
        ]
        return members.map { JSONMember(name: $0.key, value: $0.value) }
    }

    /// The service's detail: the certificates that were used, and where from.
    fileprivate var detail: JSONValue {
        let certificates = credentials.map { credential -> JSONValue in
            [
                "seenAt": JSONValue(credential.seenAt), "serialNumber": .string(credential.serialNumber),
                "issuer": .string(credential.issuer), "enabled": true, "failed": .boolean(credential.hasFailed),
                "x509CertificateData": JSONValue((try? Certificate(derEncoded: credential.certificate))?.pemEncoded),
            ]
        }
        let places = instances.map { instance -> JSONValue in
            let pairs = instance.properties.sorted { $0.key < $1.key }
            return [
                "seenAt": JSONValue(instance.seenAt), "failed": .boolean(instance.hasFailed),
                "properties": .object(pairs.map { JSONMember(name: $0.key, value: .string($0.value)) }),
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

extension ControlPlane {
    static var subjectOperations: [Operation] {
        [
            Operation("GetSubject", .get, "/subject/{\(Subject.pathParameter)}") { call in
                let identifier = call.path[Subject.pathParameter]
                guard let subject = call.store.subject(identifier) else {
                    throw ServiceRefusal.notFound("there is no subject \(identifier.prefix(200))")
                }
                return (["subject": subject.detail], "\(subject.name)")
            },
            Operation("ListSubjects", .get, "/subjects") { call in
                let subjects = call.store.subjects.sorted {
                    ($0.createdAt, $0.identifier) < ($1.createdAt, $1.identifier)
                }
                let page = try Page(
                    subjects.map { "\($0.createdAt.timeIntervalSince1970)/\($0.identifier)" },
                    of: "subjects",
                    call
                )
                let summaries = subjects[page.range].map { JSONValue.object($0.summary) }
                return (page.output("subjects", summaries), "\(summaries.count) of \(subjects.count)")
            },
        ]
    }
}
