// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

@testable import TrustAnchors

private let anchor = "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/a0000000-0000-4000-8000-000000000001"

/// What the tests read of a policy.
private struct Policy: Decodable {
    struct Statement: Decodable {
        var effect: String
        var principal: [String: String]
        var action: [String]
        var condition: [String: [String: OneOrMany]]

        private enum CodingKeys: String, CodingKey {
            case effect = "Effect"
            case principal = "Principal"
            case action = "Action"
            case condition = "Condition"
        }
    }

    struct OneOrMany: Decodable {
        var values: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let one = try? container.decode(String.self) {
                values = [one]
            } else {
                values = try container.decode([String].self)
            }
        }
    }

    var version: String
    var statements: [Statement]

    private enum CodingKeys: String, CodingKey {
        case version = "Version"
        case statements = "Statement"
    }
}

@Suite struct TrustPolicyTests {
    private func statement(_ policy: TrustPolicy) throws -> Policy.Statement {
        let read = try JSONDecoder().decode(Policy.self, from: Data(policy.jsonText.utf8))
        #expect(read.version == "2012-10-17")
        return try #require(read.statements.first)
    }

    @Test func `it trusts the service, for three actions, through the trust anchor`() throws {
        let policy = try TrustPolicy(
            source: .trustAnchors([anchor]), conditions: [CertificateCondition(.subjectCommonName, ["web-1"])])
        let statement = try statement(policy)
        #expect(statement.effect == "Allow")
        #expect(statement.principal == ["Service": "rolesanywhere.amazonaws.com"])
        #expect(statement.action == ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
        #expect(statement.condition["ArnEquals"]?["aws:SourceArn"]?.values == [anchor])
        #expect(statement.condition["StringEquals"]?["aws:PrincipalTag/x509Subject/CN"]?.values == ["web-1"])
    }

    @Test func `a wildcard makes the condition a pattern, and only that one`() throws {
        let policy = try TrustPolicy(
            source: .account("123456789012"),
            conditions: [
                CertificateCondition(.subjectCommonName, ["web-*", "db"]),
                CertificateCondition(.subjectOrganizationalUnit, ["Straße 7"]),
                CertificateCondition(.uniformResourceIdentifier, ["spiffe://example.org/a?"]),
            ]
        )
        let condition = try statement(policy).condition
        #expect(condition["StringLike"]?["aws:PrincipalTag/x509Subject/CN"]?.values == ["web-*", "db"])
        #expect(condition["StringLike"]?["aws:PrincipalTag/x509SAN/URI"]?.values == ["spiffe://example.org/a?"])
        #expect(condition["StringEquals"]?["aws:PrincipalTag/x509Subject/OU"]?.values == ["Straße 7"])
        #expect(condition["StringEquals"]?["aws:SourceAccount"]?.values == ["123456789012"])
        #expect(condition["ArnEquals"] == nil)
    }

    @Test func `without a condition it is refused, unless that is meant`() throws {
        let error = #expect(throws: TrustAnchorError.self) {
            try TrustPolicy(source: .trustAnchors([anchor]), conditions: [])
        }
        #expect(error?.code == .condition)
        let open = try TrustPolicy(source: .trustAnchors([anchor]), conditions: [], allowsAnyCertificate: true)
        #expect(try statement(open).condition.keys.sorted() == ["ArnEquals"])
    }

    @Test(arguments: [
        "", "a\"b", "a,b", "a'b", "$(id)", "${aws:x}", "a\nb", "a_b;", "a\\b", "<x>", "a#", "\u{202e}", "a&b", "(a)",
        "*", "**?",
    ])
    func `a value that AWS would drop is refused`(_ value: String) {
        let error = #expect(throws: TrustAnchorError.self) { try CertificateCondition(.subjectCommonName, [value]) }
        #expect(error?.code == .condition)
    }

    @Test(arguments: [
        "", "arn:aws:iam::123456789012:role/x", "arn:aws:rolesanywhere:us-east-1:123456789012:profile/x",
        "\(anchor)\"", "\(anchor)'", "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/*",
        "arn:aws:rolesanywhere:us-east-1:12:trust-anchor/x",
    ])
    func `what is no trust anchor is refused`(_ arn: String) {
        #expect(throws: TrustAnchorError.self) {
            try TrustPolicy(source: .trustAnchors([arn]), conditions: [], allowsAnyCertificate: true)
        }
    }

    @Test(arguments: ["", "12345678901", "1234567890123", "12345678901a", "١٢٣٤٥٦٧٨٩٠١٢"])
    func `what is no account is refused`(_ account: String) {
        #expect(throws: TrustAnchorError.self) {
            try TrustPolicy(source: .account(account), conditions: [], allowsAnyCertificate: true)
        }
    }

    @Test func `two conditions on the same part are refused: they would take each other's place`() {
        #expect(throws: TrustAnchorError.self) {
            try TrustPolicy(
                source: .trustAnchors([anchor]),
                conditions: [
                    CertificateCondition(.subjectCommonName, ["a"]), CertificateCondition(.subjectCommonName, ["b"]),
                ]
            )
        }
    }
}

