// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

@testable import Lab

@Suite struct RevocationListLimitTests {
    private let lab: ControlPlaneLab
    private let anchor: JSONValue
    private let authority = TestAuthority.shared

    init() throws {
        lab = try ControlPlaneLab()
        anchor = try lab.makeAnchor()
    }

    private var anchorARN: JSONValue { anchor["trustAnchorArn"] ?? .null }

    private func arguments(_ data: JSONValue, _ anchor: JSONValue? = nil) -> JSONValue {
        ["name": "limits", "crlData": data, "trustAnchorArn": anchor ?? anchorARN]
    }

    @Test(arguments: [
        Unacceptable("an empty name", "name", ""),
        Unacceptable("a name of 256", "name", .string(String(repeating: "n", count: 256))),
        Unacceptable("no name", "name", .null), Unacceptable("no list", "crlData", .null),
        Unacceptable("an empty list", "crlData", ""), Unacceptable("garbage", "crlData", .bytes("garbage".utf8)),
        Unacceptable("300,001 bytes", "crlData", .bytes(Array(repeating: 0x78, count: 300_001))),
        Unacceptable("no anchor", "trustAnchorArn", .null),
        Unacceptable("an anchor that is no ARN", "trustAnchorArn", "anchor"),
        Unacceptable(
            "the ARN of a profile", "trustAnchorArn", "arn:aws:rolesanywhere:us-east-1:123456789012:profile/p"),
        Unacceptable("a flag in words", "enabled", "yes"), Unacceptable("201 tags", "tags", Unacceptable.tags(201)),
        Unacceptable("an alias with //", "aliasName", "a//b"),
    ])
    func `an import outside its limits is refused`(_ unacceptable: Unacceptable) throws {
        let arguments = arguments(try authority.revocationData()).setting(unacceptable.member, unacceptable.value)
        try lab.expectRefusal("ImportCrl", arguments, naming: unacceptable.word)
    }

    @Test func `a CRL of another CA is refused`() throws {
        let other = try TestAuthority("CN=another")
        try lab.expectRefusal("ImportCrl", arguments(try other.revocationData()), naming: "CN=another")
    }

    @Test func `a CRL that another key has signed is refused`() throws {
        let forger = try TestAuthority("CN=authority")
        try lab.expectRefusal("ImportCrl", arguments(try forger.revocationData()), naming: "sign")
    }

    @Test func `a CRL of a CA that may not sign any is refused`() throws {
        let mute = try TestAuthority("CN=mute", usage: "keyCertSign")
        let loud = try TestAuthority("CN=mute", key: mute.key)
        let made = try lab.makeAnchor(["source": mute.source])
        let arguments = arguments(try loud.revocationData(), made["trustAnchorArn"])
        try lab.expectRefusal("ImportCrl", arguments, naming: "cRLSign")
    }

    /// The second would be kept and not looked at.
    @Test func `two CRLs in one are refused`() throws {
        let text = try authority.revocationList().pemEncoded
        try lab.expectRefusal("ImportCrl", arguments(.bytes((text + text).utf8)), naming: "several")
    }

    @Test func `a CRL in DER is refused`() throws {
        let data = JSONValue.bytes(try authority.revocationList().derEncoded)
        try lab.expectRefusal("ImportCrl", arguments(data), naming: "PEM")
    }

    /// As the model of ImportCrl has it.
    @Test func `an import takes no ARN of an alias`() throws {
        let named: JSONValue = ["trustAnchorId": anchor["trustAnchorId"] ?? .null, "aliasName": "for-lists"]
        let alias = try lab.make("UpdateTrustAnchor", named, "trustAnchor")["aliasArn"]
        try lab.expectRefusal(
            "ImportCrl", arguments(try authority.revocationData(), alias), naming: "alias",
            code: "ResourceNotFoundException", status: 404)
    }

    @Test func `a trust anchor has two CRLs and no more`() throws {
        let arguments = arguments(try authority.revocationData())
        let made = try (0..<2).map { _ in try lab.make("ImportCrl", arguments, "crl") }
        try lab.expectRefusal("ImportCrl", arguments, naming: "2")
        try lab.make("DeleteCrl", ["crlId": made[0]["crlId"] ?? .null])
        try lab.make("ImportCrl", arguments)
    }

    @Test func `an update outside the limits is refused and changes nothing`() throws {
        let made = try lab.make("ImportCrl", arguments(try authority.revocationData()), "crl")
        let named: JSONValue = ["crlId": made["crlId"] ?? .null]
        for unacceptable in [
            Unacceptable("a name of 256", "name", .string(String(repeating: "n", count: 256))),
            Unacceptable("garbage", "crlData", .bytes("x".utf8)), Unacceptable("a digit", "aliasName", "1"),
        ] {
            let arguments = named.setting(unacceptable.member, unacceptable.value)
            try lab.expectRefusal("UpdateCrl", arguments, naming: unacceptable.word)
        }
        #expect(try lab.make("GetCrl", named, "crl") == made)
    }
}
