// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Authority
import Certificates
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// What the checks of settings and identity found, for those of the service.
struct CheckedAccess {
    let console: Console
    var settings: AccessOptions?
    var request: SessionRequest?
    var endpoint: Endpoint?
    var identity: Identity?
    /// Whether the certificate meets all rules and is valid now.
    var isAcceptable = false
    let aws: ServiceSettings?
    private let settingsTransport: Result<CurlTransport, any Error>?

    init(_ settings: AccessOptions?, _ aws: ServiceSettings?, console: Console) {
        self.settings = settings
        self.aws = aws
        self.console = console
        settingsTransport = settings.flatMap { settings in
            aws.map { aws in Result { try settings.network.transport(aws, console: console) } }
        }
        guard let settings, let aws, settings.network.problem == nil else { return }
        request = try? settings.session.request()
        // An endpoint that was given needs no region: it can be checked even if the ARNs are wrong.
        let anchor = settings.session.trustAnchorArn.flatMap { AmazonResourceName($0) }
        endpoint = try? settings.network.address(region: request?.region ?? anchor?.region ?? "", aws)
    }

    func transport() throws -> CurlTransport { try settingsTransport.orSkip("the settings are not known").get() }

    func client(for request: SessionRequest) throws -> SessionClient {
        guard let settings, let endpoint else { throw CheckList.Skipped("the settings are not complete") }
        return settings.network.client(
            at: endpoint, region: request.region, console: console, transport: try transport())
    }
}

/// The checks of the access to AWS that need no network: settings, certificate, key, chain, rules and signature.
struct AccessChecks {
    let profile: String?
    /// The CA's directory, if the certificate is to be checked against it.
    let directory: String?
    let environment: [String: String]
    let now: Date
    let console: Console

    func run(_ given: AccessOptions, into list: inout CheckList) -> CheckedAccess {
        let completed = Result { try Access.completed(given, profile: profile, environment: environment) }
        let settings = try? completed.get().settings
        var access = CheckedAccess(settings, try? completed.get().aws, console: console)
        list.add("settings", hint: "check the options, or the profile that pki configure wrote") {
            try checkSettings(completed.get().settings, completed.get().aws)
        }
        let files = list.find("certificate", hint: "name the certificate with --certificate") {
            try checkCertificate(settings.orSkip("the settings are not known"))
        }
        let identity = list.find(
            "key", hint: "name the certificate's key with --private-key, and its passphrase with --passphrase-file"
        ) { try checkKey(files.orSkip("there is no certificate to check")) }
        access.identity = identity ?? nil
        list.add("chain", hint: "name the CA certificates above it with --intermediates") {
            try checkChain(files.orSkip("there is no certificate to check"), access.identity)
        }
        let (client, above) = (access.identity?.certificate ?? files?.client, access.identity?.intermediates ?? [])
        let rules = list.add("rules", hint: "issue it again: pki issue-client") {
            try checkRules(client.orSkip("there is no certificate to check"), above: above)
        }
        access.isAcceptable =
            [.ok, .warning].contains(rules.verdict)
            && ([client].compactMap(\.self) + above).allSatisfy { $0.isValid(at: now) }
        list.add("validity", hint: "renew it: pki renew, or with the software that issued it") {
            try checkExpiry(client.orSkip("there is no certificate to check"), above: above)
        }
        if let directory {
            list.add(
                "authority", hint: "use the issuing CA's root as trust anchor, and --intermediates for CAs between"
            ) {
                try checkAuthority(
                    client.orSkip("there is no certificate to check"),
                    intermediates: access.identity?.intermediates ?? files?.certificates ?? [], in: directory)
            }
        }
        list.add("revocation", hint: "issue another certificate: pki issue-client, or release it: pki revoke --release")
        {
            try checkStanding(access.identity.orSkip("there is no key that belongs to a certificate"))
        }
        list.add("signature", hint: "check that the token, TPM or agent that holds the key is available") {
            try checkSignature(access)
        }
        return access
    }

    // MARK: - Settings

