// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import Delivery
import FoundationEssentials
import RolesAnywhere
import Synchronization
import SystemSupport

/// A session request, its endpoint and identity: options completed from a profile, and checked.
struct Access: Sendable {
    /// The profile's name; `default` without one.
    let name: String

    let request: SessionRequest

    let endpoint: Endpoint

    let source: IdentitySource

    /// The identity's name in the cache, found without opening it.
    private let cacheName: @Sendable () throws -> String

    private let passphrase: Passphrase
    private let network: NetworkOptions
    private let aws: ServiceSettings

    init(
        _ settings: AccessOptions, profile: String?, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        let (settings, name, aws) = try Self.completed(settings, profile: profile, environment: environment)
        try self.init(complete: settings, name: name ?? "default", aws)
    }

    /// The options completed from variables, then from a profile, its name if one was read, and AWS's own settings.
    static func completed(
        _ given: AccessOptions, profile: String?, environment: [String: String]
    ) throws -> (settings: AccessOptions, profile: String?, aws: ServiceSettings) {
        var settings = try withVariables(given, environment)
        let files = AWSFiles(environment)
        let name =
            profile ?? IdentityVariable.profile(environment)
            ?? (settings.identity.namesCertificate ? nil : AWSFiles.standardProfile(environment))
        let standard = name ?? AWSFiles.standardProfile(environment)
        let config = try files.config.read().map { SharedConfiguration($0) }
        let found = try files.settings(of: standard, in: config)
        if let name { try fill(&settings, from: name, found, files: files) }
        let aws = try ServiceSettings(
            profile: standard, found: found, config: config, files: files, environment: environment)
        return (settings, name, aws)
    }

    /// The options completed from variables.
    static func withVariables(_ given: AccessOptions, _ environment: [String: String]) throws -> AccessOptions {
        let values = ProfileSetting.all.compactMap { setting in
            setting.variable.flatMap { IdentityVariable.value(of: $0, environment) }.map { (setting, $0) }
        }
        var settings = given
        try fill(&settings, from: values) { setting, error in
            InputError(message: "the variable \(setting.variable ?? ""): \(error.message)", hint: error.hint)
        }
        return settings
    }

    /// Checks options that are complete.
    ///
    /// - Throws: ``UsageError`` when one is missing, or what is wrong with a value.
    init(complete settings: AccessOptions, name: String, _ aws: ServiceSettings) throws {
        self.name = name
        self.aws = aws
        if let problem = settings.network.problem { throw UsageError(message: "the profile \(name): \(problem)") }
        guard settings.identity.namesCertificate else { throw UsageError.missing("--certificate") }
        request = try settings.session.request()
        endpoint = try settings.network.address(region: request.region, aws)
        let passphrase = try settings.identity.secret(.standard)
        (source, cacheName) = try settings.identity.source(passphrase)
        self.passphrase = passphrase
        network = settings.network
    }

    /// Fills in what the command line left open. A missing profile is an error only where it is needed.
    private static func fill(
        _ given: inout AccessOptions, from profile: String, _ settings: [(name: String, value: String)]?,
        files: AWSFiles
    ) throws {
        // An empty value is none.
        let values = Dictionary((settings ?? []).filter { !$0.value.isEmpty }, uniquingKeysWith: { $1 })
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
        try fill(&given, from: known.map { ($0, values[$0.name] ?? "") }) { setting, error in
            InputError(
                message: "the profile \(profile) in \(files.config.path): \(error.message)",
                hint: "set it with pki configure \(Quoting.option("--profile", profile)) \(setting.option) …")
        }
    }

    /// Fills in what was left open, except what was given in another way.
    ///
    /// - Parameters:
    ///   - given: The options.
    ///   - values: The settings of a profile, or the values of variables.
    ///   - explain: Adds the place of a value to an error.
    private static func fill(
        _ given: inout AccessOptions, from values: [(setting: ProfileSetting, text: String)],
        explain: (ProfileSetting, InputError) -> InputError
    ) throws {
        guard !values.isEmpty else { return }
        // An address that was given replaces every other way to give one.
        let network = given.network
        let hasAddress = network.endpoint != nil || network.dualStack || network.fips
        let hasTrust = network.caBundle != nil || network.noVerifySsl
        let identity = given.identity
        let (hasPassphrase, hasCertificate) = (identity.namesPassphrase, identity.namesCertificate)
        for (setting, text) in values {
            switch setting.option {
            case "--endpoint", "--dual-stack", "--fips": if hasAddress { continue }
            case "--ca-bundle", "--no-verify-ssl": if hasTrust { continue }
            case "--passphrase-file", "--passphrase-env": if hasPassphrase { continue }
            case "--certificate", "--certificate-store", "--cert-selector", "--use-latest-expiring-certificate":
                if hasCertificate { continue }
            default: break
            }
            do {
                try setting.fill(text, into: &given)
            } catch let error as InputError {
                throw explain(setting, error)
            }
        }
    }

