// SPDX-License-Identifier: Apache-2.0

import SystemSupport

package import struct FoundationEssentials.Date

/// An IAM role that sessions are created with.
package struct Role: Codable, Hashable, Sendable {
    /// The identifier that stands in the session's, `AROA…`.
    package let identifier: String

    /// The name, without the path.
    package let name: String

    /// The path in front of the name, beginning and ending with `/`.
    package let path: String

    /// The ARN.
    package let arn: AmazonResourceName

    /// Who may take the role.
    var trustPolicy: PolicyDocument

    /// The longest session in seconds, 3600 to 43200.
    package var maximumSessionDuration = 3_600

    /// When it was made.
    package let createdAt: Date

    /// What it is for, at most 1,000 characters.
    package var explanation: String?

    /// Policies of its own by their names.
    var inlinePolicies: [String: PolicyDocument] = [:]

    /// Managed policies by their ARNs, in the order in which they were attached.
    var attachedPolicyARNs: [String] = []

    var permissionsBoundary: String?
    var tags: [Tag] = []

    /// Makes a role.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - path: The path in front of the name, beginning and ending with `/`.
    ///   - trustPolicy: Who may take the role, as JSON; nothing trusts IAM Roles Anywhere in this account.
    ///   - environment: The account.
    /// - Throws: ``LabError`` when the policy is malformed.
    package init(
        name: String,
        path: String = "/",
        trustPolicy: String? = nil,
        in environment: LabEnvironment
    ) throws(LabError) {
        do {
            self.init(
                name: name,
                path: path,
                trustPolicy: try PolicyDocument(trustPolicy ?? Self.openTrustPolicy(environment), kind: .trust),
                in: environment
            )
        } catch {
            throw LabError(
                .invalidResource,
                "the trust policy of the role \(name) is malformed: \(error.detail)",
                hint: error.hint
            )
        }
    }

    /// Makes a role.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - path: The path in front of the name, beginning and ending with `/`.
    ///   - identifier: `AROA…`; nothing derives it from the ARN, so that it stays the same from run to run.
    ///   - trustPolicy: Who may take the role.
    ///   - environment: The account.
    init(
        name: String,
        path: String,
        identifier: String? = nil,
        trustPolicy: PolicyDocument,
        in environment: LabEnvironment
    ) {
        self.name = name
        self.path = path
        self.trustPolicy = trustPolicy
        arn = AmazonResourceName(
            global: "iam",
            "role\(path)\(name)",
            region: environment.region,
            account: environment.account
        )
        self.identifier = identifier ?? "AROA" + Base32.text(of: Array(arn.description.utf8), count: 17)
        createdAt = environment.now()
    }

    /// Every certificate of every trust anchor in the account may take the role: for a start, and not for AWS.
    private static func openTrustPolicy(_ environment: LabEnvironment) -> String {
        """
        {"Version":"2012-10-17","Statement":[{"Sid":"AnyTrustAnchorOfThisAccount","Effect":"Allow",\
        "Principal":{"Service":"rolesanywhere.amazonaws.com"},\
        "Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],\
        "Condition":{"StringEquals":{"aws:SourceAccount":"\(environment.account)"}}}]}
        """
    }
}

extension PolicyDocument: Codable {
    private enum CodingKeys: CodingKey { case text, isTrust }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let isTrust = try values.decode(Bool.self, forKey: .isTrust)
        try self.init(try values.decode(String.self, forKey: .text), kind: isTrust ? .trust : .identity)
    }

    func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(text, forKey: .text)
        try values.encode(kind == .trust, forKey: .isTrust)
    }
}
