// SPDX-License-Identifier: Apache-2.0

/// The environment of a program that is to use certain credentials and no others.
package enum CredentialEnvironment {
    /// Variables that name other credentials, or describe these as others.
    package static let removed = [
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ACCESS_KEY",
        "AWS_SECRET_KEY", "AWS_CREDENTIAL_EXPIRATION", "AWS_ACCOUNT_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
        "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CREDENTIAL_FILE",
        "AWS_BEARER_TOKEN_BEDROCK",
    ]

    /// The variables that name a region, of which some programs read only the one and some only the other. What is set stays,
    /// and gives the other its value.
    ///
    /// - Parameters:
    ///   - inherited: The environment so far.
    ///   - standard: The region if neither variable is set.
    package static func region(
        in inherited: [String: String], standard: String
    ) -> [(name: String, value: String)] {
        func value(_ name: String) -> String? { inherited[name].flatMap { $0.isEmpty ? nil : $0 } }
        let (region, other) = (value("AWS_REGION"), value("AWS_DEFAULT_REGION"))
        return [
            ("AWS_REGION", region ?? other ?? standard), ("AWS_DEFAULT_REGION", other ?? region ?? standard),
        ]
    }
}
