// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
public import SystemSupport

/// The resources in AWS for the clients of a CA: a trust anchor, a role with its trust policy, and a profile.
public struct AccountSetup: Sendable {
    /// The language of the output.
    public enum Format: String, CaseIterable, Sendable {
        /// A template of AWS CloudFormation.
        case cloudFormation = "cloudformation"
        /// A configuration of Terraform.
        case terraform
        /// A POSIX shell script that calls the AWS CLI.
        case awsCLI = "aws-cli"
    }

    /// The default policy of roles and sessions.
    public static let defaultManagedPolicies = ["ReadOnlyAccess", "IAMAccessAnalyzerReadOnlyAccess"]

    /// The CA certificates.
    public let bundle: TrustAnchorBundle
    /// The name of the trust anchor and the profile.
    public let name: String
    /// The role's name.
    public let roleName: String
    /// The conditions on a certificate, all of which must hold.
    public let conditions: [CertificateCondition]
    /// The ARNs of the role's managed policies, to which the profile limits sessions too.
    public let managedPolicies: [String]
    /// The longest duration of sessions in seconds.
    public let durationSeconds: Int
    /// Whether a request may name its session.
    public let acceptsRoleSessionName: Bool
    /// The AWS region; `nil` for the default of the tool.
    public let region: String?

