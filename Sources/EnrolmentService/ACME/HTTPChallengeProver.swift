// SPDX-License-Identifier: Apache-2.0

import Certificates
import Dispatch
import HTTPServer
import Synchronization
import SystemSupport

/// Asks hosts for what proves that an account controls their names (RFC 8555 §8.3).
///
/// Clients choose the names, so requests go to listed networks only: every address of a name is looked at before anything is
/// connected to, the connection is made to that address, and redirects are not followed.
final class HTTPChallengeProver: Sendable {
    /// Sends a GET to an address, with a Host header, and returns status and body. It follows no redirect, uses no proxy,
    /// and limits time and size.
    typealias Fetch = @Sendable (HTTPChallengeRequest) throws -> (status: Int, body: [UInt8])

    private struct Work: Sendable {
        var account: String
        var body: @Sendable () -> Void
    }

    private struct State {
        var waiting: [Work] = []
        /// How many are at work, by account.
        var running: [String: Int] = [:]
    }

    /// The most that are at work at once.
    private static let mostRunning = 16
    /// The most of one account.
    private static let mostOfAccount = 4
    private static let mostWaiting = 10_000
    /// When no further address of a name is tried.
    private static let patience: Duration = .seconds(20)
    /// The most addresses of a name.
    private static let mostAddresses = 8

    private let options: CurrentOptions
    private let resolve: @Sendable (String) -> [String]
    private let fetch: Fetch
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "challenges", attributes: .concurrent)

    /// - Parameters:
    ///   - options: The networks, and the port.
    ///   - resolve: Looks up the addresses of a name.
    ///   - fetch: Sends a request.
    init(
        options: CurrentOptions, resolve: @escaping @Sendable (String) -> [String] = IPAddress.addresses,
        fetch: @escaping Fetch
    ) {
        self.options = options
        self.resolve = resolve
        self.fetch = fetch
    }

    // MARK: - Turns

    /// Runs work of an account from another thread, a few at once; `false` if too much waits.
    func submit(of account: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = state.withLock { state in
            guard state.waiting.count < Self.mostWaiting else { return false }
            state.waiting.append(Work(account: account, body: body))
            return true
        }
        if isTaken { beginNext() }
        return isTaken
    }

    private func beginNext() {
        let next = state.withLock { state -> Work? in
            guard state.running.values.reduce(0, +) < Self.mostRunning,
                let index = state.waiting.firstIndex(where: {
                    state.running[$0.account, default: 0] < Self.mostOfAccount
                })
            else { return nil }
            let work = state.waiting.remove(at: index)
            state.running[work.account, default: 0] += 1
            return work
        }
        guard let next else { return }
        queue.async {
            next.body()
            self.state.withLock { state in
                let left = state.running[next.account, default: 1] - 1
                state.running[next.account] = left == 0 ? nil : left
            }
            self.beginNext()
        }
    }

    // MARK: - The proof

    /// Asks the host of a name for the key authorisation. Returns the address at which it has it.
    func prove(_ name: GeneralName, token: String, keyAuthorization: String) -> Result<String, ACMEProblem> {
        Result { () throws(ACMEProblem) in
            try address(of: name, token: token, keyAuthorization: keyAuthorization)
        }
    }

    private func address(
        of name: GeneralName, token: String, keyAuthorization: String
    ) throws(ACMEProblem) -> String {
        let options = options.value
        let host: String
        let addresses: [[UInt8]?]
        switch name {
        case .ip(let octets):
            host = octets.count == 16 ? "[\(IPAddress.text(octets))]" : IPAddress.text(octets)
            addresses = [octets]
        case .dns(let text):
            host = text
            addresses = resolve(text).map { IPAddress.octets($0) }
        case .uri, .email, .directory, .other:
            throw ACMEProblem(.unsupportedIdentifier, "\(name) has no host")
        }
        guard !addresses.isEmpty else { throw ACMEProblem(.dns, "\(host) has no address") }
        guard addresses.count <= Self.mostAddresses else { throw ACMEProblem(.dns, "\(host) has too many addresses") }
        var checked: [String] = []
        for address in addresses {
            // Who connects to an IPv4-mapped address connects to the IPv4 address.
            guard let octets = address.map(IPAddress.unmapped),
                options.challengeNetworks.contains(where: { $0.contains(.ip(octets)) })
            else {
                throw ACMEProblem(
                    .rejectedIdentifier, "\(host) has an address outside of the networks that are asked here")
            }
            checked.append(IPAddress.text(octets))
        }
        let start = ContinuousClock.now
        for address in checked where ContinuousClock.now - start < Self.patience {
            let request = HTTPChallengeRequest(
                address: address, port: options.challengePort, host: host,
                path: "/.well-known/acme-challenge/\(token)")
            guard let (status, body) = try? fetch(request) else { continue }
            guard status == 200 else {
                throw ACMEProblem(.incorrectResponse, "\(host) answered with the status \(status), not 200")
            }
            let isWhite: (UInt8) -> Bool = { [0x09, 0x0a, 0x0d, 0x20].contains($0) }
            let end = body.lastIndex { !isWhite($0) }.map { $0 + 1 } ?? 0
            guard body[..<end].elementsEqual(keyAuthorization.utf8) else {
                throw ACMEProblem(
                    .incorrectResponse, "\(host) answered with something else than the key authorisation")
            }
            return address
        }
        throw ACMEProblem(.connection, "\(host) gave no complete answer on port \(options.challengePort)")
    }
}

/// A request of ``HTTPChallengeProver``.
package struct HTTPChallengeRequest: Hashable, Sendable {
    /// The IP address to connect to.
    package var address: String
    package var port: Int
    /// The value of the Host header, without the port.
    package var host: String
    package var path: String
}
