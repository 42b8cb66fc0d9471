// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import pki

@Suite struct MaterialPlaceTests {
    @Test(arguments: [
        ("web-1.pem", KeyLocation.file("web-1.pem")), ("./env:x", .file("./env:x")), ("-", .standardInput),
        ("env:KEY", .environment("KEY")), ("fd:3", .descriptor(3)), ("pkcs11:token=a", .pkcs11("pkcs11:token=a")),
        ("handle:0x81000001", .tpm("handle:0x81000001")), ("ssh-agent:SHA256:x", .agent(fingerprint: "SHA256:x")),
    ])
    func `a place is told by how it begins`(text: String, place: KeyLocation) throws {
        #expect(try KeyLocation(text) == place)
    }

    @Test(arguments: ["env:", "fd:", "fd:x", "fd:-1"])
    func `what begins like a place and is none is refused`(text: String) {
        #expect(throws: UsageError.self) { try KeyLocation(text) }
    }

    @Test func `a PIN in an address is not shown`() throws {
        let place = try KeyLocation("pkcs11:token=a?pin-value=4711")
        #expect(!"\(place)".contains("4711"))
    }

    @Test func `the helper's flags may have values`() {
        let given = ["update", "--debug=true", "--once=false", "--with-proxy=1", "--profile=a", "--reuse-pin=maybe"]
        #expect(
            SigningHelper.normalized(given) == [
                "update", "--debug", "--with-proxy", "--profile=a", "--reuse-pin=maybe",
            ]
        )
    }

    @Test(arguments: [
        (["/usr/bin/aws_signing_helper", "serve"], true, true), (["aws_signing_helper"], true, true),
        (["pki", "sign-string"], false, true), (["/x/pki", "version"], false, true), (["pki", "creds"], false, false),
        (["pki"], false, false), ([], false, false),
    ])
    func `the helper is known by its name and its commands`(arguments: [String], isCalled: Bool, isMeant: Bool) {
        #expect(SigningHelper.isCalled(by: arguments) == isCalled)
        #expect(SigningHelper.isMeant(by: arguments) == isMeant)
    }
}
