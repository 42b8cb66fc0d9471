// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The credentials of a session. No description shows the secret.
struct SessionCredentials: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    var accessKeyIdentifier: String
    var secretAccessKey: String
    var sessionToken: String
    var expiration: Date

    /// Draws credentials.
    ///
    /// - Parameters:
    ///   - environment: The source of chance.
    ///   - expiration: When they end.
    init(drawnFrom environment: LabEnvironment, expiration: Date) {
        let bytes = environment.randomBytes(16 + 30 + 192)
        accessKeyIdentifier = "ASIA" + Base32.characters(bytes.prefix(16))
        secretAccessKey = Data(bytes.dropFirst(16).prefix(30)).base64EncodedString()
        sessionToken = "IQoJb3JpZ2luX2Vj" + Data(bytes.dropFirst(46)).base64EncodedString()
        self.expiration = expiration
    }

    var description: String {
        "SessionCredentials(accessKeyIdentifier: \"\(accessKeyIdentifier)\", secretAccessKey: <redacted>)"
    }

    var debugDescription: String { description }

    var customMirror: Mirror { Mirror(self, children: ["accessKeyIdentifier": accessKeyIdentifier]) }
}
