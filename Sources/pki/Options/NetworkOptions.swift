// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Glibc
import RolesAnywhere

/// How the service is reached.
struct NetworkOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            The service's address in place of the region's; its path goes before /sessions; http:// for loopback only. \
            (default: AWS_ENDPOINT_URL_ROLESANYWHERE, else AWS_ENDPOINT_URL, as AWS's SDKs have it)
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
            CA certificates to check the server against: a PEM file or a hashed folder. (default: AWS_CA_BUNDLE, else \
            SSL_CERT_FILE and SSL_CERT_DIR, else the system's)
            """,
            valueName: "path"
        )
    )
    var caBundle: String?

    @Flag(name: .long, help: "Do not check who the server is. Whoever answers in its place can read the credentials.")
    var noVerifySsl = false

    @Flag(
        name: .long,
        help: """
            Accepted for aws_signing_helper's sake: HTTPS_PROXY, ALL_PROXY and NO_PROXY are always honoured, except for \
            loopback addresses.
            """
    )
    var withProxy = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "How long a connection may take to stand, TLS included. (default: 5)",
            valueName: "seconds"
        )
    )
    var connectTimeout: Double?

    @Option(
        name: .long,
        help: ArgumentHelp("How long one attempt may take as a whole. (default: 20)", valueName: "seconds")
    )
    var timeout: Double?

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            How often to ask at most: throttling, failures of the service and of the network are tried again. (default: 4)
            """,
            valueName: "n"
        )
    )
    var attempts: Int?

    @Flag(name: .long, help: "Show on standard error what is signed, sent and answered, and when; never a secret.")
    var debug = false

    func validate() throws {
        guard [endpoint != nil, dualStack, fips].count(where: \.self) <= 1 else {
            throw ValidationError("only one of --endpoint, --dual-stack and --fips can be given")
        }
        guard caBundle == nil || !noVerifySsl else {
            throw ValidationError("--ca-bundle and --no-verify-ssl cannot go together")
        }
        for (name, value) in [("--connect-timeout", connectTimeout), ("--timeout", timeout)] {
            guard (0.001...86_400).contains(value ?? 1) else {
                throw ValidationError("\(name) must be between 0.001 and 86400 seconds")
            }
        }
        guard (1...100).contains(attempts ?? 1) else { throw ValidationError("--attempts must be between 1 and 100") }
    }

    /// Where the service listens.
    ///
    /// - Parameter region: The trust anchor's region.
    /// - Returns: The address that was given, by option or environment, or the region's own.
    /// - Throws: `RolesAnywhereError` naming the option's rule.
    func address(region: String) throws -> Endpoint {
        if let endpoint = endpoint ?? configuredEndpoint { return try Endpoint(endpoint) }
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
    /// - Returns: A client on libcurl, which is not opened before the first request.
    /// - Throws: `RolesAnywhereError` naming the option's rule.
    func client(at address: Endpoint, region: String, console: Console) throws -> SessionClient {
        let isTracing = debug
        let observer: @Sendable (SessionEvent) -> Void = { event in
            guard isTracing else { return }
            for line in event.lines { console.note("debug: \(line)") }
        }
        let surroundings = SessionClient.Surroundings(
            now: { Date.now },
            sleep: { Self.sleep($0) },
            random: { Double.random(in: 0..<1) }
        )
        return SessionClient(
            endpoint: address,
            region: region,
            transport: try transport(console: console),
            retryPolicy: RetryPolicy(attempts: attempts ?? 4),
            surroundings: surroundings,
            observer: observer
        )
    }

    /// The address that the environment gives, unless an option or the environment itself says not to look.
    private var configuredEndpoint: String? {
        let environment = ProcessInfo.processInfo.environment
        guard !dualStack, !fips, environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]?.lowercased() != "true" else {
            return nil
        }
        return ["AWS_ENDPOINT_URL_ROLESANYWHERE", "AWS_ENDPOINT_URL"].lazy
            .compactMap { environment[$0] }.first { !$0.isEmpty }
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