    private func checkSettings(_ settings: AccessOptions, _ aws: ServiceSettings) throws -> Check {
        if let problem = settings.network.problem { throw UsageError(message: problem) }
        let request = try settings.session.request()
        _ = try settings.network.address(region: request.region, aws)
        let accounts = [
            ("trust anchor", request.trustAnchor.account), ("profile", request.profile.account),
            ("role", request.role.account),
        ]
        guard Set(accounts.map(\.1)).count == 1 else {
            return .failed(
                "the ARNs are of different accounts: " + accounts.map { "\($0.0) \($0.1)" }.joined(separator: ", "),
                hint: "use ARNs of one account; its role can then assume a role of another account")
        }
        return .ok("account \(request.role.account), \(request.region), \(request.role.resource)")
    }

    // MARK: - Identity

    /// The certificates that were read, and how to read their key.
    private struct Files {
        var certificates: [Certificate]
        var source: IdentitySource
        var passphrase: Passphrase

        var client: Certificate? { certificates.first { !$0.isCA } ?? certificates.first }

        func identity() throws -> Identity { try read(source) }

        /// The key, read without the CA certificates.
        func keyAlone() throws -> PublicKey {
            var alone = source
            let own = certificates.filter { !$0.isCA }
            if case .besideCertificate = source.key, case .file(let path) = source.certificate {
                alone.key = source.keyPlace(try FileContents(of: path).bytes)
                if case .besideCertificate = alone.key { alone.key = .file(path) }
            }
            alone.certificate = .found(name: AccessChecks.name(of: source.certificate), watching: []) { own }
            alone.intermediates = nil
            return try read(alone).key.publicKey
        }

        private func read(_ source: IdentitySource) throws -> Identity {
            try passphrase.check()
            return try source.read(passphrase: passphrase.tries("passphrase of the private key"))
        }
    }