    /// Creates a set-up. Throws ``TrustAnchorError`` if AWS would not accept it.
    ///
    /// - Parameters:
    ///   - bundle: The CA certificates of the trust anchor.
    ///   - name: 1 to 200 letters, digits, blanks, `-` and `_`; by default derived from the first CA's common name.
    ///   - roleName: 1 to 64 characters of `A-Za-z0-9_+=,.@-`; by default derived from the name.
    ///   - conditions: Which certificates can assume the role.
    ///   - allowsAnyCertificate: Whether the conditions may be empty.
    ///   - managedPolicies: 1 to 10 ARNs of managed policies, or names of AWS managed policies.
    ///   - durationSeconds: 900 to 43200.
    ///   - acceptsRoleSessionName: Whether a request may name its session.
    ///   - region: The AWS region; `nil` for the default of the tool.
    ///   - partition: The partition of AWS managed policies, such as `aws-cn`; by default that of the region.
    public init(
        bundle: TrustAnchorBundle, name: String? = nil, roleName: String? = nil, conditions: [CertificateCondition],
        allowsAnyCertificate: Bool = false, managedPolicies: [String] = AccountSetup.defaultManagedPolicies,
        durationSeconds: Int? = nil, acceptsRoleSessionName: Bool = false, region: String? = nil,
        partition: String? = nil
    ) throws(TrustAnchorError) {
        try TrustPolicy.check(conditions, allowsAnyCertificate)
        let durationSeconds = durationSeconds ?? AWSLimit.defaultSessionDuration
        let name = name ?? String(bundle.suggestedName.prefix(200))
        try TrustAnchorBundle.check(name: name)
        guard name.count <= 200 else {
            throw TrustAnchorError(.name, "the name has \(name.count) characters; the limit is 200")
        }
        let roleName = roleName ?? String(name.map { $0 == " " ? "-" : $0 }.prefix(50)) + "-RolesAnywhere"
        guard AWSLimit.roleNameLength.contains(roleName.utf8.count), AWSText.sessionName.allows(roleName) else {
            throw TrustAnchorError(
                .name, "AWS does not allow the role name \"\(roleName)\"",
                hint: "use 1 to 64 letters, digits and _+=,.@-")
        }
        let most = AWSLimit.rolePolicyCount.maximum
        guard (1...most).contains(managedPolicies.count) else {
            throw TrustAnchorError(
                .name, "there are \(managedPolicies.count) managed policies; a role can have 1 to \(most)",
                hint: "choose them: --managed-policy NAME")
        }
        var arns: [String] = []
        let partition = partition ?? Partition(of: region ?? "").name
        for policy in managedPolicies { arns.append(try Self.arn(policy, partition)) }
        let profile = ProfileValues(name: name, roleCount: 1, managedPolicies: arns, durationSeconds: durationSeconds)
        if let finding = AWSRules.profile.findings(in: profile).errors.first {
            throw TrustAnchorError(
                finding.rule.name == "aws-profile-duration" ? .duration : .name, "the profile \(finding.finding)",
                hint: finding.hint)
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

    private static func arn(_ policy: String, _ partition: String) throws(TrustAnchorError) -> String {
        let arn = policy.hasPrefix("arn:") ? policy : "arn:\(partition):iam::aws:policy/\(policy)"
        guard AmazonResourceName(managedPolicy: arn) != nil, (20...200).contains(arn.utf8.count),
            arn.utf8.allSatisfy({ AWSText.sessionName.allows($0) || $0 == 0x3a || $0 == 0x2f })
        else {
            throw TrustAnchorError(
                .name, "\"\(policy)\" is not the ARN of a managed policy or the name of an AWS managed policy",
                hint: "an ARN looks like arn:aws:iam::aws:policy/ReadOnlyAccess")
        }
        return arn
    }

    /// The maximum session duration of the role, at least AWS's minimum.
    var roleDurationSeconds: Int { max(AWSLimit.roleSessionDuration.minimum, durationSeconds) }

    /// The text of the set-up, with a line end. The default template is that of `templates/setup`.
    public func text(_ format: Format, template: SetupTemplate? = nil) throws(TrustAnchorError) -> String {
        guard format != .terraform || template != nil || !acceptsRoleSessionName else {
            throw TrustAnchorError(
                .template, "Terraform's AWS provider (5.100) has no setting for role session names",
                hint: "leave out the option, then run aws rolesanywhere update-profile --accept-role-session-name")
        }
        return try (template ?? .builtIn(format)).text(values(format))
    }

    /// A warning if the trust policy is longer than IAM's default quota.
    public var warnings: [String] {
        // An ARN of a trust anchor in a region with a long name.
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
            // The policy is in single quotation marks, which the variable interrupts. No value can contain the marker.
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

/// A text with placeholders `{{name}}`.
///
/// The further lines of a value at the end of a line are indented like the line.
public struct SetupTemplate: Hashable, Sendable {
    private let name: String
    private let text: String

    /// Reads a template in UTF-8; `name` is the name of the file in messages.
    public init(reading contents: [UInt8], name: String) throws(TrustAnchorError) {
        guard let text = String(validating: contents, as: UTF8.self) else {
            throw TrustAnchorError(.template, "\(name) is not text in UTF-8")
        }
        self.name = name
        self.text = text
    }

    private init(builtIn contents: [UInt8], _ name: String) {
        self.name = "templates/setup/\(name)"
        text = String(decoding: contents, as: UTF8.self)
    }

    /// The template of `templates/setup` for a language.
    static func builtIn(_ format: AccountSetup.Format) -> SetupTemplate {
        switch format {
        case .cloudFormation: SetupTemplate(builtIn: PackageResources.cloudformation_yaml, "cloudformation.yaml")
        case .terraform: SetupTemplate(builtIn: PackageResources.terraform_tf, "terraform.tf")
        case .awsCLI: SetupTemplate(builtIn: PackageResources.aws_cli_sh, "aws-cli.sh")
        }
    }

    /// Replaces the placeholders by values.
    func text(_ values: [String: String]) throws(TrustAnchorError) -> String {
        var result = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "{{") {
            guard let end = rest[start.upperBound...].firstRange(of: "}}") else {
                throw TrustAnchorError(.template, "\(name): a placeholder begins with {{ but has no }}")
            }
            let place = String(rest[start.upperBound..<end.lowerBound])
            guard let value = values[place] else {
                throw TrustAnchorError(
                    .template, "\(name): undefined placeholder {{\(place)}}",
                    hint: "use one of \(values.keys.sorted().joined(separator: ", "))")
            }
            let before = rest[..<start.lowerBound]
            result += before
            let line = result[(result.lastIndex(of: "\n").map { result.index(after: $0) } ?? result.startIndex)...]
            let endsLine = (rest[end.upperBound...].first ?? "\n") == "\n"
            result += endsLine ? Self.indented(value, by: line.prefix { $0 == " " }.count) : value
            rest = rest[end.upperBound...]
        }
        return result + rest
    }

    private static func indented(_ value: String, by count: Int) -> String {
        let lines = value.split(separator: "\n", omittingEmptySubsequences: false)
        // A line end follows the placeholder.
        let kept = lines.last == "" ? lines.dropLast() : lines[...]
        return kept.joined(separator: "\n" + String(repeating: " ", count: count))
    }
}
