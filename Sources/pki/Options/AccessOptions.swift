// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import AWSModel
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// Everything that a session is made with: given on the command line, then completed from a profile. Each command that
/// needs credentials takes these options.
struct AccessOptions: ParsableArguments, Sendable {
    @OptionGroup(title: "Identity")
    var identity: IdentityOptions

    @OptionGroup(title: "Session")
    var session: SessionOptions

    @OptionGroup(title: "Network")
    var network: NetworkOptions

    /// Options of which none was given, made without the parser, whose set-up costs more than a hit in the cache. A property
    /// cannot be read before it is set, not even through a key path.
    static var none: AccessOptions {
        var identity = IdentityOptions()
        (identity.certificate, identity.privateKey, identity.intermediates) = (nil, nil, nil)
        (identity.certificateStore, identity.certSelector, identity.useLatestExpiringCertificate) = (nil, nil, false)
        (identity.passphrase, identity.device) = (.none, .none)
        (identity.insecurePermissions, identity.pkcs8Password, identity.systemStoreName) = (false, nil, nil)
        var session = SessionOptions()
        (session.trustAnchorArn, session.profileArn, session.roleArn) = (nil, nil, nil)
        (session.region, session.sessionDuration, session.roleSessionName) = (nil, nil, nil)
        var network = NetworkOptions()
        (network.endpoint, network.dualStack, network.fips) = (nil, false, false)
        (network.caBundle, network.noVerifySsl, network.withProxy) = (nil, false, false)
        (network.connectTimeout, network.timeout, network.attempts, network.debug) = (nil, nil, nil, false)
        var options = AccessOptions()
        (options.identity, options.session, options.network) = (identity, session, network)
        return options
    }
}

struct ProfileOption: ParsableArguments {
    @Option(
        help: .value(
            "name",
            """
            A profile of ~/.aws/config that pki configure wrote; other options override its settings. \
            (default: PKI_PROFILE, else without --certificate AWS_PROFILE, else "default")
            """),
        completion: .known(.profiles)
    )
    var profile: String?
}

struct CacheOption: ParsableArguments {
    @Flag(
        help: """
            Share credentials with other commands that ask for the same, while 20 minutes are left, or half of a \
            shorter lifetime. They are in ~/.cache/pki, readable by you alone: see pki cache.
            """
    )
    var cache = false
}

/// The options of a session request.
struct SessionOptions: ParsableArguments, Sendable {
    @Option(
        help: .value("arn", "ARN of the trust anchor that the certificate chains to. (default: PKI_TRUST_ANCHOR_ARN)"),
        completion: .known(.trustAnchorARNs))
    var trustAnchorArn: String?

    @Option(
        help: .value("arn", "ARN of the profile that allows the role. (default: PKI_PROFILE_ARN)"),
        completion: .known(.profileARNs))
    var profileArn: String?

    @Option(help: .value("arn", "ARN of the role to assume. (default: PKI_ROLE_ARN)"), completion: .known(.roleARNs))
    var roleArn: String?

    @Option(help: .value("region", "The region to sign for. (default: the trust anchor's)"))
    var region: String?

    @Option(
        help: .value(
            "seconds",
            "Session duration, \(AWSLimit.sessionDuration.words) seconds; the profile may limit it. (default: PKI_SESSION_DURATION, else \(AWSLimit.defaultSessionDuration))"
        ))
    var sessionDuration: Int?

    @Option(
        help: .value(
            "name",
            "Session name, \(AWSLimit.roleSessionNameLength.words) of A-Za-z0-9_+=,.@-; the profile must accept it. (default: PKI_ROLE_SESSION_NAME, else the serial number)"
        ))
    var roleSessionName: String?

    /// A request within the service's limits.
    ///
    /// - Throws: ``UsageError`` when an ARN is missing, `RolesAnywhereError` naming the option's rule.
    func request() throws -> SessionRequest {
        func needed(_ value: String?, _ option: String) throws -> String {
            guard let value else { throw UsageError.missing(option) }
            return value.trimmed
        }
        let request = try SessionRequest(
            trustAnchorARN: needed(trustAnchorArn, "--trust-anchor-arn"),
            profileARN: needed(profileArn, "--profile-arn"), roleARN: needed(roleArn, "--role-arn"),
            durationSeconds: sessionDuration, roleSessionName: roleSessionName)
        if let region, region != request.region {
            throw UsageError(
                message: "--region is \(region), but the trust anchor is in \(request.region)",
                hint: "leave --region out")
        }
        return request
    }
}