    func client(_ console: Console) throws -> SessionClient {
        network.client(
            at: endpoint, region: request.region, console: console,
            transport: try network.transport(aws, console: console))
    }

    func identityClient(_ console: Console) throws -> CallerIdentityClient {
        try network.identityClient(region: request.region, aws, console: console)
    }

    /// The region for programs that use the credentials: the profile's own, else the trust anchor's.
    func region(_ environment: [String: String]) -> String {
        let settings = try? AWSFiles(environment).settings(of: name)
        return settings?.last { $0.name == "region" }?.value ?? request.region
    }

    func identity() throws -> Identity {
        try passphrase.check()
        return try source.read(passphrase: passphrase.tries(Self.question))
    }

    private static let question = "passphrase of the private key"

    /// The identity, which is read again when its files change.
    func rotatingIdentity() throws -> RotatingIdentity {
        let passphrase = passphrase
        try passphrase.check()
        // What is typed is kept once it is right.
        if passphrase.isAsked { _ = try identity() }
        return try RotatingIdentity(source) { try passphrase.read(Self.question) }
    }

    func credentials(_ console: Console) throws -> Credentials {
        let client = try client(console)
        CurlTransport.openLibrary()
        let session = try client.createSession(request, as: identity())
        return Credentials(session, issued: Date.now.addingTimeInterval(client.clockCorrection))
    }

    /// Credentials, from the cache if it is to be used and can be.
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
                        + reason)
            }
            return outcome.credentials
        } catch let error as DeliveryError {
            console.warning("no cache is used: \(error.message)")
            if let hint = error.hint { console.hint(hint) }
            return try credentials(console)
        }
    }

    /// Everything that the credentials depend on. The certificate is represented by its file's digest or its address, so that
    /// neither it nor the key has to be parsed to find an entry.
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

extension Credentials {
    init(_ session: SessionCredentials, issued: Date) {
        self.init(
            accessKeyID: session.accessKeyID, secretAccessKey: session.secretAccessKey,
            sessionToken: session.sessionToken, issued: issued, expiration: session.expiration,
            accountID: session.accountID, roleARN: session.roleARN, assumedRoleARN: session.assumedRoleARN,
            subjectARN: session.subjectARN, sourceIdentity: session.sourceIdentity
        )
    }
}

extension CredentialCache {
    static var standard: CredentialCache {
        let environment = ProcessInfo.processInfo.environment
        let path = standardPath(environment: environment, home: homeDirectory(environment["HOME"]))
        return CredentialCache(path: path, now: { Date.now })
    }
}

/// Credentials for as long as a process runs, from an identity that is read again when its files change.
final class AccessSource: Sendable {
    private let access: Access
    private let identity: RotatingIdentity
    private let client: SessionClient
    private let console: Console
    private let clock: ServiceClock
    private let lastComplaint = Mutex("")

    init(_ access: Access, clock: ServiceClock, console: Console) throws {
        self.access = access
        self.console = console
        self.clock = clock
        identity = try access.rotatingIdentity()
        client = try access.client(console)
    }

    var source: CredentialSource {
        CredentialSource(
            obtain: { try self.obtain() },
            hasChanged: { self.hasChanged() },
            certificateExpiration: { self.identity.identity.certificate.notAfter }
        )
    }

    private func obtain() throws -> Credentials {
        _ = hasChanged()
        let session = try client.createSession(access.request, as: identity.identity)
        clock.correction = client.clockCorrection
        return Credentials(session, issued: clock.now)
    }

    /// Looks at the files, and reports a change.
    private func hasChanged() -> Bool {
        switch identity.update() {
        case nil: return false
        case .replaced(let identity):
            lastComplaint.withLock { $0 = "" }
            console.note(
                "\(access.name): the certificate was replaced: \(identity.certificate.subject), valid until "
                    + CivilTime(identity.certificate.notAfter).extended)
            return true
        case .kept(let error):
            let message = (error as? any ExplainedError)?.message ?? "\(error)"
            // Files are looked at every few seconds; half a rotation is reported once.
            let isNew = lastComplaint.withLock { last in
                defer { last = message }
                return last != message
            }
            if isNew {
                console.warning(
                    "\(access.name): the files have changed and cannot be used, so the old ones are: \(message)")
            }
            return false
        }
    }
}

/// The time by the service's clock, once this machine's clock was found to be wrong.
final class ServiceClock: Sendable {
    private let offset = Mutex(0.0)

    /// By how many seconds the service's clock is ahead of this machine's.
    var correction: Double {
        get { offset.withLock { $0 } }
        set { offset.withLock { $0 = newValue } }
    }

    var now: Date { Date.now.addingTimeInterval(correction) }
}
