// SPDX-License-Identifier: Apache-2.0

/// Of what the service would give notice, and how long before. The lab keeps the settings and gives none.
struct NotificationSetting: Codable, Hashable, Sendable {
    /// What can be about to happen.
    enum Event: String, Codable, CaseIterable, Sendable {
        case authority = "CA_CERTIFICATE_EXPIRY"
        case endEntity = "END_ENTITY_CERTIFICATE_EXPIRY"
    }

    /// The only channel there is.
    static let channel = "ALL"

    /// The days ahead where nobody says otherwise.
    static let defaultThreshold = 45

    var event: Event
    var isEnabled: Bool
    /// Days ahead, 1 to 360.
    var threshold: Int?

    /// The settings that hold: the account's own, and the service's for the events that it says nothing about.
    ///
    /// - Parameters:
    ///   - own: The account's settings.
    ///   - account: Who configured those.
    /// - Returns: The members of the service's `notificationSettings`.
    static func details(_ own: [NotificationSetting], account: String) -> [JSONValue] {
        Event.allCases.map { event in
            let setting = own.first { $0.event == event }
            return [
                "channel": .string(channel),
                "configuredBy": .string(setting == nil ? "rolesanywhere.amazonaws.com" : account),
                "enabled": .boolean(setting?.isEnabled ?? true),
                "event": .string(event.rawValue),
                "threshold": .integer(setting?.threshold ?? defaultThreshold),
            ]
        }
    }
}
