// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import Testing

@testable import Enrolment

@Suite struct AccountTests {
    @Test func `an account renews what it holds without a use of its token, also after an outage`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-1"])
        let proof = try ca.account(token)
        // A client that keeps an RSA key sends the same request again.
        let request = try ca.request("", [.dnsName("web-1")])
        let first = try await ca.issue(request, proof("web-1"))
        ca.pass(30 * 86400)
        let second = try await ca.issue(request, proof("web-1"))
        #expect(second.certificate != first.certificate)
        #expect(second.certificate.notAfter == ca.now + 7 * 86400)
        #expect(try ca.inventory.token(token)?.used == 1)
        #expect(try ca.inventory.current("web-1")?.fingerprint == second.certificate.fingerprint)
    }

    @Test func `one order gives one certificate`() async throws {
        let ca = try TestCA()
        let order = try ca.account(ca.token(["web-1"], uses: 2) { $0.replaces = true })("web-1")
        let request = try ca.request("CN=web-1")
        let first = try await ca.issue(request, order)
        #expect(try await ca.issue(request, order).certificate == first.certificate)
        #expect(try await ca.refusal(ca.request("CN=web-1"), order) == .request("the order has a certificate already"))
        #expect(try ca.inventory.current("web-1")?.fingerprint == first.certificate.fingerprint)
    }

    @Test func `another account renews nothing, and neither does one whose token or certificate was revoked`()
        async throws
    {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], uses: 3)
        let (holder, other) = (try ca.account(token), try ca.account(token))
        _ = try await ca.issue(ca.request("CN=web-1"), holder("web-1"))
        _ = try await ca.issue(ca.request("CN=web-2"), holder("web-2"))
        #expect(try await ca.refusal(ca.request("CN=web-1"), other("web-1")) == .taken("web-1"))
        let entry = try #require(try ca.inventory.current("web-1"))
        _ = try ca.inventory.revoke(entry, reason: .unspecified, now: ca.now)
        ca.pass(2 * 3600)
        #expect(try await ca.refusal(ca.request("CN=web-1"), holder("web-1")) == .token(.expired))
        _ = try await ca.issue(ca.request("CN=web-2"), holder("web-2"))
        _ = try ca.inventory.revoke(try #require(try ca.inventory.token(token)), now: ca.now)
        #expect(try await ca.refusal(ca.request("CN=web-2"), holder("web-2")) == .token(.revoked))
    }

    @Test func `a further name of a held certificate needs a use of the token`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-1"], alternativeNames: ["dns:*.example.com"], uses: 2)
        let proof = try ca.account(token)
        _ = try await ca.issue(ca.request("CN=web-1"), proof("web-1"))
        let more = try ca.request("CN=web-1", [.dnsName("a.example.com")])
        #expect(
            try await ca.issue(more, proof("web-1")).certificate.subjectAlternativeNames == [.dnsName("a.example.com")])
        let evenMore = try ca.request("CN=web-1", [.dnsName("b.example.com")])
        #expect(try await ca.refusal(evenMore, proof("web-1")) == .token(.used))
        #expect(try await ca.refusal(ca.request("CN=db-1"), proof("db-1")) == .name("the name db-1"))
    }
}
