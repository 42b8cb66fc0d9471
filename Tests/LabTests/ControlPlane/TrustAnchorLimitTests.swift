// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import SystemSupport
import Testing

@testable import Lab

@Suite struct TrustAnchorLimitTests {
    private let lab: ControlPlaneLab

    init() throws { lab = try ControlPlaneLab() }

    private func refuse(_ unacceptable: Unacceptable) throws {
        let base: JSONValue = ["name": "limits", "source": TestAuthority.shared.source]
        try lab.expectRefusal(
            "CreateTrustAnchor", base.setting(unacceptable.member, unacceptable.value), naming: unacceptable.word)
    }

    @Test(arguments: Unacceptable.names + [Unacceptable("no name", "name", .null)])
    func `a name outside its limits is refused`(_ unacceptable: Unacceptable) throws { try refuse(unacceptable) }

    @Test(arguments: Unacceptable.tags)
    func `tags outside their limits are refused`(_ unacceptable: Unacceptable) throws { try refuse(unacceptable) }

    @Test(arguments: Unacceptable.aliases)
    func `an alias outside its limits is refused`(_ unacceptable: Unacceptable) throws { try refuse(unacceptable) }

    @Test(arguments: Unacceptable.notifications)
    func `notification settings outside their limits are refused`(_ unacceptable: Unacceptable) throws {
        try refuse(unacceptable)
        let identifier = try #require(try lab.makeAnchor()["trustAnchorId"])
        try lab.expectRefusal(
            "PutNotificationSettings",
            (["trustAnchorId": identifier] as JSONValue).setting(unacceptable.member, unacceptable.value),
            naming: unacceptable.word)
    }

    @Test(arguments: Unacceptable.notificationKeys)
    func `keys of notification settings outside their limits are refused`(_ unacceptable: Unacceptable) throws {
        let identifier = try #require(try lab.makeAnchor()["trustAnchorId"])
        try lab.expectRefusal(
            "ResetNotificationSettings",
            (["trustAnchorId": identifier] as JSONValue).setting(unacceptable.member, unacceptable.value),
            naming: unacceptable.word)
    }

    @Test(arguments: ["enabled", "crlDpRevocationEnabled"])
    func `a flag in words is refused`(_ flag: String) throws { try refuse(Unacceptable(flag, flag, "yes")) }

    @Test(arguments: Unacceptable.sources)
    func `a source outside its limits is refused`(_ unacceptable: Unacceptable) throws { try refuse(unacceptable) }

    @Test func `an alias belongs to one trust anchor`() throws {
        let (first, second) = (try lab.makeAnchor(), try lab.makeAnchor())
        let own: JSONValue = ["trustAnchorId": first["trustAnchorId"] ?? .null, "aliasName": "own"]
        try lab.make("UpdateTrustAnchor", own)
        try lab.make("UpdateTrustAnchor", own.setting("name", "the same again"))
        try refuse(Unacceptable("taken", "aliasName", "own"))
        try lab.expectRefusal(
            "UpdateTrustAnchor", own.setting("trustAnchorId", second["trustAnchorId"] ?? .null), naming: "aliasName")
    }

    @Test func `an update that is refused changes nothing`() throws {
        let anchor = try lab.makeAnchor()
        let named: JSONValue = ["trustAnchorId": anchor["trustAnchorId"] ?? .null]
        let changes: JSONValue = ["name": "other", "source": TestAuthority.source("x")]
        try lab.expectRefusal("UpdateTrustAnchor", named.setting(changes))
        #expect(try lab.make("GetTrustAnchor", named, "trustAnchor") == anchor)
    }

    @Test func `an account has 50 trust anchors and no more`() throws {
        let anchors = try (0..<50).map { try lab.makeAnchor(["name": .string("n\($0)")]) }
        try refuse(Unacceptable("one more", "name", "one more", naming: "50"))
        try lab.make("DeleteTrustAnchor", ["trustAnchorId": anchors[0]["trustAnchorArn"] ?? .null])
        _ = try lab.makeAnchor()
    }

    @Test func `what is deleted is gone`() throws {
        let anchor = try lab.makeAnchor()
        let named: JSONValue = ["trustAnchorId": anchor["trustAnchorId"] ?? .null]
        #expect(try lab.make("DeleteTrustAnchor", named, "trustAnchor") == anchor)
        for verb in ["Get", "Delete", "Enable"] {
            try lab.expectRefusal("\(verb)TrustAnchor", named, code: "ResourceNotFoundException", status: 404)
        }
    }
}

/// What may be a trust anchor (IAM Roles Anywhere User Guide, "Trust model").
@Suite struct TrustAnchorBundleLimitTests {
    private let lab: ControlPlaneLab
    private let authority = TestAuthority.shared

    init() throws { lab = try ControlPlaneLab() }

    private func refuse(_ text: String, naming words: String...) throws {
        let arguments: JSONValue = ["name": "bundle", "source": TestAuthority.source(text)]
        for word in words.isEmpty ? [""] : words { try lab.expectRefusal("CreateTrustAnchor", arguments, naming: word) }
    }

    @Test func `two CAs are a bundle, three are none`() throws {
        let others = try ["CN=second", "CN=third"].map { try TestAuthority($0).certificate.pemEncoded }
        let two = TestAuthority.source(authority.certificate.pemEncoded + others[0])
        #expect(try lab.makeAnchor(["source": two])["source"] == two)
        try refuse(authority.certificate.pemEncoded + others.joined(), naming: "3")
    }

    @Test(arguments: [false, true])
    func `a client's certificate is refused, alone and beside a CA`(_ isBesideCA: Bool) throws {
        let leaf = try authority.client("CN=leaf").certificate.pemEncoded
        try refuse((isBesideCA ? authority.certificate.pemEncoded : "") + leaf, naming: "CN=leaf", "CA")
    }

    @Test func `a CA that may not sign certificates is refused`() throws {
        let mute = try TestAuthority("CN=mute", usage: "cRLSign")
        try refuse(mute.certificate.pemEncoded, naming: "CN=mute", "keyCertSign")
    }

    @Test(arguments: [
        "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "\u{0}\u{1}\u{2}",
    ])
    func `garbage is refused`(_ text: String) throws { try refuse(text) }

    @Test func `nobody wants the CA's private key in a trust anchor`() throws {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        try refuse(authority.certificate.pemEncoded + key, naming: "private key")
    }
}
