// SPDX-License-Identifier: Apache-2.0

import Certificates
import Delivery
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// Who asks for which role, and where: options and profile put together and found to be complete.
struct Access: Sendable {
    /// The profile's name; `default` when there is none.
    let name: String

    /// What is asked for.
    let request: SessionRequest

    /// Where the service listens.
    let endpoint: Endpoint

    /// Where the identity is.
    let source: IdentitySource

    /// What the identity is known by in the cache, without opening it.
    private let cacheName: @Sendable () throws -> String

    private let passphrase: Passphrase
    private let network: NetworkSettings

    /// Puts options and a profile together.
    ///
    /// - Parameters:
    ///   - settings: What the command line gave.
    ///   - profile: The profile that was named.
    ///   - environment: The variables.
    /// - Throws: ``UsageError`` when something is missing, or what is wrong with a value.
    init(
        _ settings: AccessSettings,
        profile: String?,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        let (settings, name) = try Self.completed(settings, profile: profile, environment: environment)
        try self.init(complete: settings, name: name ?? "default")
    }

    /// Adds what a profile says to what the command line gave.
    ///
    /// - Parameters:
    ///   - settings: What the command line gave.
    ///   - profile: The profile that was named.
    ///   - environment: The variables.
    /// - Returns: All settings, and the profile's name when one was asked.
    /// - Throws: ``UsageError`` when there is no such profile, or what is wrong with one of its values.
    static func completed(
        _ settings: AccessSettings,
        profile: String?,
        environment: [String: String]
    ) throws -> (settings: AccessSettings, profile: String?) {
        var settings = settings
        let name = profile ?? (settings.identity.namesCertificate ? nil : AWSFiles.standardProfile(environment))
        if let name { try fill(&settings, from: name, files: AWSFiles(environment)) }
        return (settings, name)
    }

    /// Takes settings to which nothing is to be added.
    ///
    /// - Parameters:
    ///   - settings: The settings.
    ///   - name: The profile's name.
    /// - Throws: ``UsageError`` when something is missing, or what is wrong with a value.
    init(complete settings: AccessSettings, name: String) throws {
        self.name = name
        if let problem = settings.network.problem { throw UsageError(message: "the profile \(name): \(problem)") }
        guard settings.identity.namesCertificate else { throw UsageError.missing("--certificate") }
        request = try settings.session.request()
        endpoint = try settings.network.address(region: request.region)
        let passphrase = try settings.identity.passphrase(.standard)
        (source, cacheName) = try settings.identity.source(passphrase)
        self.passphrase = passphrase
        network = settings.network
    }

    /// Fills in what the command line left open. A profile that is not there is an error only where it is needed.
    private static func fill(_ given: inout AccessSettings, from profile: String, files: AWSFiles) throws {
        let settings = try files.settings(of: profile)
        let values = Dictionary(settings ?? [], uniquingKeysWith: { $1 })
        let known = ProfileSetting.all.filter { values[$0.name] != nil }
        if known.isEmpty, !given.identity.namesCertificate {
            throw UsageError(
                message: settings == nil
                    ? "there is no profile \(profile) in \(files.config.path)"
                    : "the profile \(profile) in \(files.config.path) has no settings of pki",
                hint:
                    "write it with pki configure \(Quoting.option("--profile", profile)) …, or give --certificate and the ARNs here"
            )
        }
        // An address that the command line gives takes the place of every way to give one.
        let network = given.network
        let hasAddress = network.endpoint != nil || network.dualStack || network.fips
        let hasTrust = network.caBundle != nil || network.noVerifySsl
        let identity = given.identity
        let (hasPassphrase, hasCertificate) = (identity.namesPassphrase, identity.namesCertificate)
        for setting in known {
            switch setting.option {
            case "--endpoint", "--dual-stack", "--fips": if hasAddress { continue }
            case "--ca-bundle", "--no-verify-ssl": if hasTrust { continue }
            case "--passphrase-file", "--passphrase-env": if hasPassphrase { continue }
            case "--certificate", "--certificate-store", "--cert-selector", "--use-latest-expiring-certificate":
                if hasCertificate { continue }
            default: break
            }
            do {
                try setting.fill(values[setting.name] ?? "", into: &given)
            } catch let error as InputError {
                throw InputError(
                    message: "the profile \(profile) in \(files.config.path): \(error.message)",
                    hint: "set it with pki configure \(Quoting.option("--profile", profile)) \(setting.option) …"
                )
            }
        }
    }

    /// A client on libcurl, which is not opened before the first request.
    func client(_ console: Console) throws -> SessionClient {
        try network.client(at: endpoint, region: request.region, console: console)
    }

    /// A client that asks STS whose credentials are.
    func identityClient(_ console: Console) throws -> CallerIdentityClient {
        try network.identityClient(region: request.region, console: console)
    }

    /// The identity, as it is now.
    func identity() throws -> Identity {
        try passphrase.check()
        return try source.read { try passphrase.read(Self.question) }
    }

    private static let question = "passphrase of the private key"

    /// The identity, which follows its files.
    func rotatingIdentity() throws -> RotatingIdentity {
        let passphrase = passphrase
        try passphrase.check()
        return try RotatingIdentity(source) { try passphrase.read(Self.question) }
    }

    /// Credentials from the service.
    func credentials(_ console: Console) throws -> Credentials {
        let client = try client(console)
        let session = try client.createSession(request, as: identity())
        return Credentials(session, issued: Date.now.addingTimeInterval(client.clockCorrection))
    }

    /// Credentials, out of the cache when that is wanted and possible.
    ///
    /// - Parameters:
    ///   - usesCache: Whether to look there first.
    ///   - console: Where warnings go.
    /// - Returns: Credentials that last.
    /// - Throws: What the service, the identity or the network had against it.
    func credentials(usesCache: Bool, _ console: Console) throws -> Credentials {
        guard usesCache else { return try credentials(console) }
        do {
            let outcome = try CredentialCache.standard.credentials(
                for: cacheKey(),
                status: { ExitStatus.status(for: $0) },
                obtain: { try credentials(console) }
            )
            if case .stale(let credentials, let error) = outcome {
                let reason = (error as? any ExplainedError)?.message ?? "\(error)"
                console.warning(
                    "the credentials could not be refreshed, and last until \(CivilTime(credentials.expiration).extended): "
                        + reason
                )
            }
            return outcome.credentials
        } catch let error as DeliveryError {
            console.warning("no cache is used: \(error.message)")
            if let hint = error.hint { console.hint(hint) }
            return try credentials(console)
        }
    }

    /// What the credentials are obtained with. The certificate is its file, or its address: whatever is changed in it, makes
    /// other credentials; neither it nor the key has to be understood to find what is in the cache.
    func cacheKey() throws -> CredentialCache.Key {
        [
            "endpoint": endpoint.description, "region": request.region,
            "trust-anchor": request.trustAnchor.description, "profile": request.profile.description,
            "role": request.role.description, "duration": String(request.durationSeconds),
            "session-name": request.roleSessionName ?? "",
            "certificate": try cacheName(),
        ]
    }
}

extension CredentialCache {
    /// The user's cache.
    static var standard: CredentialCache {
        let environment = ProcessInfo.processInfo.environment
        let path = standardPath(environment: environment, home: homeDirectory(environment["HOME"]))
        return CredentialCache(path: path, now: { Date.now })
    }
}
