// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import RolesAnywhere

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
        (identity.passphrase, identity.device) = (PassphraseOptions(), DeviceOptions())
        (identity.passphrase.file, identity.passphrase.env, identity.passphrase.fd) = (nil, nil, nil)
        (identity.insecurePermissions, identity.pkcs8Password, identity.systemStoreName) = (false, nil, nil)
        (identity.device.pkcs11Library, identity.device.reusePin) = (nil, false)
        (identity.device.noTpmKeyPassword, identity.device.tpmKeyPassword) = (false, nil)
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

/// The profile that a command uses.
struct ProfileOption: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            A profile of ~/.aws/config that pki configure wrote; other options override its settings. \
            (default: without --certificate, AWS_PROFILE, else "default")
            """,
            valueName: "name"
        )
    )
    var profile: String?
}

/// Whether credentials are shared between runs.
struct CacheOption: ParsableArguments {
    @Flag(
        name: .long,
        help: """
            Share credentials with other commands that ask for the same, while 20 minutes are left, or half of a \
            shorter lifetime. They are in ~/.cache/pki, readable by you alone: see pki cache.
            """
    )
    var cache = false
}

/// What is asked for.
struct SessionOptions: ParsableArguments, Sendable {
    @Option(
        name: .long, help: ArgumentHelp("ARN of the trust anchor that the certificate chains to.", valueName: "arn"))
    var trustAnchorArn: String?

    @Option(name: .long, help: ArgumentHelp("ARN of the profile that allows the role.", valueName: "arn"))
    var profileArn: String?

    @Option(name: .long, help: ArgumentHelp("ARN of the role to assume.", valueName: "arn"))
    var roleArn: String?

    @Option(
        name: .long, help: ArgumentHelp("The region to sign for. (default: the trust anchor's)", valueName: "region"))
    var region: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Session duration, 900 to 43200 seconds; the profile may limit it. (default: 3600)", valueName: "seconds"))
    var sessionDuration: Int?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Session name, 2 to 64 of A-Za-z0-9_+=,.@-; the profile must accept it. (default: the serial number)",
            valueName: "name"))
    var roleSessionName: String?

    /// A request within the service's limits.
    ///
    /// - Throws: ``UsageError`` when an ARN is missing, `RolesAnywhereError` naming the option's rule.
    func request() throws -> SessionRequest {
        func needed(_ value: String?, _ option: String) throws -> String {
            guard let value else { throw UsageError.missing(option) }
            return value
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
