// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RolesAnywhere

struct AmazonResourceNameTests {
    @Test func `a name is read into its parts`() throws {
        let name = try AmazonResourceName("arn:aws-cn:rolesanywhere:cn-north-1:123456789012:trust-anchor/a:b/c")
        #expect(name.partition == "aws-cn")
        #expect(name.service == "rolesanywhere")
        #expect(name.region == "cn-north-1")
        #expect(name.accountID == "123456789012")
        #expect(name.resource == "trust-anchor/a:b/c")
        #expect(name.description == "arn:aws-cn:rolesanywhere:cn-north-1:123456789012:trust-anchor/a:b/c")
    }

    @Test(arguments: [
        ("", "not of the form"),
        ("rolesanywhere", "not of the form"),
        ("urn:aws:iam::123456789012:role/App", "not of the form"),
        ("arn:aws:iam:123456789012:role/App", "not of the form"),
        ("arn::iam::123456789012:role/App", "partition"),
        ("arn:aws:I AM::123456789012:role/App", "service"),
        ("arn:aws:iam:us east:123456789012:role/App", "region"),
        ("arn:aws:iam::12345678901:role/App", "account"),
        ("arn:aws:iam::12345678901x:role/App", "account"),
        ("arn:aws:iam::123456789012:", "no resource"),
        ("arn:aws:iam::123456789012:role/Ä", "outside of ASCII"),
        ("arn:aws:iam::123456789012:role/\nApp", "outside of ASCII"),
    ])
    func `a malformed name is refused and the part is named`(text: String, part: String) throws {
        let error = try #require(throws: RolesAnywhereError.self) { try AmazonResourceName(text) }
        #expect(error.code == .invalidArgument)
        #expect(error.message.contains(part))
        #expect(!error.message.contains("\n"))
    }

    @Test(arguments: [
        ("arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/1b6a4a12-76e7-4b2a-9d4d-abc", "trust-anchor"),
        ("arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/anything-at-all", "trust-anchor"),
        ("arn:aws:rolesanywhere:us-east-1:123456789012:alias/trust-anchor/My Anchor", "trust-anchor"),
        ("arn:aws:rolesanywhere:us-east-1:123456789012:profile/0f5d", "profile"),
        ("arn:aws:rolesanywhere:us-east-1:123456789012:alias/profile/Mine", "profile"),
        ("arn:aws:iam::123456789012:role/service/path/App", "role"),
    ])
    func `identifiers and aliases are of their kind`(text: String, kind: String) throws {
        let name = try AmazonResourceName(text)
        for candidate in [AmazonResourceName.Kind.trustAnchor, .profile, .role] {
            if candidate.rawValue == kind {
                #expect(throws: Never.self) { try name.require(candidate) }
            } else {
                #expect(throws: RolesAnywhereError.self) { try name.require(candidate) }
            }
        }
    }

    @Test(arguments: [
        "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/",
        "arn:aws:rolesanywhere:us-east-1:123456789012:alias/trust-anchor/",
        "arn:aws:rolesanywhere::123456789012:trust-anchor/x",
        "arn:aws:rolesanywhere:us-east-1:123456789012:alias/crl/x",
        "arn:aws:iam::123456789012:trust-anchor/x",
    ])
    func `what is no trust anchor is refused`(text: String) throws {
        let name = try AmazonResourceName(text)
        let error = try #require(throws: RolesAnywhereError.self) { try name.require(.trustAnchor) }
        #expect(error.message.contains("is not the ARN of a trust anchor"))
    }
}
