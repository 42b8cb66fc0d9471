// SPDX-License-Identifier: Apache-2.0

package import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

/// What the account trusts: the CA certificates to which a client's certificate must lead.
package struct TrustAnchor: Codable, Hashable, Sendable {
    let identifier: String
    var name: String
    package let arn: AmazonResourceName
    var bundle: CertificateBundle
    var isEnabled = true
    let createdAt: Date
    var updatedAt: Date
    /// Whether the service is to look for revoked certificates at their distribution points. The lab stores the wish and
    /// fetches nothing.
    var checksDistributionPoints: Bool?
    var notifications: [NotificationSetting] = []
    var aliasName: String?
    var tags: [Tag] = []

    /// Creates a trust anchor. Without an identifier it is derived from the certificates, so that the same CA has the same
    /// ARN again.
    init(identifier: String? = nil, name: String, bundle: CertificateBundle, in environment: LabEnvironment) {
        let identifier =
            identifier
            ?? UniversalIdentifier.derived(from: [Array("trust-anchor".utf8)] + bundle.certificates.map(\.derEncoded))
        self.identifier = identifier
        self.name = name
        self.bundle = bundle
        arn = environment.arn(Self.kind, identifier)
        createdAt = environment.now()
        updatedAt = createdAt
    }

    var certificates: [Certificate] { bundle.certificates }
}

extension TrustAnchor: AnywhereResource {
    static let kind = "trust-anchor"
    static let noun = "trust anchor"
    static let member = "trustAnchor"
    static let accountLimit: Int? = AWSLimit.accountAnchorCount.maximum
    static let table: any WritableKeyPath<Account, Table<TrustAnchor>> & Sendable = \.trustAnchors

    init(_ call: ControlPlane.Call, in account: Account) throws {
        let members = call.members
        guard let source = try members.object("source") else { throw ServiceRefusal.validation("source is missing") }
        self.init(
            identifier: call.environment.newIdentifier(), name: try members.resourceName(),
            bundle: try Self.bundle(source), in: call.environment
        )
        isEnabled = try members.boolean("enabled") ?? false
        checksDistributionPoints = try members.boolean("crlDpRevocationEnabled")
        notifications = try NotificationSetting.settings(in: members) ?? []
    }

    mutating func update(_ members: InputMembers, in account: Account) throws {
        if let source = try members.object("source") { bundle = try Self.bundle(source) }
        checksDistributionPoints = try members.boolean("crlDpRevocationEnabled") ?? checksDistributionPoints
    }

    private static func bundle(_ source: InputMembers) throws -> CertificateBundle {
        let type = try source.word("sourceType", of: AWSWords.TrustAnchorSource.self)
        guard type == .bundle else {
            throw ServiceRefusal.validation(
                "the lab creates no trust anchor from \(type.rawValue)",
                hint: "use CERTIFICATE_BUNDLE, with what pki print-bundle prints")
        }
        guard let data = try source.object("sourceData") else {
            throw ServiceRefusal.validation("source.sourceData is missing")
        }
        let text = try data.required("x509CertificateData", AWSLimit.anchorLength.range)
        do {
            return try CertificateBundle(reading: text)
        } catch {
            throw ServiceRefusal.validation(error.message, hint: error.hint)
        }
    }

    func ownMembers(in environment: LabEnvironment) -> KeyValuePairs<String, JSONValue> {
        [
            "trustAnchorId": .string(identifier), "trustAnchorArn": .string(arn.description),
            "source": [
                "sourceType": "CERTIFICATE_BUNDLE", "sourceData": ["x509CertificateData": .string(bundle.text)],
            ],
            "crlDpRevocationEnabled": checksDistributionPoints.map(JSONValue.boolean) ?? .null,
            "notificationSettings": .array(NotificationSetting.details(notifications, account: environment.account)),
        ]
    }
}

/// What the service would notify about, and how many days before. The lab stores the settings and sends no notifications.
struct NotificationSetting: Codable, Hashable, Sendable {
    typealias Event = AWSWords.NotificationEvent

    var event: Event
    var isEnabled: Bool
    /// Days before the expiry.
    var threshold: Int?

    /// Reads the `event` of a setting or of its key. Each concerns the only channel.
    static func event(in members: InputMembers) throws -> Event {
        let event = try members.word("event", of: Event.self)
        if members.contains("channel") { _ = try members.word("channel", of: AWSWords.NotificationChannel.self) }
        return event
    }

    /// Reads `notificationSettings`; `nil` if there are none.
    static func settings(in members: InputMembers) throws -> [NotificationSetting]? {
        guard let objects = try members.objects("notificationSettings", AWSLimit.notificationSettingCount.range) else {
            return nil
        }
        var settings: [NotificationSetting] = []
        for object in objects {
            let event = try event(in: object)
            guard let isEnabled = try object.boolean("enabled") else {
                throw ServiceRefusal.validation("enabled is missing in notificationSettings")
            }
            guard !settings.contains(where: { $0.event == event }) else {
                throw ServiceRefusal.validation("\(event.rawValue) appears twice in notificationSettings")
            }
            let threshold = try object.integer("threshold", AWSLimit.notificationThreshold.range)
            settings.append(NotificationSetting(event: event, isEnabled: isEnabled, threshold: threshold))
        }
        return settings
    }

    /// The settings in force: the account's own, and the service's for the other events.
    static func details(_ own: [NotificationSetting], account: String) -> [JSONValue] {
        Event.allCases.map { event in
            let setting = own.first { $0.event == event }
            return [
                "channel": .string(AWSWords.NotificationChannel.all.rawValue),
                "configuredBy": .string(setting == nil ? RolesAnywhereService.principal : account),
                "enabled": .boolean(setting?.isEnabled ?? true), "event": .string(event.rawValue),
                "threshold": .integer(setting?.threshold ?? AWSLimit.defaultNotificationThreshold),
            ]
        }
    }
}
