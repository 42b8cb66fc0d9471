// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AWSModel
import SystemSupport

struct AmazonResourceNameTests {
    @Test func `a name is read into its parts`() throws {
        let name = try AmazonResourceName(
            parsing: "arn:aws-cn:rolesanywhere:cn-north-1:123456789012:trust-anchor/a:b/c")
        #expect(name.partition == "aws-cn")
        #expect(name.service == "rolesanywhere")
        #expect(name.region == "cn-north-1")
        #expect(name.account == "123456789012")
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
        ("arn:gcp:iam::123456789012:role/App", "partition"),
        ("ARN:aws:iam::123456789012:role/App", "not of the form"),
        ("arn:aws::us-east-1:123456789012:x", "service"),
        ("arn:aws:iam::١٢٣٤٥٦٧٨٩٠١٢:role/a", "outside of ASCII"),
        ("arn:aws:iam::123456789012:role/" + String(repeating: "x", count: 1_000), "not at most 1011"),
        ("arn:aws:iam::123456789012:role/Ä", "outside of ASCII"),
        ("arn:aws:iam::123456789012:role/\nApp", "outside of ASCII"),
    ])
    func `a malformed name is refused and the part is named`(text: String, part: String) throws {
        let error = try #require(throws: AWSModelError.self) { try AmazonResourceName(parsing: text) }
        #expect(error.code == .malformedARN)
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
        let name = try AmazonResourceName(parsing: text)
        for candidate in AmazonResourceName.Kind.allCases {
            if candidate.rawValue == kind {
                #expect(throws: Never.self) { try name.require(candidate) }
            } else {
                #expect(throws: AWSModelError.self) { try name.require(candidate) }
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
        let name = try AmazonResourceName(parsing: text)
        let error = try #require(throws: AWSModelError.self) { try name.require(.trustAnchor) }
        #expect(error.message.contains("is not the ARN of a trust anchor"))
    }

    @Test(arguments: [
        ("us-east-1", "aws", "us-east-1"), ("cn-north-1", "aws-cn", "cn-north-1"),
        ("us-gov-east-1", "aws-us-gov", "us-gov-west-1"), ("eusc-de-east-1", "aws-eusc", "eusc-de-east-1"),
        ("us-isob-east-1", "aws-iso-b", "us-isob-east-1"), ("mars-north-7", "aws", "us-east-1"),
    ])
    func `the partition follows the region`(region: String, partition: String, first: String) {
        let name = AmazonResourceName(rolesAnywhere: "profile/x", region: region, account: "123456789012")
        #expect(name.partition == partition)
        #expect(Partition(of: region).firstRegion == first)
        #expect(AmazonResourceName(name.description) == name)
        let role = AmazonResourceName(global: "iam", "role/a", region: region, account: "123456789012")
        #expect(role.description == "arn:\(partition):iam::123456789012:role/a" && role.isA(.role))
    }

    @Test func `a blank is for the service to judge, and for the lab to refuse`() throws {
        let text = "arn:aws:iam::123456789012:role/a b"
        #expect(try AmazonResourceName(parsing: text).resource == "role/a b")
        #expect(AmazonResourceName(text) == nil)
    }

    @Test func `a managed policy of AWS has no account`() {
        #expect(AmazonResourceName(managedPolicy: "arn:aws:iam::aws:policy/ReadOnlyAccess") != nil)
        #expect(AmazonResourceName(managedPolicy: "arn:aws:iam::123456789012:policy/own") != nil)
        for text in ["arn:aws:iam::aws:policy/", "arn:aws:iam:us-east-1:aws:policy/x", "arn:aws:s3::aws:policy/x"] {
            #expect(AmazonResourceName(managedPolicy: text) == nil)
        }
    }
}