/// How to connect to the service.
struct NetworkOptions: ParsableArguments, Sendable {
    @Option(
        help: .value(
            "url",
            """
            The service's address instead of the region's; http:// for loopback only. (default: \
            AWS_ENDPOINT_URL_ROLESANYWHERE, else AWS_ENDPOINT_URL, else the profile's services or endpoint_url, else the \
            region's)
            """)
    )
    var endpoint: String?

    @Flag(help: "Use the region's dual-stack endpoint (IPv4 and IPv6); so does AWS_USE_DUALSTACK_ENDPOINT=true.")
    var dualStack = false

    @Flag(help: "Use the region's FIPS endpoint; so does AWS_USE_FIPS_ENDPOINT=true.")
    var fips = false

    @Option(
        help: .value(
            "path",
            """
            CA certificates to verify the server: a PEM file or a hashed directory. (default: AWS_CA_BUNDLE, else the \
            profile's ca_bundle, else SSL_CERT_FILE and SSL_CERT_DIR, else the system's)
            """), completion: .file())
    var caBundle: String?

    @Flag(help: "Do not verify the server. An attacker in its place can read the credentials.")
    var noVerifySsl = false

    @Flag(
        help: """
            No effect, as in aws_signing_helper's command line: HTTPS_PROXY, ALL_PROXY and NO_PROXY are always honoured, \
            except for loopback addresses.
            """
    )
    var withProxy = false

    @Option(help: .value("seconds", "Connection timeout, including the TLS handshake. (default: 5)"))
    var connectTimeout: Double?

    @Option(help: .value("seconds", "Timeout of one attempt. (default: 20)"))
    var timeout: Double?

    @Option(
        help: .value("n", "Maximum number of attempts; throttling, server and network errors are retried. (default: 4)")
    )
    var attempts: Int?

    @Flag(help: "Trace what is signed, sent and received on standard error, without secrets.")
    var debug = false

    func validate() throws {
        if let problem { throw ValidationError(problem) }
    }

    /// The error in the options; `nil` if there is none.
    var problem: String? {
        if [endpoint != nil, dualStack, fips].count(where: \.self) > 1 {
            return "only one of --endpoint, --dual-stack and --fips can be given"
        }
        if caBundle != nil, noVerifySsl { return "only one of --ca-bundle and --no-verify-ssl can be given" }
        for (name, value) in [("--connect-timeout", connectTimeout), ("--timeout", timeout)]
        where !(0.001...86_400).contains(value ?? 1) {
            return "\(name) must be between 0.001 and 86400 seconds"
        }
        return (1...100).contains(attempts ?? 1) ? nil : "--attempts must be between 1 and 100"
    }

    /// A service's address: from an option, else from AWS's settings, else the region's own. `--endpoint` is that of Roles
    /// Anywhere.
    func address(
        of service: Endpoint.Service = .rolesAnywhere, region: String, _ aws: ServiceSettings
    ) throws -> Endpoint {
        if let endpoint, service == .rolesAnywhere { return try Endpoint(endpoint) }
        guard dualStack || fips else { return try aws.endpoint(of: service, region: region) }
        return try Endpoint(region: region, variant: dualStack ? .dualStack : .fips, service: service)
    }

    /// A client on libcurl, which is not opened before the first request.
    func client(
        at address: Endpoint, region: String, console: Console, transport: CurlTransport
    ) -> SessionClient {
        SessionClient(
            endpoint: address, region: region, transport: transport,
            retryPolicy: RetryPolicy(attempts: attempts ?? 4), dependencies: Self.dependencies,
            observer: observer(console))
    }

    /// A client that asks STS whose credentials they are.
    func identityClient(region: String, _ aws: ServiceSettings, console: Console) throws -> CallerIdentityClient {
        CallerIdentityClient(
            endpoint: try address(of: .securityTokenService, region: region, aws),
            region: region,
            transport: try transport(aws, console: console),
            retryPolicy: RetryPolicy(attempts: attempts ?? 4),
            dependencies: Self.dependencies,
            observer: observer(console)
        )
    }

    static var dependencies: SessionClient.Dependencies {
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

    func transport(_ aws: ServiceSettings, console: Console) throws -> CurlTransport {
        let trust: ServerTrust
        if noVerifySsl {
            console.warning("the server is not verified: an attacker in its place can read the credentials")
            trust = .unverified
        } else if let caBundle {
            trust = try .certificates(at: caBundle)
        } else {
            trust = try aws.trust()
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
