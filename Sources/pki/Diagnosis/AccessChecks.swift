// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// The checks of `pki doctor` that need no network: settings, certificate, key, chain, rules and signature.
///
/// Each check keeps what it found for later ones, which are skipped without it.
final class AccessChecks {
    private let given: AccessOptions
    private let profile: String?
    private let environment: [String: String]
    private let directory: String?
    let console: Console
    let now: Date

    /// The settings of command line and profile.
    private(set) var settings: AccessOptions?
    /// What would be asked for.
    private(set) var request: SessionRequest?
    /// Where the service listens.
    private(set) var endpoint: Endpoint?
    /// Who would ask.
    private(set) var identity: Identity?
    /// Whether the service could take the certificate.
    private(set) var isAcceptable = false

    private var certificates: [Certificate] = []
    private var source: (source: IdentitySource, passphrase: Passphrase)?
    private var knownTransport: CurlTransport?

    init(
        _ settings: AccessOptions, profile: String?, directory: String?, environment: [String: String], now: Date,
        console: Console
    ) {
        given = settings
        self.profile = profile
        self.directory = directory
        self.environment = environment
        self.now = now
        self.console = console
    }

    /// Adds the checks that need no network.
    func add(to list: inout CheckList) {
        for check in Self.all where check.name != "authority" || directory != nil {
            list.add(check.name, hint: check.hint) { try check.run(self) }
        }
    }

    /// A check, with the hint for failures that have none of their own.
    private struct AccessCheck: Sendable {
        let name: String
        let hint: String
        let run: @Sendable (AccessChecks) throws -> CheckList.Outcome

        init(_ name: String, hint: String, run: @escaping @Sendable (AccessChecks) throws -> CheckList.Outcome) {
            (self.name, self.hint, self.run) = (name, hint, run)
        }
    }

    private static let all = [
        AccessCheck("settings", hint: "check the options, or the profile that pki configure wrote") {
            try $0.checkSettings()
        },
        AccessCheck("certificate", hint: "name the certificate with --certificate") { try $0.checkCertificate() },
        AccessCheck(
            "key", hint: "name the certificate's key with --private-key, and what opens it with --passphrase-file"
        ) { try $0.checkKey() },
        AccessCheck("chain", hint: "name the CA certificates above it with --intermediates") { try $0.checkChain() },
        AccessCheck("rules", hint: "have it issued again: pki issue-client") { try $0.checkRules() },
        AccessCheck("validity", hint: "renew it: pki renew, or whatever issues certificates here") {
            try $0.checkExpiry()
        },
        AccessCheck(
            "authority", hint: "the trust anchor must be made from the CA that issued, and every CA between goes along"
        ) { try $0.checkAuthority() },
        AccessCheck("signature", hint: "check that the token, TPM or agent that holds the key is there") {
            try $0.checkSignature()
        },
    ]

    // MARK: - Settings

    private func checkSettings() throws -> CheckList.Outcome {
        let (settings, _) = try Access.completed(given, profile: profile, environment: environment)
        self.settings = settings
        if let problem = settings.network.problem { throw UsageError(message: problem) }
        let anchor = settings.session.trustAnchorArn.flatMap { AmazonResourceName($0) }
        // An address that was given needs no region, so that the rest can be looked at all the same.
        endpoint = try? settings.network.address(region: anchor?.region ?? "")
        let request = try settings.session.request()
        self.request = request
        endpoint = try settings.network.address(region: request.region)
        let accounts = [
            ("trust anchor", request.trustAnchor.account), ("profile", request.profile.account),
            ("role", request.role.account),
        ]
        guard Set(accounts.map(\.1)).count == 1 else {
            return .failed(
                "the ARNs are of different accounts: " + accounts.map { "\($0.0) \($0.1)" }.joined(separator: ", "),
                hint: "all three are of one account; a role of another one can be assumed from theirs"
            )
        }
        return .ok("account \(request.role.account), \(request.region), \(request.role.resource)")
    }

    // MARK: - Identity

    private func checkCertificate() throws -> CheckList.Outcome {
        guard let settings else { throw CheckList.Skipped("the settings are not known") }
        guard settings.identity.namesCertificate else { throw UsageError.missing("--certificate") }
        let passphrase = try settings.identity.secret(console)
        let source = try settings.identity.source(passphrase).0
        self.source = (source, passphrase)
        certificates = try Self.certificates(at: source.certificate, passphrase)
        guard let first = certificates.first else {
            throw InputError(
                message: "there is no certificate in \(Self.name(of: source.certificate))",
                hint: "a certificate begins with -----BEGIN CERTIFICATE-----, or is one in DER")
        }
        let more = certificates.count > 1 ? ", and \(certificates.count - 1) more" : ""
        return .ok("\(first.subject), serial number \(first.serialNumber)\(more)")
    }

