// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Everything on AWS's side that a CA's clients need: the trust anchor, a role with its trust policy, and a profile.
public struct AccountSetup: Sendable {
    /// A language that set-up is written in.
    public enum Format: String, CaseIterable, Sendable {
        /// A template of AWS CloudFormation.
        case cloudFormation = "cloudformation"
        /// A configuration of Terraform.
        case terraform
        /// A POSIX shell script that calls the AWS CLI.
        case awsCLI = "aws-cli"
    }

    /// What roles and sessions are allowed where nobody says otherwise: to look, and to be analysed.
    public static let defaultManagedPolicies = ["ReadOnlyAccess", "IAMAccessAnalyzerReadOnlyAccess"]

    /// The CA certificates.
    public let bundle: TrustAnchorBundle

    /// What the names of the trust anchor and of the profile are made from.
    public let name: String

    /// The role's name.
    public let roleName: String

    /// What a certificate must say, all of it.
    public let conditions: [CertificateCondition]

    /// Managed policies of the role, to which the profile limits sessions too.
    public let managedPolicies: [String]

    /// How long sessions last at most, in seconds.
    public let durationSeconds: Int

    /// Whether a request may name its session.
    public let acceptsRoleSessionName: Bool

    /// The AWS region; the tool's own default when nothing is given.
    public let region: String?

    /// Describes a set-up.
    ///
    /// - Parameters:
    ///   - bundle: The CA certificates.
    ///   - name: 1 to 200 letters, digits, blanks, `-` and `_`; made from the first CA's common name when nothing is given.
    ///   - roleName: 1 to 64 characters of `A-Za-z0-9_+=,.@-`; made from the name when nothing is given.
    ///   - conditions: What a certificate must say, all of it.
    ///   - allowsAnyCertificate: Whether there may be no condition.
    ///   - managedPolicies: ARNs of managed policies, or names of AWS's own; at most 10, the quota of a role.
    ///   - durationSeconds: 900 to 43200.
    ///   - acceptsRoleSessionName: Whether a request may name its session.
    ///   - region: The AWS region.
    ///   - partition: `aws`, `aws-cn`, `aws-us-gov`, …: where AWS's own policies are; the region's when nothing is given.
    /// - Throws: ``TrustAnchorError`` naming the limit.
    public init(
        bundle: TrustAnchorBundle,
        name: String? = nil,
        roleName: String? = nil,
        conditions: [CertificateCondition],
        allowsAnyCertificate: Bool = false,
        managedPolicies: [String] = AccountSetup.defaultManagedPolicies,
        durationSeconds: Int = 3_600,
        acceptsRoleSessionName: Bool = false,
        region: String? = nil,
        partition: String? = nil
    ) throws(TrustAnchorError) {
        try TrustPolicy.check(conditions, allowsAnyCertificate)
        let name = name ?? String(bundle.suggestedName.prefix(200))
        try TrustAnchorBundle.check(name: name)
        guard name.count <= 200 else {
            throw TrustAnchorError(.name, "the name has \(name.count) characters, not at most 200")
        }
        let roleName = roleName ?? String(name.map { $0 == " " ? "-" : $0 }.prefix(50)) + "-RolesAnywhere"
        guard (1...64).contains(roleName.utf8.count), roleName.utf8.allSatisfy(Self.isAllowedInRoleName) else {
            throw TrustAnchorError(
                .name,
                "AWS takes no role of the name \"\(roleName)\"",
                hint: "use 1 to 64 letters, digits and _+=,.@-"
            )
        }
        guard (1...10).contains(managedPolicies.count) else {
            throw TrustAnchorError(
                .name,
                "there are \(managedPolicies.count) managed policies, and a role takes 1 to 10",
                hint: "name some with --managed-policy"
            )
        }
        var arns: [String] = []
        let partition = partition ?? Self.partition(of: region ?? "")
        for policy in managedPolicies { arns.append(try Self.arn(policy, partition)) }
        guard (900...43_200).contains(durationSeconds) else {
            throw TrustAnchorError(.duration, "sessions of \(durationSeconds) s are not possible: 900 to 43200 s are")
        }
        if let region { try TrustAnchorBundle.check(region: region) }
        self.bundle = bundle
        self.name = name
        self.roleName = roleName
        self.conditions = conditions
        self.managedPolicies = arns
        self.durationSeconds = durationSeconds
        self.acceptsRoleSessionName = acceptsRoleSessionName
        self.region = region
    }

    private static func partition(of region: String) -> String {
        for (prefix, partition) in [("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc")]
        where region.hasPrefix(prefix) { return partition }
        return "aws"
    }

