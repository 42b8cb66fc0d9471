// SPDX-License-Identifier: Apache-2.0

/// An IAM role that sessions are created with.
public struct Role: Hashable, Sendable {
    /// The identifier that stands in the session's, `AROA…`.
    public let identifier: String

    /// The name, without the path.
    public let name: String

    /// The ARN.
    public let arn: AmazonResourceName

    /// The longest session in seconds, 3600 to 43200.
    public var maximumSessionDuration = 3_600

    /// Makes a role.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - path: The path in front of the name, beginning and ending with `/`.
    ///   - environment: The account.
    public init(name: String, path: String = "/", in environment: LabEnvironment) {
        self.name = name
        arn = AmazonResourceName(
            global: "iam",
            "role\(path)\(name)",
            region: environment.region,
            account: environment.account
        )
        identifier = "AROA" + Base32.text(of: Array(arn.description.utf8), count: 17)
    }
}
