// SPDX-License-Identifier: Apache-2.0

package import AWSModel
import FoundationEssentials
import SystemSupport

/// An IAM role that sessions are created with.
package struct Role: Codable, Hashable, Sendable {
    /// `AROA…`
    let identifier: String
    /// The name, without the path.
    let name: String
    /// The path in front of the name, beginning and ending with `/`.
    let path: String
    package let arn: AmazonResourceName
    /// Who may assume the role.
    var trustPolicy: PolicyDocument
    /// In seconds.
    var maximumSessionDuration = AWSLimit.roleSessionDuration.minimum
    let createdAt: Date
    var explanation: String?
    /// Policies of its own by their names.
    var inlinePolicies: [String: PolicyDocument] = [:]
    /// In the order in which they were attached.
    var attachedPolicyARNs: [String] = []
    var permissionsBoundary: String?
    var tags: [Tag] = []

    /// Creates a role. Without a trust policy it trusts IAM Roles Anywhere with every trust anchor of this account: a
    /// start for the lab, and not a policy for AWS.
    init(
        name: String, path: String = "/", trustPolicy: String? = nil, in environment: LabEnvironment
    ) throws(LabError) {
        let open = """
            {"Version":"2012-10-17","Statement":[{"Sid":"AnyTrustAnchorOfThisAccount","Effect":"Allow",\
            "Principal":{"Service":"rolesanywhere.amazonaws.com"},\
            "Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],\
            "Condition":{"StringEquals":{"aws:SourceAccount":"\(environment.account)"}}}]}
            """
        do {
            let policy = try PolicyDocument(trustPolicy ?? open, kind: .trust)
            self.init(name: name, path: path, trustPolicy: policy, in: environment)
        } catch {
            throw LabError(
                .invalidResource, "the trust policy of the role \(name) is malformed: \(error.detail)", hint: error.hint
            )
        }
    }

    /// Creates a role. Without an identifier it is derived from the ARN, so that it stays the same from run to run.
    init(
        name: String, path: String, identifier: String? = nil, trustPolicy: PolicyDocument,
        in environment: LabEnvironment
    ) {
        self.name = name
        self.path = path
        self.trustPolicy = trustPolicy
        arn = environment.globalARN("iam", "role\(path)\(name)")
        self.identifier = identifier ?? "AROA" + Base32.characters(derivedFrom: arn.description, count: 17)
        createdAt = environment.now()
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
