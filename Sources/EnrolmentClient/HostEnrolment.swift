// SPDX-License-Identifier: Apache-2.0

package import Authority
package import Certificates
package import Enrolment
package import FoundationEssentials
package import RolesAnywhere
package import SystemSupport

/// Gets certificates for a host from a server, and renews them.
///
/// The key and its request are on the disk before anything is asked, and the answer is before a file is replaced: a run that
/// was interrupted at any time is taken up by the next, with the same key.
package struct HostEnrolment: Sendable {
    package let files: IdentityFiles
    /// The clock.
    package var now: @Sendable () -> Date
    /// Lets time pass while a person decides.
    package var sleep: @Sendable (Duration) -> Void
    /// Is told what the user waits for.
    package var report: @Sendable (String) -> Void

    package init(
        _ files: IdentityFiles, now: @escaping @Sendable () -> Date, sleep: @escaping @Sendable (Duration) -> Void,
        report: @escaping @Sendable (String) -> Void
    ) {
        (self.files, self.now, self.sleep, self.report) = (files, now, sleep, report)
    }

    // MARK: - By a token

    /// What a host asks for.
    package struct Wish: Sendable {
        package var names: [GeneralName] = []
        /// `nil` for the usual one.
        package var keyType: KeyType?
        /// Encrypts the key's file.
        package var passphrase: SecretBytes?
        /// The key in a device; `nil` for one in a file.
        package var device: DeviceKey?
        /// How long to wait for a person.
        package var wait: Duration = .seconds(600)

        package init() {}
    }

    /// A key in a token, a TPM or an agent.
    package struct DeviceKey: Sendable {
        /// Where it is, without a secret.
        package var address: String
        /// Opens it.
        package var open: @Sendable () throws -> any SigningKey
        /// Opens it when nothing was asked for yet: it may have to be made first.
        package var make: @Sendable () throws -> any SigningKey

        package init(
            address: String, open: @escaping @Sendable () throws -> any SigningKey,
            make: @escaping @Sendable () throws -> any SigningKey
        ) {
            (self.address, self.open, self.make) = (address, open, make)
        }
    }

    /// Gets a certificate for the files' name. Nothing is overwritten; if there is a valid one for the same names already, nothing
    /// is asked.
    package func enrol(at server: HTTPURL, with token: TokenText, _ wish: Wish) throws -> IssuedCertificate {
        let lock = try files.lock()
        defer { files.unlock(lock) }
        let kept = try EnrolmentDraft.read(files.name, in: files.directory, passphrase: wish.passphrase)
        if let kept { try check(kept, is: wish, of: token) }
        var draft = kept
        if draft?.answer == nil {
            if kept == nil, let done = try files.existing(wish, below: token.fingerprint, at: now()) {
                report(
                    "\(printable(files.certificatePath)) is valid until "
                        + "\(CivilTime(done.certificate.notAfter).extended); nothing was asked")
                return done
            }
            try files.requireNew()
            let client = try ESTClient(server, fingerprint: token.fingerprint)
            try files.requireRoot(client.root)
            var new = try draft ?? self.draft(wish)
            if kept == nil { try write(&new, wish.passphrase) }
            let answer = try ask(client, for: new, as: .token(token), wait: wish.wait)
            try write(&new, wish.passphrase, answer)
            draft = new
        }
        guard let draft, let answer = draft.answer else { throw RolesAnywhereError(.malformedAnswer, "no answer") }
        try files.requireRoot(answer.root)
        let issued =
            if let device = wish.device {
                try files.place(answer, keyAt: device.address)
            } else if let key = draft.key {
                try files.place(answer, key: key, passphrase: wish.passphrase)
            } else {
                throw RolesAnywhereError(.unusableIdentity, "the interrupted run has no key")
            }
        EnrolmentDraft.remove(files.name, in: files.directory)
        return issued
    }

    private func draft(_ wish: Wish) throws -> EnrolmentDraft {
        let own = wish.device == nil ? try PrivateKey(generating: wish.keyType ?? .ecP256) : nil
        guard let key: any SigningKey = try own ?? wish.device?.make() else {
            throw RolesAnywhereError(.unusableIdentity, "there is no key")
        }
        let subject = try DistinguishedName(relativeNames: [[.init(type: "CN", value: files.name)]])
        let parameters = CertificateRequestParameters(subject: subject, subjectAlternativeNames: wish.names)
        return EnrolmentDraft(key: own, request: try parameters.signed(by: key, name: "the request"))
    }

    /// Refuses to take up a run that asked for something else, or another CA: it may have been answered.
    private func check(_ draft: EnrolmentDraft, is wish: Wish, of token: TokenText) throws {
        let path = files.directory.path(of: EnrolmentDraft.fileName(of: files.name))
        func refusal(_ what: String) -> FileError {
            FileError(
                .exists, "an interrupted run asked \(what); its key and request are in \(printable(path))",
                hint: "run its command again, or give it up: rm \(Quoting.shell(path))")
        }
        guard draft.request.subject.commonName == files.name,
            Set(draft.request.subjectAlternativeNames) == Set(wish.names)
        else { throw refusal("for other names") }
        guard (draft.key == nil) == (wish.device != nil),
            try wish.device.map({ try $0.open().publicKey == draft.request.publicKey }) ?? true
        else { throw refusal("with another key") }
        if let answer = draft.answer, Digest.sha256.hash(answer.root.derEncoded) != token.fingerprint {
            throw refusal("another CA")
        }
    }

    // MARK: - By the certificate itself

    /// Renews the certificate; it is replaced by one for the same names.
    ///
    /// - Parameters:
    ///   - server: The CA's server.
    ///   - roots: By whom the server is known; `nil` for those beside the certificate, which then follow the CA's.
    ///   - keepsKey: Whether the new certificate is for the old key.
    ///   - keyType: The type of the new key; `nil` for the old one's.
    ///   - passphrase: Is asked if the key's file is encrypted; the new one is then encrypted with the same.
    package func renew(
        at server: HTTPURL, roots: [Certificate]?, keepsKey: Bool, keyType: KeyType?,
        passphrase: () throws -> SecretBytes?
    ) throws -> IssuedCertificate {
        let lock = try files.lock()
        defer { files.unlock(lock) }
        if let address = try files.keyAddress() {
            throw RolesAnywhereError(
                .unusableIdentity,
                "the key of \(printable(files.certificatePath)) is \(address), which cannot be used for TLS",
                hint: "enrol again in another directory, with a token of the CA: pki token create --replace --name "
                    + Quoting.shell(files.name))
        }
        let encoded = try files.key()
        let secret = encoded.encryption == nil ? nil : try passphrase()
        let key = try encoded.key(passphrase: secret)
        var certificates = try files.certificates()
        var draft = try EnrolmentDraft.read(files.name, in: files.directory, passphrase: secret)
        // The certificate is the last file: it is in place already, or a newer one was put there by hand.
        if let answer = draft?.answer?.certificate,
            answer == certificates[0] || answer.notBefore < certificates[0].notBefore
        {
            EnrolmentDraft.remove(files.name, in: files.directory)
            draft = nil
        }
        if draft?.answer == nil {
            guard let former = certificates.first(where: { $0.publicKey == key.publicKey }) else {
                throw RolesAnywhereError(
                    .unusableIdentity,
                    "\(printable(files.keyPath)) is not the key of \(printable(files.certificatePath))")
            }
            certificates = [former] + certificates.filter { $0 != former } + (try files.chain())
            let client = try ESTClient(server, roots: roots ?? files.roots())
            let authorities = try client.authorities()
            if roots == nil { try follow(authorities) }
            var new = try draft ?? self.draft(renewing: former, key: keepsKey ? key : nil, keyType)
            if draft == nil { try write(&new, secret) }
            do {
                let answer = try ask(
                    client, for: new, as: .certificate(certificates, key), wait: .zero, authorities: authorities)
                try write(&new, secret, answer)
            } catch let error as RolesAnywhereError where former.notAfter < now() {
                // The server does not say why it ends the connection.
                throw RolesAnywhereError(
                    error.code == .unreachable ? .denied : error.code,
                    "the certificate expired at \(CivilTime(former.notAfter).extended): \(error.message)",
                    hint:
                        "get another with a new token: pki token create --name \(Quoting.shell(files.name)), pki enrol")
            }
            draft = new
        }
        guard let draft, let answer = draft.answer else { throw RolesAnywhereError(.malformedAnswer, "no answer") }
        let isOld = draft.request.publicKey == key.publicKey
        let issued = try files.replace(
            by: answer, key: isOld ? nil : draft.key?.pemEncoded(passphrase: secret), now: now())
        EnrolmentDraft.remove(files.name, in: files.directory)
        return issued
    }

    /// Takes the CA's roots of now over: the server was verified by one of those of before. A root that the CA does not have any more
    /// is trusted no more.
    private func follow(_ authorities: [Certificate]) throws {
        let offered = authorities.filter { $0.isCA && $0.isSelfSigned && $0.isValid(at: now()) }
        let known = try files.roots()
        // Those of before go first.
        let roots = known.filter(offered.contains) + offered.filter { !known.contains($0) }
        guard !roots.isEmpty, roots != known else { return }
        try files.replaceRoots(by: roots, now: now())
        for root in roots where !known.contains(root) {
            report("the CA has a new root, \(printable("\(root.subject)", limit: 100)) (SHA-256 \(root.fingerprint))")
        }
    }

    private func draft(renewing former: Certificate, key: PrivateKey?, _ keyType: KeyType?) throws -> EnrolmentDraft {
        let key = try key ?? PrivateKey(generating: keyType ?? Self.type(of: former))
        let names = former.subjectAlternativeNames.filter { name in
            switch name {
            case .dns, .ip, .uri, .email: true
            case .directory, .other: false
            }
        }
        let parameters = CertificateRequestParameters(subject: former.subject, subjectAlternativeNames: names)
        return EnrolmentDraft(key: key, request: try parameters.signed(by: key, name: "the request"))
    }

    private static func type(of certificate: Certificate) -> KeyType {
        KeyType.allCases.first { $0.algorithm == certificate.publicKey.algorithm } ?? .ecP256
    }

    // MARK: - Both

    private func write(
        _ draft: inout EnrolmentDraft, _ passphrase: SecretBytes?, _ answer: IssuedPath? = nil
    ) throws {
        try draft.write(files.name, in: files.directory, passphrase: passphrase, answer: answer)
    }

    /// Asks until there is an answer. A draft that the server denies is given up.
    private func ask(
        _ client: ESTClient, for draft: EnrolmentDraft, as proof: ESTClient.Proof, wait: Duration,
        authorities: [Certificate]? = nil
    ) throws -> IssuedPath {
        let authorities = try authorities ?? client.authorities()
        var rest = wait
        var isFirst = true
        do {
            while true {
                switch try client.ask(for: draft.request, as: proof) {
                case .certificates(let certificates):
                    return try IssuedPath(
                        among: certificates + authorities, for: draft.request, roots: client.roots, at: now())
                case .waiting(let pause):
                    if isFirst {
                        let key = hexadecimal(draft.request.publicKey.digest)
                        report("the request for \(files.name) waits until a person approves it; key SHA-256 \(key)")
                    }
                    isFirst = false
                    guard rest > .zero else { throw Self.undecided(files.name) }
                    sleep(min(pause, rest))
                    rest -= min(pause, rest)
                }
            }
        } catch let error as RolesAnywhereError where error.code == .denied {
            EnrolmentDraft.remove(files.name, in: files.directory)
            throw RolesAnywhereError(
                error.code, error.message,
                hint: error.hint ?? "a new token is made where the CA is: pki token create --replace --name "
                    + Quoting.shell(files.name))
        }
    }

    private static func undecided(_ name: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .unavailable, "the request for \(printable(name)) still waits for approval",
            hint: "approve it where the CA is, with pki pending and pki approve, and run the same command again",
            isTransient: true)
    }
}
