// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import Delivery
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// Whether the service can be reached, what time it is there, and whether it gives credentials.
struct ServiceChecks {
    let access: CheckedAccess
    let environment: [String: String]
    let isOffline: Bool
    let requestsSession: Bool

    /// A response of the service, and when it was probably made.
    private typealias Answer = (response: HTTPResponse, received: Date)

    /// The difference of the clocks, in seconds, from which there is a warning.
    private static let noticedDifference = 60.0

    /// The difference of the clocks, in seconds, from which AWS refuses signatures.
    private static let toleratedDifference = 300.0

    func run(into list: inout CheckList) {
        list.add("name", hint: "check the region or --endpoint, and this machine's name server") { try checkName() }
        let answer = list.find(
            "endpoint", hint: "check --endpoint, firewalls, and HTTPS_PROXY where a proxy is required"
        ) { try checkEndpoint() }
        list.add("clock", hint: Self.clockHint) { try checkClock(answer) }
        list.add("session", hint: "find the CreateSession event in CloudTrail; with pki lab: pki lab log") {
            try checkSession(isReachable: answer != nil)
        }
    }

    private static let clockHint = "set the clock and keep it synchronised: timedatectl set-ntp true"

    private func address() throws -> HTTPURL {
        if isOffline { throw CheckList.Skipped("--offline") }
        return try access.endpoint.orSkip("the endpoint is not known").url
    }

    private func checkName() throws -> Check {
        let url = try address()
        if let proxy = ProxyChoice.host(for: url, environment) {
            throw CheckList.Skipped("the proxy \(proxy) looks it up")
        }
        let host = url.host.filter { $0 != "[" && $0 != "]" }
        let found = IPAddress.addresses(of: host)
        guard !found.isEmpty else {
            return .failed("the name \(host) has no address")
        }
        return .ok("\(host) is \(found.prefix(4).joined(separator: ", "))")
    }

    private func checkEndpoint() throws -> (Check, Answer) {
        let url = try address()
        // The request is not signed and requests nothing; any response shows that the service can be reached.
        let request = HTTPRequest(
            method: "GET", url: url.appending(path: "/sessions", query: []), headers: ["Host": url.authority])
        let started = Date.now
        let response = try access.transport().send(request)
        let now = Date.now
        // The response was dated at some time between.
        let answer = (response, received: started.addingTimeInterval(now.timeIntervalSince(started) / 2))
        var words = ["\(url.authority) answers"]
        if let timings = response.timings { words.append("after \(Int(timings.total / .milliseconds(1))) ms") }
        if let proxy = ProxyChoice.host(for: url, environment) { words.append("through the proxy \(proxy)") }
        let isVerified = access.settings?.network.noVerifySsl != true
        if url.scheme == .https, isVerified { words.append("and its TLS certificate was verified") }
        if url.scheme == .http { words.append("without TLS, on this machine") }
        return (Self.check(words.joined(separator: " "), response, url, isVerified: isVerified), answer)
    }

    private static func check(_ text: String, _ response: HTTPResponse, _ url: HTTPURL, isVerified: Bool) -> Check {
        if url.scheme == .https, !isVerified {
            return .warning(
                "\(text); its certificate was not verified",
                hint: "leave --no-verify-ssl out, and name the server's CA with --ca-bundle")
        }
        guard !(300..<400).contains(response.status) else {
            return .failed(
                "\(text) with a redirect (HTTP \(response.status)), which AWS does not send",
                hint: "check --endpoint; a proxy or captive portal may intercept the connection")
        }
        return .ok(text)
    }

    private func checkClock(_ answer: Answer?) throws -> Check {
        _ = try address()
        let answer = try answer.orSkip("there is no response of the service to compare with")
        let date = try answer.response.headers["Date"].flatMap(CivilTime.date(fromHTTP:))
            .orSkip("the response has no date")
        // The header counts whole seconds.
        let difference = answer.received.timeIntervalSince(date.addingTimeInterval(0.5))
        let amount = abs(difference) < 60 ? "\(Int(abs(difference).rounded())) s" : Validity.span(difference)
        let text =
            abs(difference) < 2
            ? "agrees with the service's" : "\(amount) \(difference > 0 ? "ahead of" : "behind") the service's"
        if abs(difference) > Self.toleratedDifference {
            return .failed("\(text); AWS accepts signatures for 5 minutes")
        }
        return abs(difference) > Self.noticedDifference ? .warning(text, hint: Self.clockHint) : .ok(text)
    }

