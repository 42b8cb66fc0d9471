// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The environment variables that go after options and before profiles. An empty one counts as not set.
enum IdentityVariable {
    static let prefix = "PKI_"

    /// The CA's directory.
    static let directory = "PKI_DIRECTORY"

    private static let profileName = "PKI_PROFILE"

    /// All that name an identity or a session, which no child process gets.
    static var all: [String] { [profileName] + ProfileSetting.all.compactMap(\.variable) }

    /// The profile when none is named. It is read even when a certificate is named.
    static func profile(_ environment: [String: String]) -> String? { value(of: profileName, environment) }

    /// The value of a variable; `nil` if it is not set, and for aws_signing_helper, which has no such variables.
    static func value(of name: String, _ environment: [String: String]) -> String? {
        guard let value = environment[name], !value.isEmpty, !SigningHelper.isMeant(by: CommandLine.arguments) else {
            return nil
        }
        return value
    }
}
