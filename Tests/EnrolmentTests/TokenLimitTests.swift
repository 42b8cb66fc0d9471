// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Testing

@testable import Enrolment

/// How much a token can make the inventory keep.
@Suite struct TokenLimitTests {
    @Test(arguments: [1, 3]) func `a token has an account for each use, and ten more`(uses: Int) throws {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], uses: uses)
        for number in 0..<uses + 10 {
            let proof = try ca.account(token)("web-1")
            guard number == 0, case .account(var account, _) = proof else { continue }
            // One that was deactivated is still a row.
            account.deactivatedAt = ca.now
            try ca.inventory.update(account, now: ca.now)
        }
        #expect(throws: EnrolmentRefusal.tooMany("\(uses + 10) accounts")) { try ca.account(token) }
        _ = try ca.account(ca.token(["web-*"]))
    }

    @Test func `as many requests of a token and its accounts wait as it has uses left`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], uses: 2) { $0.needsApproval = true }
        let (first, second) = (try ca.request("CN=web-1"), try ca.request("CN=web-2"))
        let account = try ca.account(token)("web-2")
        let waits = EnrolmentRefusal.request("it waits")
        for _ in 0..<2 {
            #expect(try await ca.refusal(first, .token(token)) == waits)
            #expect(try await ca.refusal(second, account) == waits)
            #expect(
                try await ca.refusal(ca.request("CN=web-3"), .token(token))
                    == .tooMany("2 requests waiting for approval"))
        }
        let numbers = try ca.inventory.pendingRequests().map(\.identifier)
        #expect(numbers.count == 2)
        #expect(try ca.inventory.decide(numbers[0], .approved, now: ca.now) != nil)
        _ = try await ca.issue(first, .token(token))
        // One use is left, and one waits.
        #expect(
            try await ca.refusal(ca.request("CN=web-3"), .token(token)) == .tooMany("1 request waiting for approval"))
        #expect(try ca.inventory.decide(numbers[1], .denied, now: ca.now) != nil)
        #expect(try await ca.refusal(ca.request("CN=web-3"), .token(token)) == waits)
        // Another token's requests are its own.
        let other = try ca.token(["web-*"]) { $0.needsApproval = true }
        #expect(try await ca.refusal(ca.request("CN=web-4"), .token(other)) == waits)
    }

    @Test(arguments: [false, true]) func `a large request is issued for, but not kept`(needsApproval: Bool) async throws
    {
        let ca = try TestCA()
        let domain = "\(String(repeating: "a", count: 63)).example.com"
        let token = try ca.token(["web-1"], alternativeNames: ["dns:*.\(domain)"]) {
            $0.needsApproval = needsApproval
        }
        let names = try (1...100).map { try GeneralName.dnsName("\($0).\(domain)") }
        let request = try ca.request("CN=web-1", names)
        #expect(request.derEncoded.count > 8_192)
        let refusal = try await ca.refusal(request, .token(token))
        if needsApproval, case .request = refusal {
            #expect(refusal != .request("it waits"))
        } else {
            #expect(refusal == nil)
        }
        #expect(try ca.inventory.pendingRequests().isEmpty)
    }
}