extension AccountSetup {
    /// A set-up with one role.
    fileprivate init(
        bundle: TrustAnchorBundle, name: String? = nil, roleName: String? = nil, conditions: [CertificateCondition],
        allowsAnyCertificate: Bool = false, managedPolicies: [String] = AccountSetup.defaultManagedPolicies,
        region: String? = nil, partition: String? = nil
    ) throws(TrustAnchorError) {
        let role = try Role(
            name: roleName, conditions: conditions, allowsAnyCertificate: allowsAnyCertificate,
            managedPolicies: managedPolicies)
        try self.init(bundle: bundle, name: name, roles: [role], region: region, partition: partition)
    }
}

@Suite struct AccountSetupTests {
    private func bundle() throws -> TrustAnchorBundle {
        let template = "[ v3 ]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n"
        let key = try PrivateKey(generating: .ecP256)
        let now = Date(timeIntervalSince1970: 1_780_000_000)
        let root = try CertificateParameters(
            serialNumber: SerialNumber([1]), subject: try DistinguishedName("CN=Root & Sons"), publicKey: key.publicKey,
            notBefore: now, notAfter: now.addingTimeInterval(86_400),
            template: try CertificateTemplate(reading: Array(template.utf8), name: "t.conf")
        ).selfSigned(by: key)
        return try TrustAnchorBundle(reading: [.init(name: "r", contents: Array(root.pemEncoded.utf8))], at: now)
    }

    @Test(arguments: AccountSetup.Format.allCases)
    func `every place of the built-in templates is filled`(_ format: AccountSetup.Format) throws {
        let text = try AccountSetup(bundle: bundle(), conditions: [], allowsAnyCertificate: true).text(format)
        #expect(!text.contains("{{"))
        #expect(text.contains("ReadOnlyAccess"))
        #expect(text.contains("IAMAccessAnalyzerReadOnlyAccess"))
        #expect(text.contains("BEGIN CERTIFICATE"))
        #expect(text.contains("Root - Sons"))
        #expect(text.hasSuffix("\n"))
    }

    @Test func `the built-in templates are those of the directory`() throws {
        let directory = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/templates/setup/"
        let names = [
            AccountSetup.Format.cloudFormation: "cloudformation.yaml", .terraform: "terraform.tf",
            .awsCLI: "aws-cli.sh",
        ]
        for (format, name) in names {
            let contents = Array(try Data(contentsOf: URL(filePath: directory + name)))
            #expect(try SetupTemplate(reading: contents, name: "templates/setup/\(name)") == .builtIn(format))
        }
    }

    @Test func `without a condition it is refused, unless that is meant`() throws {
        let bundle = try bundle()
        #expect(throws: TrustAnchorError.self) { try AccountSetup(bundle: bundle, conditions: []) }
    }

