// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// Whether the service can be reached, what time it is there, and whether it gives credentials.
final class ServiceChecks {
    private let access: AccessChecks
    private let environment: [String: String]
    private let isOffline: Bool
    private let asksForSession: Bool

    private var answer: (response: HTTPResponse, received: Date)?

    /// How many seconds the clocks may be apart before it is said.
    private static let noticedDifference = 60.0

    /// How many seconds they may be apart before AWS refuses signatures.
    private static let toleratedDifference = 300.0

    init(_ access: AccessChecks, environment: [String: String], isOffline: Bool, asksForSession: Bool) {
        self.access = access
        self.environment = environment
        self.isOffline = isOffline
        self.asksForSession = asksForSession
    }

    func add(to list: inout CheckList) {
        list.add("name", hint: "check the region or --endpoint, and that this machine's name server answers") {
            try self.checkName()
        }
        list.add("endpoint", hint: "check --endpoint, firewalls, and HTTPS_PROXY where a proxy is required") {
            try self.checkEndpoint()
        }
        list.add("clock", hint: "set the clock, and let it be kept: timedatectl set-ntp true") {
            try self.checkClock()
        }
        list.add(
            "session", hint: "look in the account's CloudTrail for the CreateSession event; with pki lab: pki lab log"
        ) { try self.checkSession() }
    }

    private func address() throws -> HTTPURL {
        if isOffline { throw CheckList.Skipped("--offline") }
        guard let endpoint = access.endpoint else { throw CheckList.Skipped("the endpoint is not known") }
        return endpoint.url
    }

    private func checkName() throws -> CheckList.Outcome {
        let url = try address()
        if let proxy = ProxyChoice.host(for: url, environment) {
            throw CheckList.Skipped("the proxy \(proxy) looks it up")
        }
        let host = url.host.filter { $0 != "[" && $0 != "]" }
        let found = IPAddress.addresses(of: host)
        guard !found.isEmpty else {
            return .failed("the name \(host) has no address", hint: nil)
        }
        return .ok("\(host) is \(found.prefix(4).joined(separator: ", "))")
    }

    private func checkEndpoint() throws -> CheckList.Outcome {
        let url = try address()
        // Unsigned, so that it asks for nothing: whatever the service says to it, it is the service that says it.
        let request = HTTPRequest(
            method: "GET", url: url.appending(path: "/sessions", query: []), headers: ["Host": url.authority])
        let started = Date.now
        let response = try access.transport().send(request)
        let now = Date.now
        // The answer was dated somewhere between.
        answer = (response, started.addingTimeInterval(now.timeIntervalSince(started) / 2))
        var words = ["\(url.authority) answers"]
        if let timings = response.timings { words.append("after \(Int(timings.total / .milliseconds(1))) ms") }
        if let proxy = ProxyChoice.host(for: url, environment) { words.append("through the proxy \(proxy)") }
        let isVerified = access.settings?.network.noVerifySsl != true
        if url.scheme == .https, isVerified { words.append("and proved with TLS who it is") }
        if url.scheme == .http { words.append("without TLS, on this machine") }
        let text = words.joined(separator: " ")
        if url.scheme == .https, !isVerified {
            return .warning(
                "\(text); who it is was not checked",
                hint: "leave --no-verify-ssl out, and name the server's CA with --ca-bundle")
        }
        guard !(300..<400).contains(response.status) else {
            return .failed(
                "\(text) with a redirect (HTTP \(response.status)), which AWS does not send",
                hint: "a proxy or a captive portal may intercept the connection; check --endpoint")
        }
        return .ok(text)
    }

    private func checkClock() throws -> CheckList.Outcome {
        _ = try address()
        guard let answer else { throw CheckList.Skipped("there is no answer of the service to compare with") }
        guard let date = answer.response.headers["Date"].flatMap(CivilTime.date(fromHTTP:)) else {
            throw CheckList.Skipped("the answer says no time")
        }
        // The header counts whole seconds.
        let difference = answer.received.timeIntervalSince(date.addingTimeInterval(0.5))
        let amount = abs(difference) < 60 ? "\(Int(abs(difference).rounded())) s" : Validity.span(difference)
        let text =
            abs(difference) < 2
            ? "agrees with the service's" : "\(amount) \(difference > 0 ? "ahead of" : "behind") the service's"
        let hint = "set the clock, and let it be kept: timedatectl set-ntp true"
        if abs(difference) > Self.toleratedDifference {
            return .failed("\(text); AWS takes signatures for 5 minutes", hint: hint)
        }
        return abs(difference) > Self.noticedDifference ? .warning(text, hint: hint) : .ok(text)
    }

    private func checkSession() throws -> CheckList.Outcome {
        _ = try address()
        guard asksForSession else { throw CheckList.Skipped("not asked for: --session does") }
        guard let request = access.request else { throw CheckList.Skipped("the settings are not complete") }
        guard let identity = access.identity, access.isAcceptable else {
            throw CheckList.Skipped("there is no identity that the service would take")
        }
        guard answer != nil else { throw CheckList.Skipped("the service cannot be reached") }
        let session = try access.client(for: request).createSession(request, as: identity)
        return .ok(
            "\(session.assumedRoleARN ?? request.role.description), until \(CivilTime(session.expiration).extended)")
    }
}

/// Which proxy the environment puts before an address, as libcurl chooses it. Only to be said: libcurl itself decides.
enum ProxyChoice {
    /// The proxy's host and port, without a name or password that its URL may have.
    static func host(for url: HTTPURL, _ environment: [String: String]) -> String? {
        guard !url.isLoopback else { return nil }
        let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        guard let proxy = names.lazy.compactMap({ environment[$0] }).first(where: { !$0.isEmpty }) else { return nil }
        let exempt = environment["no_proxy"] ?? environment["NO_PROXY"] ?? ""
        for entry in exempt.split(whereSeparator: { $0 == "," || $0 == " " }) {
            if entry == "*" { return nil }
            let name = entry.drop { $0 == "." }.lowercased()
            if url.host.lowercased() == name || url.host.lowercased().hasSuffix(".\(name)") { return nil }
        }
        var rest = proxy[...]
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        return String(rest.prefix { $0 != "/" })
    }
}