    private static func certificates(
        at place: IdentitySource.Certificates, _ passphrase: Passphrase
    ) throws -> [Certificate] {
        let (bytes, name): (SecretBytes, String)
        switch place {
        case .file(let path): (bytes, name) = (try FileContents(of: path).bytes, path)
        case .contents(let contents, let title): (bytes, name) = (contents, title)
        case .found(_, _, let read): return try read()
        }
        do {
            return try askingForPassphrase({ try passphrase.read("passphrase of \(name)") }) {
                (secret) throws(CertificateError) in try Container(reading: bytes, passphrase: secret).certificates
            }
        } catch let error as CertificateError {
            throw InputError(message: "\(name): \(error.message)", hint: error.hint)
        }
    }

    private static func name(of place: IdentitySource.Certificates) -> String {
        switch place {
        case .file(let path): path
        case .contents(_, let name), .found(let name, _, _): name
        }
    }

    private func checkKey() throws -> CheckList.Outcome {
        guard let source, !certificates.isEmpty else { throw CheckList.Skipped("there is no certificate to look at") }
        do {
            identity = try read(source.source)
        } catch {
            // Whatever is wrong with the certificates above is for the check of the chain.
            guard let alone = try? keyAlone() else { throw error }
            return .ok("\(alone.algorithm), the certificate's own")
        }
        guard let identity else { throw CheckList.Skipped("there is no key to look at") }
        return .ok("\(identity.key.publicKey.algorithm), the certificate's own")
    }

    private func read(_ source: IdentitySource) throws -> Identity {
        guard let passphrase = self.source?.passphrase else { throw CheckList.Skipped("there is no key to look at") }
        try passphrase.check()
        return try source.read { try passphrase.read("passphrase of the private key") }
    }

    /// The key, found without the certificates above the client's.
    private func keyAlone() throws -> PublicKey {
        guard var alone = source?.source else { throw CheckList.Skipped("there is no key to look at") }
        let own = certificates.filter { !$0.isCA }
        alone.certificate = .found(name: Self.name(of: alone.certificate), watching: []) { own }
        if case .besideCertificate = alone.key, case .file(let path) = source?.source.certificate {
            alone.key = .file(path)
        }
        alone.intermediates = nil
        return try read(alone).key.publicKey
    }

    private func checkChain() throws -> CheckList.Outcome {
        guard let source, !certificates.isEmpty else { throw CheckList.Skipped("there is no certificate to look at") }
        guard let identity else {
            // The key is good when it can be had without the chain: then it is the chain that is not.
            guard (try? keyAlone()) != nil else {
                throw CheckList.Skipped("there is no key that belongs to a certificate")
            }
            _ = try read(source.source)
            throw CheckList.Skipped("the files have changed meanwhile")
        }
        if identity.intermediates.isEmpty {
            return .ok("the trust anchor is to be the issuer itself, \(identity.certificate.issuer)")
        }
        let names = identity.intermediates.map(\.subject.description)
        return .ok("goes along: \(names.joined(separator: "; "))")
    }

    // MARK: - The certificate

    private func client() throws -> Certificate {
        guard let certificate = identity?.certificate ?? certificates.first(where: { !$0.isCA }) ?? certificates.first
        else {
            throw CheckList.Skipped("there is no certificate to look at")
        }
        return certificate
    }

    private func checkRules() throws -> CheckList.Outcome {
        let certificate = try client()
        let above = identity?.intermediates ?? []
        // Validity is the next check.
        var findings = CertificateJudge.findings(in: certificate, as: .client, at: nil).map { ("the certificate", $0) }
        for certificate in above {
            findings += CertificateJudge.findings(in: certificate, as: .intermediate, at: nil)
                .map { ("\(certificate.subject)", $0) }
        }
        let errors = findings.filter { $0.1.rule.severity == .error }
        guard errors.isEmpty else {
            return .failed(
                errors.map { "\($0.0) \($0.1.finding)" }.joined(separator: "; "),
                hint: errors.first?.1.hint
            )
        }
        isAcceptable = ([certificate] + above).allSatisfy { $0.isValid(at: now) }
        guard findings.isEmpty else {
            return .warning(
                findings.map { "\($0.0) \($0.1.finding)" }.joined(separator: "; "),
                hint: "ask for a session: --session"
            )
        }
        return .ok("the certificate keeps every rule of IAM Roles Anywhere")
    }