    @Test(arguments: ["a\"b", "a'b", "$(id)", "", String(repeating: "a", count: 201), "a\nb", "é"])
    func `a name that AWS would not take is refused`(_ name: String) throws {
        let bundle = try bundle()
        #expect(throws: TrustAnchorError.self) {
            try AccountSetup(bundle: bundle, name: name, conditions: [], allowsAnyCertificate: true)
        }
    }

    @Test(arguments: ["a b", "", String(repeating: "a", count: 65), "a/b", "a'b"])
    func `a role's name that AWS would not take is refused`(_ name: String) throws {
        let bundle = try bundle()
        #expect(throws: TrustAnchorError.self) {
            try AccountSetup(bundle: bundle, roleName: name, conditions: [], allowsAnyCertificate: true)
        }
    }

    @Test(arguments: [
        ["arn:aws:iam::aws:role/x"], ["x y"], ["$(id)"], [], Array(repeating: "ReadOnlyAccess", count: 11), ["a'b"],
    ])
    func `policies that AWS would not take are refused`(_ policies: [String]) throws {
        let bundle = try bundle()
        #expect(throws: TrustAnchorError.self) {
            try AccountSetup(bundle: bundle, conditions: [], allowsAnyCertificate: true, managedPolicies: policies)
        }
    }

    @Test func `a policy of AWS's own is known by its name in every partition`() throws {
        let setup = try AccountSetup(
            bundle: bundle(), conditions: [], allowsAnyCertificate: true,
            managedPolicies: ["ReadOnlyAccess", "arn:aws-cn:iam::123456789012:policy/team/own"], partition: "aws-cn")
        #expect(
            setup.roles[0].managedPolicies == [
                "arn:aws-cn:iam::aws:policy/ReadOnlyAccess", "arn:aws-cn:iam::123456789012:policy/team/own",
            ]
        )
    }

    @Test func `the region tells where AWS's own policies are`() throws {
        let setup = try AccountSetup(
            bundle: bundle(), conditions: [], allowsAnyCertificate: true, managedPolicies: ["ReadOnlyAccess"],
            region: "us-gov-west-1")
        #expect(setup.roles[0].managedPolicies == ["arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess"])
    }

    @Test func `no name is taken for the place of the trust anchor's ARN`() throws {
        let condition = try CertificateCondition(.subjectCommonName, ["TRUST-ANCHOR-ARN"])
        let text = try AccountSetup(bundle: bundle(), conditions: [condition]).text(.awsCLI)
        #expect(text.contains(#""aws:PrincipalTag/x509Subject/CN": "TRUST-ANCHOR-ARN""#))
        #expect(text.contains(#""aws:SourceArn": "'"$trust_anchor_arn"'""#))
    }

    @Test func `a template that names something unknown is refused by the name`() throws {
        let template = try SetupTemplate(reading: Array("x {{unheard}} y".utf8), name: "own.yaml")
        let setup = try AccountSetup(bundle: bundle(), conditions: [], allowsAnyCertificate: true)
        let error = #expect(throws: TrustAnchorError.self) { try setup.text(.terraform, template: template) }
        #expect(error?.message.contains("own.yaml") == true)
        #expect(error?.message.contains("unheard") == true)
        let open = try SetupTemplate(reading: Array("{{roleName".utf8), name: "own.yaml")
        #expect(throws: TrustAnchorError.self) { try setup.text(.terraform, template: open) }
    }

    @Test func `a section is repeated, or left out`() throws {
        let template = try SetupTemplate(reading: Array("a\n{{#s}}\n {{v}}{{w}}\n{{/s}}\nb".utf8), name: "t")
        #expect(
            try template.text(["v": "1"], sections: ["s": [["w": "x"], ["v": "2", "w": "y"]]]) == "a\n 1x\n 2y\nb")
        #expect(try template.text([:], sections: ["s": []]) == "a\nb")
        #expect(throws: TrustAnchorError.self) { try template.text([:], sections: [:]) }
        for text in ["{{#s}}\n", "{{/s}}\n", "{{#s}}\n{{#s}}\n{{/s}}\n{{/s}}\n"] {
            let open = try SetupTemplate(reading: Array(text.utf8), name: "t")
            #expect(throws: TrustAnchorError.self) { try open.text([:], sections: ["s": [[:]]]) }
        }
    }

    @Test func `A5: two roles of one name are refused, and several profiles are named after their roles`() throws {
        let any = try AccountSetup.Role(name: "a.b", conditions: [], allowsAnyCertificate: true)
        let other = try AccountSetup.Role(conditions: [], allowsAnyCertificate: true)
        #expect(throws: TrustAnchorError.self) { try AccountSetup(bundle: bundle(), roles: [any, any]) }
        #expect(try AccountSetup(bundle: bundle(), roles: [any, other]).roles.map(\.profileName)[0] == "a-b")
        #expect(try AccountSetup(bundle: bundle(), name: "N", roles: [any]).roles[0].profileName == "N")
    }

    @Test func `a place at the end of a line passes the indentation on`() throws {
        let template = try SetupTemplate(reading: Array("  a: {{v}}\n  {{v}}\nx {{v}} y\n".utf8), name: "t")
        #expect(try template.text(["v": "1\n2\n"]) == "  a: 1\n  2\n  1\n  2\nx 1\n2\n y\n")
    }
}
