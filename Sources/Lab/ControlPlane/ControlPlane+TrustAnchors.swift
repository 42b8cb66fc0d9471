// SPDX-License-Identifier: Apache-2.0

import HTTPService

import Certificates
import FoundationEssentials
import SystemSupport

extension TrustAnchor: ControlledResource {
    static let member = "trustAnchor"
    static let listMember = "trustAnchors"
    static let path = (prefix: "/trustanchor", parameter: "trustAnchorId")
    static let operationNoun = "TrustAnchor"

    func detail(in environment: LabEnvironment) -> JSONValue {
        commonDetail([
            "trustAnchorId": .string(identifier), "trustAnchorArn": .string(arn.description),
            "source": [
                "sourceType": "CERTIFICATE_BUNDLE", "sourceData": ["x509CertificateData": .string(bundle.text)],
            ],
            "crlDpRevocationEnabled": checksDistributionPoints.map(JSONValue.boolean) ?? .null,
            "notificationSettings": .array(
                NotificationSetting.details(notifications, account: environment.account)
            ),
        ])
    }
}

extension ControlPlane {
    /// Where a trust anchor's certificates can come from. The lab takes a bundle.
    private enum SourceType: String, CaseIterable {
        case privateAuthority = "AWS_ACM_PCA"
        case bundle = "CERTIFICATE_BUNDLE"
        case repository = "SELF_SIGNED_REPOSITORY"
    }

    static var trustAnchorOperations: [Operation] {
        commonOperations(TrustAnchor.self, listPath: "/trustanchors") + [
            Operation("CreateTrustAnchor", .post, "/trustanchors", .created) { call in
                let anchor = try call.store.update { account in try Self.createTrustAnchor(call, in: &account) }
                return (call.output(anchor), "\(anchor.name) is \(anchor.arn)")
            },
            Operation("UpdateTrustAnchor", .patch, "/trustanchor/{trustAnchorId}") { call in
                let (output, anchor) = try call.update(TrustAnchor.self) { anchor, _ in
                    if let name = try call.members.string("name", 1...255, .resourceName) { anchor.name = name }
                    if let source = try call.members.object("source") { anchor.bundle = try Self.bundle(source) }
                    if let checks = try call.members.boolean("crlDpRevocationEnabled") {
                        anchor.checksDistributionPoints = checks
                    }
                }
                return (output, "the trust anchor \(anchor.name) was changed")
            },
            Operation("PutNotificationSettings", .patch, "/put-notifications-settings") { call in
                let settings = try Self.notificationSettings(call.members)
                guard let settings else { throw ServiceRefusal.validation("notificationSettings is missing") }
                let anchor = try Self.changeNotifications(call) { own in
                    own.removeAll { setting in settings.contains { $0.event == setting.event } }
                    own += settings
                }
                return (call.output(anchor), "\(settings.count) settings for \(anchor.name)")
            },
            Operation("ResetNotificationSettings", .patch, "/reset-notifications-settings") { call in
                guard let keys = try call.members.objects("notificationSettingKeys", 0...50) else {
                    throw ServiceRefusal.validation("notificationSettingKeys is missing")
                }
                let events = try keys.map { key in try Self.event(key) }
                let anchor = try Self.changeNotifications(call) { own in
                    own.removeAll { events.contains($0.event) }
                }
                return (call.output(anchor), "\(events.count) settings of \(anchor.name) are the service's again")
            },
        ]
    }

    private static func createTrustAnchor(_ call: Call, in account: inout Account) throws -> TrustAnchor {
        guard let source = try call.members.object("source") else {
            throw ServiceRefusal.validation("source is missing")
        }
        var anchor = TrustAnchor(
            identifier: call.newIdentifier(),
            name: try call.members.required("name", 1...255, .resourceName),
            bundle: try bundle(source),
            in: call.environment
        )
        anchor.isEnabled = try call.members.boolean("enabled") ?? false
        anchor.checksDistributionPoints = try call.members.boolean("crlDpRevocationEnabled")
        anchor.tags = try call.members.tags() ?? []
        anchor.notifications = try notificationSettings(call.members) ?? []
        if let alias = try call.alias(for: anchor, in: account) { anchor.setAlias(alias) }
        guard account.trustAnchors.count < Account.trustAnchorLimit else {
            throw ServiceRefusal.validation(
                "the account has \(Account.trustAnchorLimit) trust anchors, the most that it may have",
                hint: "delete one"
            )
        }
        account.trustAnchors[anchor.identifier] = anchor
        return anchor
    }

    private static func bundle(_ source: InputMembers) throws -> CertificateBundle {
        guard let type = try source.word("sourceType", of: SourceType.self) else {
            throw ServiceRefusal.validation("source.sourceType is missing")
        }
        guard type == .bundle else {
            throw ServiceRefusal.validation(
                "the lab takes no trust anchor from \(type.rawValue)",
                hint: "use CERTIFICATE_BUNDLE, with what pki print-bundle prints"
            )
        }
        guard let data = try source.object("sourceData") else {
            throw ServiceRefusal.validation("source.sourceData is missing")
        }
        let text = try data.required("x509CertificateData", 1...CertificateBundle.lengthLimit)
        do {
            return try CertificateBundle(reading: text)
        } catch {
            throw ServiceRefusal.validation(error.message, hint: error.hint)
        }
    }

    private static func event(_ members: InputMembers) throws -> NotificationSetting.Event {
        guard let event = try members.word("event", of: NotificationSetting.Event.self) else {
            throw ServiceRefusal.validation("event is missing")
        }
        if let channel = try members.string("channel", 0...100), channel != NotificationSetting.channel {
            throw ServiceRefusal.validation("channel is \"\(channel)\", not ALL")
        }
        return event
    }

    private static func notificationSettings(_ members: InputMembers) throws -> [NotificationSetting]? {
        guard let objects = try members.objects("notificationSettings", 0...50) else { return nil }
        var settings: [NotificationSetting] = []
        for object in objects {
            let event = try event(object)
            guard let isEnabled = try object.boolean("enabled") else {
                throw ServiceRefusal.validation("enabled is missing in notificationSettings")
            }
            guard !settings.contains(where: { $0.event == event }) else {
                throw ServiceRefusal.validation("\(event.rawValue) stands twice in notificationSettings")
            }
            let threshold = try object.integer("threshold", 1...360)
            settings.append(NotificationSetting(event: event, isEnabled: isEnabled, threshold: threshold))
        }
        return settings
    }

    private static func changeNotifications(
        _ call: Call,
        _ change: (inout [NotificationSetting]) -> Void
    ) throws -> TrustAnchor {
        let identifier = try call.members.required("trustAnchorId", 36...36)
        return try call.store.update { account in
            guard var anchor = account.trustAnchors[identifier] else {
                throw ServiceRefusal.notFound("there is no trust anchor \(identifier)")
            }
            change(&anchor.notifications)
            anchor.updatedAt = call.now
            account.trustAnchors[identifier] = anchor
            return anchor
        }
    }
}