    private static func isAllowedInRoleName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "_+=,.@-".utf8.contains(byte)
        }
    }

    private static func arn(_ policy: String, _ partition: String) throws(TrustAnchorError) -> String {
        let arn = policy.hasPrefix("arn:") ? policy : "arn:\(partition):iam::aws:policy/\(policy)"
        let parts = arn.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, parts[1].hasPrefix("aws"), parts[2] == "iam", parts[3].isEmpty,
            parts[4] == "aws" || parts[4].utf8.count == 12, parts[5].hasPrefix("policy/"), parts[5].count > 7,
            (20...200).contains(arn.utf8.count),
            arn.utf8.allSatisfy({ Self.isAllowedInRoleName($0) || $0 == 0x3a || $0 == 0x2f })
        else {
            throw TrustAnchorError(
                .name,
                "\"\(policy)\" is neither the ARN of a managed policy nor the name of one of AWS's",
                hint: "it looks like arn:aws:iam::aws:policy/ReadOnlyAccess"
            )
        }
        return arn
    }

    /// How long the role lets sessions last: never less than AWS's least.
    var roleDurationSeconds: Int { max(3_600, durationSeconds) }

    /// Writes the set-up.
    ///
    /// - Parameters:
    ///   - format: The language.
    ///   - template: The template; nothing takes the one in `templates/setup`.
    /// - Returns: The text, with a line end.
    /// - Throws: ``TrustAnchorError`` when the template names something unknown.
    public func text(_ format: Format, template: SetupTemplate? = nil) throws(TrustAnchorError) -> String {
        guard format != .terraform || template != nil || !acceptsRoleSessionName else {
            throw TrustAnchorError(
                .template,
                "Terraform's provider for AWS (5.100) has no setting that lets requests name their sessions",
                hint: "leave it out, and afterwards: aws rolesanywhere update-profile --accept-role-session-name"
            )
        }
        return try (template ?? .builtIn(format)).text(values(format))
    }

    /// What AWS may complain of: a trust policy that is longer than the quota of an account where nobody had it raised.
    public var warnings: [String] {
        // As long as a trust anchor's ARN is in a region with a long name.
        let arn =
            "arn:aws-us-gov:rolesanywhere:ap-southeast-1:123456789012:trust-anchor/" + String(repeating: "0", count: 36)
        return PolicyText(source: ("ArnEquals", "aws:SourceArn", .texts([arn])), conditions: conditions).warnings
    }

    private func values(_ format: Format) -> [String: String] {
        func policy(_ arn: String) -> PolicyText {
            PolicyText(source: ("ArnEquals", "aws:SourceArn", .expression(arn)), conditions: conditions)
        }
        let names = [
            "trustAnchorName": name, "profileName": name, "roleName": roleName, "description": "For clients of \(name)",
        ]
        switch format {
        case .cloudFormation:
            var values = names.mapValues(Quoting.yaml)
            values["certificates"] = bundle.pem
            values["trustPolicy"] = policy(#"{ "Fn::GetAtt": ["TrustAnchor", "TrustAnchorArn"] }"#).json
            values["managedPolicyARNs"] = managedPolicies.map { "- \(Quoting.yaml($0))" }.joined(separator: "\n")
            return values.merging(numbers) { first, _ in first }
        case .terraform:
            var values = names.mapValues(Quoting.hcl)
            values["certificates"] = bundle.pem
            values["condition"] = policy("aws_rolesanywhere_trust_anchor.this.arn").terraformCondition
            values["managedPolicyARNs"] =
                "[\n" + managedPolicies.map { "  \(Quoting.hcl($0)),\n" }.joined() + "]"
            values["provider"] = region.map { "provider \"aws\" {\n  region = \(Quoting.hcl($0))\n}\n\n" } ?? ""
            return values.merging(numbers) { first, _ in first }
        case .awsCLI:
            var values = names.mapValues(Quoting.shell)
            values["source"] = Quoting.shell(bundle.sourceJSON)
            // The policy stands in single quotation marks, which the variable interrupts. No value can hold the marker.
            let marker = "\u{1}"
            values["trustPolicy"] = Quoting.shell(policy("\"\(marker)\"").json)
                .replacing(marker, with: #"'"$trust_anchor_arn"'"#)
            values["managedPolicyARNs"] = managedPolicies.map(Quoting.shell).joined(separator: " ")
            values["region"] =
                region.map(Quoting.shell).map {
                    "AWS_REGION=\($0) AWS_DEFAULT_REGION=\($0)\nexport AWS_REGION AWS_DEFAULT_REGION\n"
                } ?? ""
            values["naming"] = acceptsRoleSessionName ? "--accept-role-session-name" : "--no-accept-role-session-name"
            return values.merging(numbers) { first, _ in first }
        }
    }

    private var numbers: [String: String] {
        [
            "durationSeconds": "\(durationSeconds)", "roleDurationSeconds": "\(roleDurationSeconds)",
            "acceptRoleSessionName": acceptsRoleSessionName ? "true" : "false",
        ]
    }
}
