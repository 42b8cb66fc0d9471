// SPDX-License-Identifier: Apache-2.0

import Certificates
import Dispatch
import Synchronization
import SystemSupport
import Testing

@testable import EnrolmentService

@Suite struct HTTPChallengeProverTests {
    private struct Failure: Error {}

    /// The requests that were sent.
    private final class Sent: Sendable {
        let requests = Mutex<[HTTPChallengeRequest]>([])
        var addresses: [String] { requests.withLock { $0.map(\.address) } }
    }

    private let sent = Sent()

    private func prover(
        _ networks: [String], resolving: @escaping @Sendable (String) -> [String] = { _ in [] },
        _ answer: @escaping @Sendable (HTTPChallengeRequest) throws -> (status: Int, body: [UInt8])
    ) throws -> HTTPChallengeProver {
        var options = CAService.Options()
        options.challengeNetworks = try networks.map { try NameConstraints.Subtree("ip:\($0)") }
        return HTTPChallengeProver(options: CurrentOptions(options), resolve: resolving) { [sent] request in
            sent.requests.withLock { $0.append(request) }
            return try answer(request)
        }
    }

    private func kind(
        of name: String, at addresses: [String], in networks: [String] = ["10.1.0.0/16", "fd00:1::/32"],
        _ answer: @escaping @Sendable (HTTPChallengeRequest) throws -> (status: Int, body: [UInt8]) = { _ in
            (200, Array("t.k".utf8))
        }
    ) throws -> ACMEProblem.Kind? {
        let prover = try prover(networks, resolving: { _ in addresses }, answer)
        return Self.kind(of: prover.prove(try .dnsName(name), token: "t", keyAuthorization: "t.k"))
    }

    /// `nil` for a proof.
    private static func kind(of result: Result<String, ACMEProblem>) -> ACMEProblem.Kind? {
        if case .failure(let problem) = result { problem.kind } else { nil }
    }

    @Test func `A host in a network is asked at the address that was checked`() throws {
        #expect(try kind(of: "a.example", at: ["10.1.2.3"]) == nil)
        #expect(
            sent.requests.withLock(\.self) == [
                HTTPChallengeRequest(
                    address: "10.1.2.3", port: 80, host: "a.example", path: "/.well-known/acme-challenge/t")
            ])
    }

    @Test(arguments: [
        ["169.254.169.254"], ["127.0.0.1"], ["10.2.0.1"], ["::1"], ["fe80::1"], ["fe80::1%lo"], ["fd00:2::1"],
        ["::ffff:169.254.169.254"], ["::ffff:127.0.0.1"], ["::10.1.0.1"], ["64:ff9b::a01:1"], ["0.0.0.0"],
        ["10.1.0.1", "127.0.0.1"], ["127.0.0.1", "10.1.0.1"], ["10.1.0.1", "::1"], ["10.1.0.1", ""],
    ])
    func `Nothing is sent if one address is in no network`(addresses: [String]) throws {
        #expect(try kind(of: "a.example", at: addresses) == .rejectedIdentifier)
        #expect(sent.addresses.isEmpty)
    }

    @Test func `An address in IPv6 form is asked as IPv4`() throws {
        #expect(try kind(of: "a.example", at: ["::ffff:10.1.0.1"]) == nil)
        #expect(sent.addresses == ["10.1.0.1"])
    }

    @Test func `Without networks nothing is sent`() throws {
        #expect(try kind(of: "a.example", at: ["10.1.0.1"], in: []) == .rejectedIdentifier)
        #expect(try kind(of: "a.example", at: []) == .dns)
        #expect(try kind(of: "a.example", at: (1...9).map { "10.1.0.\($0)" }) == .dns)
        #expect(sent.addresses.isEmpty)
    }

    /// A name server that answers differently the second time.
    @Test func `A name is looked up once`() throws {
        let count = Mutex(0)
        let prover = try prover(["10.1.0.0/16"]) { _ in
            count.withLock {
                $0 += 1
                return $0 == 1 ? ["10.1.0.1"] : ["127.0.0.1"]
            }
        } _: { _ in
            (200, Array("t.k".utf8))
        }
        let first = prover.prove(.dns("a.example"), token: "t", keyAuthorization: "t.k")
        #expect(try first.get() == "10.1.0.1")
        #expect(count.withLock(\.self) == 1)
        #expect(sent.addresses == ["10.1.0.1"])
    }

    @Test func `An address that does not answer gives way to the next`() throws {
        let kind = try kind(of: "a.example", at: ["fd00:1::1", "10.1.0.1"]) { request in
            guard request.address == "10.1.0.1" else { throw Failure() }
            return (200, Array("t.k".utf8))
        }
        #expect(kind == nil)
        #expect(sent.addresses == ["fd00:1::1", "10.1.0.1"])
        #expect(try self.kind(of: "a.example", at: ["10.1.0.1"]) { _ in throw Failure() } == .connection)
    }

    @Test(arguments: ["t.k\n", "t.k \t\r\n\n"])
    func `White space at the end counts for nothing`(body: String) throws {
        #expect(try kind(of: "a.example", at: ["10.1.0.1"]) { _ in (200, Array(body.utf8)) } == nil)
    }

    @Test(arguments: ["", " t.k", "t.K", "t.kk", "t", "t.k\u{0}", "\n"])
    func `Anything else is no proof`(body: String) throws {
        #expect(try kind(of: "a.example", at: ["10.1.0.1"]) { _ in (200, Array(body.utf8)) } == .incorrectResponse)
    }

    @Test(arguments: [201, 206, 301, 302, 307, 404, 500])
    func `Any other status is no proof, and a redirect is not followed`(status: Int) throws {
        #expect(try kind(of: "a.example", at: ["10.1.0.1"]) { _ in (status, Array("t.k".utf8)) } == .incorrectResponse)
        #expect(sent.addresses == ["10.1.0.1"])
    }

    @Test func `An address is its own host`() throws {
        let prover = try prover(["10.1.0.0/16", "fd00:1::/32"]) { _ in (200, Array("t.k".utf8)) }
        let addresses: [(name: GeneralName, host: String)] = [
            (try .ipAddress("10.1.0.1"), "10.1.0.1"), (try .ipAddress("fd00:1::1"), "[fd00:1::1]"),
        ]
        for (name, host) in addresses {
            let result = prover.prove(name, token: "t", keyAuthorization: "t.k")
            #expect(Self.kind(of: result) == nil)
            #expect(sent.requests.withLock { $0.last?.host } == host)
        }
    }

    @Test func `Four of an account are at work at once, and another account does not wait for them`() throws {
        let prover = try prover([]) { _ in (200, []) }
        let (begun, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let other = DispatchSemaphore(value: 0)
        let most = Mutex((now: 0, most: 0))
        for _ in 0..<12 {
            let isTaken = prover.submit(of: "a") {
                most.withLock {
                    $0.now += 1
                    $0.most = max($0.most, $0.now)
                }
                begun.signal()
                release.wait()
                most.withLock { $0.now -= 1 }
            }
            #expect(isTaken)
        }
        for _ in 0..<4 { begun.wait() }
        let isTaken = prover.submit(of: "b") { other.signal() }
        #expect(isTaken)
        other.wait()
        for _ in 0..<12 { release.signal() }
        for _ in 0..<8 { begun.wait() }
        #expect(most.withLock(\.most) == 4)
    }
}
