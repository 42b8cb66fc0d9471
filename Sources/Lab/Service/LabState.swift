// SPDX-License-Identifier: Apache-2.0

import Certificates
import HTTPService

/// What the page shows: everything in the account, who was here, and the last decisions.
struct LabState {
    let store: ResourceStore
    let log: TraceLog
    let environment: LabEnvironment

    func json(_ page: LabPage, _ request: HTTPRequest) -> JSONValue {
        let account = store.snapshot
        return [
            "region": .string(environment.region), "account": .string(environment.account),
            "endpoint": .string("\(request.isSecure ? "https" : "http")://\(request.host ?? "")"),
            "startedAt": .string(page.startedAt), "version": .string(page.version),
            "isPersistent": .boolean(store.isPersistent),
            "trustAnchors": .array(account.all(TrustAnchor.self).map { trustAnchor($0, account) }),
            "profiles": .array(account.all(Profile.self).map(profile)),
            "roles": .array(account.roles.values.sorted { $0.name < $1.name }.map(role)),
            "subjects": .array(store.subjects.map(subject)),
            "sessions": .array(store.sessions.map(session)),
            "traces": .array(log.traces.map(\.json)),
        ]
    }

    private func trustAnchor(_ anchor: TrustAnchor, _ account: Account) -> JSONValue {
        [
            "trustAnchorArn": .string(anchor.arn.description), "trustAnchorId": .string(anchor.identifier),
            "name": .string(anchor.name), "enabled": .boolean(anchor.isEnabled),
            "createdAt": JSONValue(anchor.createdAt), "updatedAt": JSONValue(anchor.updatedAt),
            "certificates": .array(
                anchor.certificates.map { certificate in
                    [
                        "subject": .string("\(certificate.subject)"), "notBefore": JSONValue(certificate.notBefore),
                        "notAfter": JSONValue(certificate.notAfter), "fingerprint": .string(certificate.fingerprint),
                        "serialNumber": .string(certificate.serialNumber.hexadecimal),
                    ]
                }
            ),
            "revocationLists": .array(
                account.revocationLists(of: anchor).map { list in
                    [
                        "crlId": .string(list.identifier), "name": .string(list.name),
                        "enabled": .boolean(list.isEnabled), "issuer": .string("\(list.list.issuer)"),
                        "thisUpdate": JSONValue(list.list.thisUpdate),
                        "nextUpdate": list.list.nextUpdate.map { JSONValue($0) } ?? .null,
                        "revokedCount": .integer(list.list.revokedCount),
                    ]
                }
            ),
        ]
    }

    private func profile(_ profile: Profile) -> JSONValue {
        [
            "profileArn": .string(profile.arn.description), "profileId": .string(profile.identifier),
            "name": .string(profile.name), "enabled": .boolean(profile.isEnabled),
            "roleArns": JSONValue(profile.roleARNs), "managedPolicyArns": JSONValue(profile.managedPolicyARNs),
            "hasSessionPolicy": .boolean(profile.sessionPolicy != nil),
            "durationSeconds": .integer(profile.durationSeconds),
            "acceptRoleSessionName": .boolean(profile.acceptsRoleSessionName),
            "attributeMappings": .array(
                profile.attributeMappings.map { mapping in
                    [
                        "certificateField": .string(mapping.field.rawValue),
                        "specifiers": JSONValue(mapping.specifiers),
                    ]
                }
            ),
        ]
    }

    private func role(_ role: Role) -> JSONValue {
        [
            "roleArn": .string(role.arn.description), "roleName": .string(role.name),
            "maxSessionDuration": .integer(role.maximumSessionDuration),
            "trustPolicy": (try? JSONReader.value(of: Array(role.trustPolicy.text.utf8))) ?? .null,
            "attachedPolicyArns": JSONValue(role.attachedPolicyARNs),
            "inlinePolicyNames": JSONValue(role.inlinePolicies.keys.sorted()),
        ]
    }

    private func subject(_ subject: Subject) -> JSONValue {
        .object(
            subject.summary + [JSONMember(name: "serialNumber", value: .string(subject.serialNumber))]
        )
    }

    private func session(_ session: SessionRecord) -> JSONValue {
        [
            "accessKeyId": .string(session.accessKeyIdentifier), "assumedRoleArn": .string(session.assumedRoleARN),
            "roleArn": .string(session.roleARN), "subject": .string(session.subject),
            "sourceIdentity": .string(session.sourceIdentity), "issuedAt": JSONValue(session.issuedAt),
            "expiration": JSONValue(session.expiration),
            "tags": .object(
                session.tags.sorted { $0.key < $1.key }.map { JSONMember(name: $0.key, value: .string($0.value)) }
            ),
        ]
    }
}