    private func checkExpiry() throws -> CheckList.Outcome {
        let certificate = try client()
        for above in [certificate] + (identity?.intermediates ?? []) {
            let name = above == certificate ? "the certificate" : "the intermediate certificate \(above.subject)"
            guard now >= above.notBefore else {
                return .failed(
                    "\(name) is not valid before \(CivilTime(above.notBefore).extended)",
                    hint: "it is \(CivilTime(now).extended) by this machine's clock; is that right?")
            }
            guard now <= above.notAfter else {
                let ago = Validity.span(now.timeIntervalSince(above.notAfter))
                return .failed("\(name) expired \(ago) ago, at \(CivilTime(above.notAfter).extended)", hint: nil)
            }
        }
        let last = ([certificate] + (identity?.intermediates ?? [])).min { $0.notAfter < $1.notAfter } ?? certificate
        let left = last.notAfter.timeIntervalSince(now)
        let name = last == certificate ? "" : " of the intermediate certificate \(last.subject)"
        let text = "\(Validity.span(left)) left, until \(CivilTime(last.notAfter).extended)\(name)"
        let lifetime = last.notAfter.timeIntervalSince(last.notBefore)
        guard left >= min(30 * 86_400, lifetime / 3) else {
            return .warning(text, hint: "renew it now: pki renew, or whatever issues certificates here")
        }
        return .ok(text)
    }

    private func checkAuthority() throws -> CheckList.Outcome {
        guard let directory else { throw CheckList.Skipped("no directory was named") }
        let certificate = try client()
        let paths = ["root-cert.pem", "root-previous-cert.pem"].map { "\(directory)/\($0)" }
        let anchors = paths.flatMap { path -> [Certificate] in
            guard let file = try? InputFile.read(path) else { return [] }
            return (try? Certificate.certificates(in: file)) ?? []
        }
        guard !anchors.isEmpty else { throw CheckList.Skipped("there is no root-cert.pem in \(directory)") }
        let intermediates = identity?.intermediates ?? certificates
        guard certificate.isValid(at: now) else {
            // A path is valid at one time, which this certificate may not have with its CA: signatures say enough.
            let top = anchors.first { anchor in ([certificate] + intermediates).contains { anchor.hasIssued($0) } }
            guard let top else { return .failed("the chain does not lead to the CA in \(directory)", hint: nil) }
            return .ok("the chain leads to \(top.subject)")
        }
        do {
            var verifier = CertificateVerifier(anchors: anchors)
            verifier.isStrict = false
            let path = try verifier.path(for: certificate, intermediates: intermediates, at: now)
            return .ok("the chain leads to \(path.last?.subject.description ?? "")")
        } catch {
            return .failed("the chain does not lead to the CA in \(directory): \(error.message)", hint: nil)
        }
    }

    // MARK: - Signature

    /// What carries requests, made once.
    func transport() throws -> CurlTransport {
        if let knownTransport { return knownTransport }
        guard let settings else { throw CheckList.Skipped("the settings are not known") }
        let transport = try settings.network.transport(console: console)
        knownTransport = transport
        return transport
    }

    /// Who asks for sessions.
    func client(for request: SessionRequest) throws -> SessionClient {
        guard let settings, let endpoint else { throw CheckList.Skipped("the settings are not complete") }
        return try settings.network.client(
            at: endpoint, region: request.region, console: console, transport: try? transport())
    }

    private func checkSignature() throws -> CheckList.Outcome {
        guard let request, endpoint != nil else { throw CheckList.Skipped("the settings are not complete") }
        guard let identity else { throw CheckList.Skipped("there is no key that belongs to a certificate") }
        let signed = try client(for: request).signedRequest(for: request, as: identity)
        let parts = (signed.request.headers["Authorization"] ?? "").split(separator: "Signature=")
        let digits = Array((parts.count == 2 ? parts[1] : "").utf8)
        let signature = stride(from: 0, to: digits.count & ~1, by: 2).compactMap { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)
        }
        let text = Array(signed.stringToSign.utf8)
        guard identity.certificate.publicKey.isValid(signature: signature, for: text, digest: .sha256) else {
            return .failed(
                "a signature of the key is not good by the certificate's public key",
                hint: "the token, TPM or agent that holds the key does not sign as it should")
        }
        let algorithm = RequestSignature.name(for: identity.key.publicKey.algorithm) ?? ""
        return .ok("\(algorithm), good by the certificate's public key; nothing was sent")
    }
}
