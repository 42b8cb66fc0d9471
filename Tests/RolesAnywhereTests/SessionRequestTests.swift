// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RolesAnywhere

struct SessionRequestTests {
    @Test func `the content has the duration alone unless there is more to say`() throws {
        #expect(String(decoding: try SessionRequest.example().body, as: UTF8.self) == #"{"durationSeconds":3600}"#)
        let full = try SessionRequest.example(
            durationSeconds: 900, roleSessionName: "web-1@example.com",
            instanceProperties: ["zone": "a \"quoted\" one", "host": "web-1"])
        #expect(
            String(decoding: full.body, as: UTF8.self)
                == #"{"durationSeconds":900,"instanceProperties":{"host":"web-1","zone":"a \"quoted\" one"},"#
                + #""roleSessionName":"web-1@example.com"}"#)
    }

    @Test(arguments: [900, 43_200])
    func `the limits of the duration are allowed`(seconds: Int) throws {
        #expect(try SessionRequest.example(durationSeconds: seconds).durationSeconds == seconds)
    }

    @Test(arguments: [-1, 0, 899, 43_201, .max])
    func `a duration outside of the limits is refused`(seconds: Int) throws {
        let error = try #require(throws: RolesAnywhereError.self) {
            try SessionRequest.example(durationSeconds: seconds)
        }
        #expect(error.message.contains("\(seconds) seconds"))
        #expect(error.hint?.contains("900 to 43200") == true)
    }

    @Test(arguments: ["ab", "web-1", "A_+=,.@-9", String(repeating: "x", count: 64)])
    func `a session's name of the allowed characters is taken`(name: String) throws {
        #expect(try SessionRequest.example(roleSessionName: name).roleSessionName == name)
    }

    @Test(arguments: ["", "a", String(repeating: "x", count: 65), "a b", "a/b", "a:b", "é1", "a~b", "a\nb", "a\"b"])
    func `any other name of a session is refused`(name: String) {
        #expect(throws: RolesAnywhereError.self) { try SessionRequest.example(roleSessionName: name) }
    }

    @Test func `trust anchor and profile must be in one region and all in one partition`() throws {
        let region = try #require(throws: RolesAnywhereError.self) {
            try SessionRequest.example(profile: "arn:aws:rolesanywhere:eu-west-1:123456789012:profile/x")
        }
        #expect(region.message.contains("us-east-1") && region.message.contains("eu-west-1"))
        let partition = try #require(throws: RolesAnywhereError.self) {
            try SessionRequest.example(role: "arn:aws-cn:iam::123456789012:role/App")
        }
        #expect(partition.message.contains("partitions"))
    }

    @Test func `ARNs in each other's places are refused by name`() throws {
        let error = try #require(throws: RolesAnywhereError.self) {
            try SessionRequest.example(trustAnchor: SessionRequest.profile)
        }
        #expect(error.message.contains("is not the ARN of a trust anchor"))
        #expect(throws: RolesAnywhereError.self) { try SessionRequest.example(profile: SessionRequest.trustAnchor) }
        #expect(throws: RolesAnywhereError.self) { try SessionRequest.example(role: SessionRequest.profile) }
    }

    @Test func `instance properties have limits`() throws {
        let long = String(repeating: "x", count: 201)
        let many = Dictionary(uniqueKeysWithValues: (0..<51).map { ("name\($0)", "x") })
        for properties in [["a": long], [long: "a"], ["": "a"], many] {
            #expect(throws: RolesAnywhereError.self) { try SessionRequest.example(instanceProperties: properties) }
        }
    }
}
