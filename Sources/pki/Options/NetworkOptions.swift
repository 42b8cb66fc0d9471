// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// How the service is reached.
struct NetworkOptions: ParsableArguments, Sendable {
    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            The service's address instead of the region's; http:// for loopback only. (default: \
            AWS_ENDPOINT_URL_ROLESANYWHERE, else AWS_ENDPOINT_URL, else the region's)
            """,
            valueName: "url"
        )
    )
    var endpoint: String?

    @Flag(name: .long, help: "Use the region's dual-stack endpoint (IPv4 and IPv6).")
    var dualStack = false

    @Flag(name: .long, help: "Use the region's FIPS endpoint.")
    var fips = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            CA certificates to verify the server: a PEM file or a hashed directory. (default: AWS_CA_BUNDLE, else \
            SSL_CERT_FILE and SSL_CERT_DIR, else the system's)
            """,
            valueName: "path"
        )
    )
    var caBundle: String?

    @Flag(name: .long, help: "Do not verify the server. An attacker in its place can read the credentials.")
    var noVerifySsl = false

    @Flag(
        name: .long,
        help: """
            No effect, as in aws_signing_helper's command line: HTTPS_PROXY, ALL_PROXY and NO_PROXY are always honoured, \
            except for loopback addresses.
            """
    )
    var withProxy = false

    @Option(
        name: .long,
        help: ArgumentHelp("Connection timeout, including the TLS handshake. (default: 5)", valueName: "seconds"))
    var connectTimeout: Double?

    @Option(name: .long, help: ArgumentHelp("Timeout of one attempt. (default: 20)", valueName: "seconds"))
    var timeout: Double?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Maximum number of attempts; throttling, server and network errors are retried. (default: 4)",
            valueName: "n"))
    var attempts: Int?

    @Flag(name: .long, help: "Trace what is signed, sent and received on standard error, without secrets.")
    var debug = false

    func validate() throws {
        if let problem { throw ValidationError(problem) }
    }

    /// What does not go together or is out of bounds; `nil` if all is well.
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

    /// The service's address: from the option or the environment, else the region's own.
    func address(region: String) throws -> Endpoint {
        if let endpoint = endpoint ?? configured("AWS_ENDPOINT_URL_ROLESANYWHERE") { return try Endpoint(endpoint) }
        return try Endpoint(region: region, variant: variant)
    }

    private var variant: Endpoint.Variant { dualStack ? .dualStack : fips ? .fips : .standard }

    /// A client on libcurl, which is not opened before the first request.
    func client(
        at address: Endpoint, region: String, console: Console, transport given: CurlTransport? = nil
    ) throws -> SessionClient {
        SessionClient(
            endpoint: address, region: region, transport: try given ?? transport(console: console),
            retryPolicy: RetryPolicy(attempts: attempts ?? 4), dependencies: Self.dependencies,
            observer: observer(console))
    }

    /// A client that asks STS whose credentials they are, at the address from the environment, else the region's.
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
            sleep: { ThisProcess.sleep(for: $0) },
            random: { Double.random(in: 0..<1) }
        )
    }

    private func observer(_ console: Console) -> @Sendable (SessionEvent) -> Void {
        let isTracing = debug
        return { event in
            guard isTracing else { return }
            for line in event.lines { console.note("debug: \(line)") }
        }
    }

    /// The address that the environment gives for a service, unless an option or `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`
    /// overrides it.
    private func configured(_ variable: String) -> String? {
        let environment = ProcessInfo.processInfo.environment
        guard !dualStack, !fips, environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]?.lowercased() != "true" else {
            return nil
        }
        return [variable, "AWS_ENDPOINT_URL"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
    }

    func transport(console: Console) throws -> CurlTransport {
        let trust: ServerTrust
        if noVerifySsl {
            console.warning("the server is not verified: an attacker in its place can read the credentials")
            trust = .unverified
        } else if let caBundle {
            trust = try .certificates(at: caBundle)
        } else {
            trust = try .environment(ProcessInfo.processInfo.environment)
        }
        return CurlTransport(
            trust: trust, connectTimeout: .seconds(connectTimeout ?? 5), timeout: .seconds(timeout ?? 20),
            userAgent: "pki/\(Version.text)")
    }
}

extension SessionEvent {
    /// What happened, line by line, without secrets.
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
