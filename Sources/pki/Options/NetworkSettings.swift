// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import RolesAnywhere

/// How the service is reached.
struct NetworkSettings: Sendable {
    var endpoint: String?
    var dualStack = false
    var fips = false
    var caBundle: String?
    var noVerifySsl = false
    var connectTimeout: Double?
    var timeout: Double?
    var attempts: Int?
    var debug = false

    /// What does not go together, or is out of bounds; nothing when all is well.
    var problem: String? {
        if [endpoint != nil, dualStack, fips].count(where: \.self) > 1 {
            return "only one of --endpoint, --dual-stack and --fips can be given"
        }
        if caBundle != nil, noVerifySsl { return "--ca-bundle and --no-verify-ssl cannot go together" }
        for (name, value) in [("--connect-timeout", connectTimeout), ("--timeout", timeout)]
        where !(0.001...86_400).contains(value ?? 1) {
            return "\(name) must be between 0.001 and 86400 seconds"
        }
        return (1...100).contains(attempts ?? 1) ? nil : "--attempts must be between 1 and 100"
    }

    /// Where the service listens.
    ///
    /// - Parameter region: The trust anchor's region.
    /// - Returns: The address that was given, by option or environment, or the region's own.
    /// - Throws: `RolesAnywhereError` naming the option's rule.
    func address(region: String) throws -> Endpoint {
        if let endpoint = endpoint ?? configured("AWS_ENDPOINT_URL_ROLESANYWHERE") { return try Endpoint(endpoint) }
        return try Endpoint(region: region, variant: variant)
    }

    /// The kind of the region's endpoints.
    var variant: Endpoint.Variant { dualStack ? .dualStack : fips ? .fips : .standard }

    /// A client for a region.
    ///
    /// - Parameters:
    ///   - address: Where the service listens.
    ///   - region: The trust anchor's region.
    ///   - console: Where warnings and traces go.
    ///   - given: What carries the requests; nothing for one by the options.
    /// - Returns: A client on libcurl, which is not opened before the first request.
    /// - Throws: `RolesAnywhereError` naming the option's rule.
    func client(
        at address: Endpoint,
        region: String,
        console: Console,
        transport given: CurlTransport? = nil
    ) throws -> SessionClient {
        SessionClient(
            endpoint: address,
            region: region,
            transport: try given ?? transport(console: console),
            retryPolicy: RetryPolicy(attempts: attempts ?? 4),
            dependencies: Self.dependencies,
            observer: observer(console)
        )
    }

    /// A client that asks STS whose credentials are.
    ///
    /// - Parameters:
    ///   - region: The region.
    ///   - console: Where warnings and traces go.
    /// - Returns: A client for the address that the environment gives, else for the region's.
    /// - Throws: `RolesAnywhereError` when the region has no such endpoint.
    func identityClient(region: String, console: Console) throws -> CallerIdentityClient {
        let configured = configured("AWS_ENDPOINT_URL_STS")
        return CallerIdentityClient(
            endpoint: try configured.map { try Endpoint($0) }
                ?? Endpoint(region: region, variant: variant, service: .securityTokenService),
            region: region,
            transport: try transport(console: console),
            retryPolicy: RetryPolicy(attempts: attempts ?? 4),
            dependencies: Self.dependencies,
            observer: observer(console)
        )
    }

    private static var dependencies: SessionClient.Dependencies {
        SessionClient.Dependencies(
            now: { Date.now },
            sleep: { Self.sleep($0) },
            random: { Double.random(in: 0..<1) }
        )
    }

    /// Shows every step, when that is wanted.
    private func observer(_ console: Console) -> @Sendable (SessionEvent) -> Void {
        let isTracing = debug
        return { event in
            guard isTracing else { return }
            for line in event.lines { console.note("debug: \(line)") }
        }
    }

    /// The address that the environment gives for a service, unless an option or the environment itself says not to look.
    private func configured(_ variable: String) -> String? {
        let environment = ProcessInfo.processInfo.environment
        guard !dualStack, !fips, environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]?.lowercased() != "true" else {
            return nil
        }
        return [variable, "AWS_ENDPOINT_URL"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
    }

    /// libcurl, set up by the options and the environment.
    ///
    /// - Parameter console: Where warnings go.
    /// - Returns: A transport.
    /// - Throws: `RolesAnywhereError` when CA certificates cannot be read.
    func transport(console: Console) throws -> CurlTransport {
        let trust: ServerTrust
        if noVerifySsl {
            console.warning("the server is not checked: whoever answers in its place can read the credentials")
            trust = .unverified
        } else if let caBundle {
            trust = try .certificates(at: caBundle)
        } else {
            trust = try .environment(ProcessInfo.processInfo.environment)
        }
        return CurlTransport(
            trust: trust,
            connectTimeout: .seconds(connectTimeout ?? 5),
            timeout: .seconds(timeout ?? 20),
            userAgent: "pki/\(Version.text)"
        )
    }

    private static func sleep(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        var rest = timespec()
        while unsafe nanosleep(&time, &rest) != 0, errno == EINTR { time = rest }
    }
}

extension SessionEvent {
    /// What happened, a line at a time, without a secret.
    fileprivate var lines: [String] {
        switch self {
        case .sending(let attempt, let signed):
            ["attempt \(attempt): \(signed.request.method) \(signed.request.url)"]
                + split("\(signed.request.headers)", under: "sent header")
                + split(signed.canonicalRequest, under: "canonical request")
                + split(signed.stringToSign, under: "string to sign")
        case .received(let status, let headers, let timings):
            ["status \(status)"] + split("\(headers)", under: "received header")
                + (timings.map { ["times: \($0.text)"] } ?? [])
        case .clockCorrected(let seconds):
            ["the server's clock is ahead by \(Int(seconds)) s; signing again by that clock"]
        case .waiting(let duration, let error): ["\(error.message); trying again in \(duration)"]
        }
    }

    private func split(_ text: String, under title: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { "\(title): \($0)" }
    }
}

extension HTTPTimings {
    fileprivate var text: String {
        "name \(milliseconds(resolved)), connected \(milliseconds(connected)), TLS \(milliseconds(secured)), "
            + "first byte \(milliseconds(firstByte)), total \(milliseconds(total))"
    }

    private func milliseconds(_ duration: Duration) -> String {
        let microseconds = Int(duration / .microseconds(1))
        return "\(microseconds / 1000).\(microseconds % 1000 / 100) ms"
    }
}