    private func checkSession(isReachable: Bool) throws -> Check {
        _ = try address()
        guard requestsSession else { throw CheckList.Skipped("not requested; --session requests one") }
        let request = try access.request.orSkip("the settings are not complete")
        guard let identity = access.identity, access.isAcceptable else {
            throw CheckList.Skipped("there is no identity that the service would accept")
        }
        guard isReachable else { throw CheckList.Skipped("the service cannot be reached") }
        let session = try access.client(for: request).createSession(request, as: identity)
        return .ok(
            "\(session.assumedRoleARN ?? request.role.description), until \(CivilTime(session.expiration).extended)")
    }
}

/// The proxy of an address, for reports. libcurl chooses by the same rules.
enum ProxyChoice {
    /// The proxy's host and port, without a name or password that its URL may have.
    static func host(for url: HTTPURL, _ environment: [String: String]) -> String? {
        guard !url.isLoopback else { return nil }
        let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        guard let proxy = names.lazy.compactMap({ environment[$0] }).first(where: { !$0.isEmpty }) else { return nil }
        if ProxyExemptions(environment: environment).contains(url) { return nil }
        var rest = proxy[...]
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        return String(rest.prefix { $0 != "/" })
    }
}

/// What in the environment and in AWS's files overrides settings, in pki or in the programs that call it.
struct EnvironmentChecks {
    var environment: [String: String]

    /// The profile that was named, or is used because nothing else was.
    var profile: String?

    /// AWS's own settings, if they could be read.
    var aws: ServiceSettings?

    func run(into list: inout CheckList) {
        list.add("environment", hint: "unset the variables that you do not need") { checkVariables() }
        if let profile { list.add("profile", hint: "write it with pki configure") { try checkProfile(profile) } }
    }

    private func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    private func checkVariables() -> Check {
        var findings: [String] = []
        if value("AWS_ACCESS_KEY_ID") != nil {
            findings.append("AWS_ACCESS_KEY_ID is set: programs use that key instead of a profile")
        }
        if value("AWS_WEB_IDENTITY_TOKEN_FILE") != nil, value("AWS_ROLE_ARN") != nil {
            findings.append("AWS_WEB_IDENTITY_TOKEN_FILE is set: programs use that token instead of a profile")
        }
        if let url = try? aws?.url(of: .rolesAnywhere) {
            findings.append("\(url.origin) is set: requests go to \(url.text) unless --endpoint is given")
        }
        guard findings.isEmpty else {
            return .warning(findings.joined(separator: "; "), hint: "unset the variables that you do not need")
        }
        let names = [
            "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "SSL_CERT_FILE",
            "SSL_CERT_DIR", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
        ]
        let set = names.filter { value($0) != nil }
        return .ok(
            set.isEmpty ? "no variable overrides settings" : "used: \(set.joined(separator: ", "))")
    }

    private func checkProfile(_ name: String) throws -> Check {
        let files = AWSFiles(environment)
        let configure = "pki configure \(Quoting.option("--profile", name))"
        guard let settings = try files.settings(of: name) else {
            return .failed("there is no profile \(name) in \(files.config.path)", hint: "write it with \(configure) …")
        }
        let values = Dictionary(settings, uniquingKeysWith: { $1 })
        var findings = try files.rivals(of: name)
        switch values["credential_process"] {
        case nil:
            findings.append(("it has no credential_process, so programs do not call pki", "\(configure) writes it"))
        case .some(let command) where !ConfigureCommand.isOurs(command):
            findings.append(("its credential_process is another program's", "\(configure) --force replaces it"))
        default: break
        }
        findings += try files.problems(of: name).map { ($0, "\(configure) repairs what it can; edit the rest") }
        guard findings.isEmpty else {
            var hints: [String] = []
            for finding in findings where !hints.contains(finding.hint) { hints.append(finding.hint) }
            return .warning(
                "\(name): \(findings.map(\.finding).joined(separator: "; "))", hint: hints.joined(separator: "; "))
        }
        return .ok("\(name) in \(files.config.path) calls pki")
    }
}