    private func checkCertificate(_ settings: AccessOptions) throws -> (Check, Files) {
        guard settings.identity.namesCertificate else { throw UsageError.missing("--certificate") }
        let passphrase = try settings.identity.secret(console)
        let source = try settings.identity.source(passphrase).0
        let certificates = try Self.certificates(at: source.certificate, passphrase)
        guard let first = certificates.first else {
            throw InputError(
                message: "there is no certificate in \(Self.name(of: source.certificate))",
                hint: "a certificate in PEM begins with -----BEGIN CERTIFICATE-----")
        }
        let more = certificates.count > 1 ? ", and \(certificates.count - 1) more" : ""
        return (
            .ok("\(first.subject), serial number \(first.serialNumber)\(more)"),
            Files(certificates: certificates, source: source, passphrase: passphrase)
        )
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
            return try askingForPassphrase(passphrase.tries("passphrase of \(name)")) {
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

    private func checkKey(_ files: Files) throws -> (Check, Identity?) {
        do {
            let identity = try files.identity()
            let place = identity.keySource.map { $0 == identity.source ? "" : ", in \(printable($0))" } ?? ""
            return (.ok("\(identity.key.publicKey.algorithm), the certificate's own\(place)"), identity)
        } catch {
            // Errors in the CA certificates are reported by the check of the chain.
            guard let alone = try? files.keyAlone() else { throw error }
            return (.ok("\(alone.algorithm), the certificate's own"), nil)
        }
    }

    private func checkChain(_ files: Files, _ identity: Identity?) throws -> Check {
        guard let identity else {
            // If the key can be read without the chain, the chain is wrong.
            guard (try? files.keyAlone()) != nil else {
                throw CheckList.Skipped("there is no key that belongs to a certificate")
            }
            _ = try files.identity()
            throw CheckList.Skipped("the files have changed since")
        }
        return .ok(identity.intermediates.isEmpty ? identity.chainText : "sent with requests: \(identity.chainText)")
    }

    // MARK: - The certificate

    private func checkRules(_ certificate: Certificate, above: [Certificate]) throws -> Check {
        // Validity is the next check.
        var findings = CertificateJudge.findings(in: certificate, as: .client, at: nil).map { ("the certificate", $0) }
        for certificate in above {
            findings += CertificateJudge.findings(in: certificate, as: .intermediate, at: nil)
                .map { ("\(certificate.subject)", $0) }
        }
        let errors = findings.filter { $0.1.rule.severity == .error }
        func text(_ findings: [(String, RuleViolation)]) -> String {
            findings.map { "\($0.0) \($0.1.finding)" }.joined(separator: "; ")
        }
        guard errors.isEmpty else { return .failed(text(errors), hint: errors.first?.1.hint) }
        guard findings.isEmpty else { return .warning(text(findings), hint: "request a session to be sure: --session") }
        return .ok("the certificate meets all rules of IAM Roles Anywhere")
    }

    private func checkExpiry(_ certificate: Certificate, above: [Certificate]) throws -> Check {
        for above in [certificate] + above {
            let name = above == certificate ? "the certificate" : "the intermediate certificate \(above.subject)"
            guard now >= above.notBefore else {
                return .failed(
                    "\(name) is not valid before \(CivilTime(above.notBefore).extended)",
                    hint: "check this machine's clock: it says \(CivilTime(now).extended)")
            }
            guard now <= above.notAfter else {
                let ago = Validity.span(now.timeIntervalSince(above.notAfter))
                return .failed("\(name) expired \(ago) ago, at \(CivilTime(above.notAfter).extended)")
            }
        }
        let last = ([certificate] + above).min { $0.notAfter < $1.notAfter } ?? certificate
        let left = last.notAfter.timeIntervalSince(now)
        let name = last == certificate ? "" : " of the intermediate certificate \(last.subject)"
        let text = "\(Validity.span(left)) left, until \(CivilTime(last.notAfter).extended)\(name)"
        let lifetime = last.notAfter.timeIntervalSince(last.notBefore)
        guard left >= min(30 * 86_400, lifetime / 3) else {
            return .warning(text, hint: "renew it now: pki renew, or with the software that issued it")
        }
        return .ok(text)
    }

    private func checkAuthority(
        _ certificate: Certificate, intermediates: [Certificate], in directory: String
    ) throws -> Check {
        let paths = ["root-cert.pem", "root-previous-cert.pem"].map { "\(directory)/\($0)" }
        let anchors = paths.flatMap { path -> [Certificate] in
            guard let file = try? InputFile.read(path) else { return [] }
            return (try? Certificate.certificates(in: file)) ?? []
        }
        guard !anchors.isEmpty else { throw CheckList.Skipped("there is no root-cert.pem in \(directory)") }
        guard certificate.isValid(at: now) else {
            // An expired certificate and its CA may share no time at which a path is valid, so only signatures are checked.
            let top = anchors.first { anchor in ([certificate] + intermediates).contains { anchor.hasIssued($0) } }
            guard let top else { return .failed("the chain does not lead to the CA in \(directory)") }
            return .ok("the chain leads to \(top.subject)")
        }
        do {
            var verifier = CertificateVerifier(anchors: anchors)
            verifier.isStrict = false
            let path = try verifier.path(for: certificate, intermediates: intermediates, at: now)
            return .ok("the chain leads to \(path.last?.subject.description ?? "")")
        } catch {
            return .failed("the chain does not lead to the CA in \(directory): \(error.message)")
        }
    }

    private func checkStanding(_ identity: Identity) throws -> Check {
        guard let (certificate, standing) = try identity.knownFinding(in: directory), let finding = standing.finding
        else {
            return .ok("not revoked, as far as the certificate's directory knows")
        }
        let text = "\(certificate.subject), serial \(certificate.serialNumber.hexadecimal), \(finding)"
        guard standing.revocation != nil else {
            return .warning(text, hint: "use the new certificate")
        }
        return .failed(text)
    }

    private func checkSignature(_ access: CheckedAccess) throws -> Check {
        let request = try (access.endpoint == nil ? nil : access.request).orSkip("the settings are not complete")
        let identity = try access.identity.orSkip("there is no key that belongs to a certificate")
        let signed = try access.client(for: request).signedRequest(for: request, as: identity)
        let parts = (signed.request.headers["Authorization"] ?? "").split(separator: "Signature=")
        let digits = Array((parts.count == 2 ? parts[1] : "").utf8)
        let signature = stride(from: 0, to: digits.count & ~1, by: 2).compactMap { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)
        }
        let text = Array(signed.stringToSign.utf8)
        guard identity.certificate.publicKey.isValid(signature: signature, for: text, digest: .sha256) else {
            return .failed(
                "a signature of the key does not match the certificate's public key",
                hint: "check the token, TPM or agent that holds the key")
        }
        let algorithm = RequestSignature.name(for: identity.key.publicKey.algorithm) ?? ""
        return .ok("\(algorithm), verified with the certificate's public key; nothing was sent")
    }
}
