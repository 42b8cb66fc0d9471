// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

extension CertificateAuthority {
    /// Issues a certificate to a client, a server or a peer.
    public func issue(
        _ request: ClientRequest, now: Date, using generator: inout some RandomNumberGenerator
    ) throws -> IssuedCertificate {
        try ClientPolicy.check(request)
        try checkIsNotRevoked()
        if !request.archivesExisting { try directory.checkDoesNotExist(AuthorityFiles.certificate(of: request.name)) }
        let random = Self.random(for: request, using: &generator)
        return try inventory.commit(prepare(request, random, now: now), now: now)
    }

    /// Refuses to issue when this CA is revoked, before a key is made.
    func checkIsNotRevoked() throws {
        try inventory.withDatabase { try $0.refuseRevokedAuthority(withKey: certificate.publicKey.digest) }
    }

    /// The serial number, and the passphrase of a PKCS#12 file if one is created. They are generated before threads
    /// share the work.
    static func random(
        for request: ClientRequest, using generator: inout some RandomNumberGenerator
    ) -> (serialNumber: SerialNumber, passphrase: SecretBytes?) {
        let serialNumber = SerialNumber.random(using: &generator)
        return (serialNumber, request.bundle == nil ? nil : GeneratedPassphrase.make(using: &generator))
    }

    /// Creates a key and a certificate without changing the directory.
    func prepare(
        _ request: ClientRequest, _ random: (serialNumber: SerialNumber, passphrase: SecretBytes?), now: Date,
        verifiesPath: Bool = true
    ) throws -> PreparedCertificate {
        try ClientPolicy.check(request)
        let review = try ClientPolicy.review(request)
        var notices = review.notices
        let end = try end(
            request.lifetime, template: request.template, from: now, shortens: request.endsWithAuthority,
            notices: &notices)
        let key =
            try request.certificateRequest == nil
            ? PrivateKey(generating: request.keyType ?? request.template.keyType) : nil
        guard let publicKey = key?.publicKey ?? request.certificateRequest?.publicKey else {
            throw AuthorityError(.invalidRequest, "the request has no key")
        }
        if let certificateRequest = request.certificateRequest { try refuseAuthorityKey(of: certificateRequest) }
        var parameters = CertificateParameters(
            serialNumber: random.serialNumber, subject: review.subject, publicKey: publicKey,
            notBefore: notBefore(from: now), notAfter: end.date, template: request.template,
            subjectAlternativeNames: review.names)
        parameters.statusAddresses = request.statusURL.map(statusAddresses)
        let certificate = try certificate(
            parameters, now: now, allowsInsecureNames: request.allowsInsecureNames, verifiesPath: verifiesPath
        ) { made in try ClientPolicy.check(made, from: request.template) }
        var bundle: [CADirectory.PlannedFile] = []
        if let encryption = request.bundle, let key, let passphrase = random.passphrase {
            var archive = try PKCS12Archive(
                key: key, certificate: certificate, chain: chain, friendlyName: request.name, encryption: encryption)
            archive.hasRandomPassphrase = true
            bundle = [
                .init(
                    name: AuthorityFiles.bundle(of: request.name),
                    contents: try archive.encoded(passphrase: passphrase), mode: 0o600),
                .init(name: AuthorityFiles.bundlePassphrase(of: request.name), contents: passphrase, mode: 0o600),
            ]
        }
        return PreparedCertificate(
            name: request.name, certificate: certificate, profile: request.template.profile, template: request.template,
            lifetime: end.wanted.timeIntervalSince(now), issuerKey: self.certificate.publicKey.digest,
            key: try key.map { try .made($0, for: request.name, passphrase: request.passphrase) } ?? .foreign,
            bundle: bundle, chain: chain, archivesExisting: request.archivesExisting, notices: notices)
    }

    /// Refuses a request with the key of a CA.
    private func refuseAuthorityKey(of request: CertificateRequest) throws {
        let key = request.publicKey
        guard !(chain + anchors + [certificate]).contains(where: { $0.publicKey == key }),
            try inventory.reading({ try $0.authority(withKey: key.digest) }) == nil
        else {
            throw AuthorityError(.policy, "the key in \(request.name) is that of a CA", hint: "make another key")
        }
    }

    /// What `pki serve-ca` serves below a URL about this CA.
    private func statusAddresses(below url: String) -> StatusAddresses {
        let hasList = certificate.keyUsage?.contains(.crlSign) ?? true
        return StatusAddresses(
            responder: "\(url)/ocsp", issuer: "\(url)/ca/\(name).cer",
            revocationList: hasList ? "\(url)/crl/\(name).crl" : nil)
    }

    /// Signs a certificate, and checks it and its path to the root.
    ///
    /// Without name constraints, the path of a certificate that differs from another only in key, names and serial
    /// number need not be verified again.
    func certificate(
        _ parameters: CertificateParameters, now: Date, allowsInsecureNames: Bool, verifiesPath: Bool = true,
        check: (Certificate) throws -> Void
    ) throws -> Certificate {
        if !allowsInsecureNames {
            try NamePolicy.checkText(parameters.subject, parameters.subjectAlternativeNames)
        }
        let certificate = try parameters.signed(by: key, issuer: self.certificate)
        // The template may have added names.
        try NamePolicy.checkConstraints(
            parameters.subject, certificate.subjectAlternativeNames,
            below: [self.certificate] + chain + anchors.filter { $0 != self.certificate && !chain.contains($0) })
        try check(certificate)
        guard verifiesPath else { return certificate }
        let verifier = CertificateVerifier(anchors: anchors)
        do {
            _ = try verifier.path(for: certificate, intermediates: chain, at: now)
        } catch {
            if let root = anchors.first, let objection = CertificateVerifier.objection(toRoot: root) {
                throw AuthorityError(
                    .broken, "nothing can be issued below the root \(printable("\(root.subject)")), which \(objection)",
                    hint: "make its certificate again, with the same key: pki renew root \(directory.option)")
            }
            let isOwnFault = (try? verifier.path(for: self.certificate, intermediates: chain, at: now)) == nil
            let names =
                Set([GeneralName.directory(parameters.subject)] + certificate.subjectAlternativeNames).map(
                    \.description
                ).sorted()
            throw AuthorityError(
                isOwnFault ? .broken : .policy,
                "the CA \(certificatePath) may not issue a certificate for \(names.joined(separator: ", ")): \(error.message)",
                hint: "show the CA's constraints: pki inspect \(Quoting.shell(certificatePath))")
        }
        return certificate
    }

    /// The start of validity: a few minutes before now, but not before the CA's.
    func notBefore(from now: Date) -> Date {
        max(now.addingTimeInterval(-Lifetime.backdating), certificate.notBefore)
    }

    /// The end of validity, and the requested end, which a renewal may reach after the CA has been renewed.
    typealias End = (date: Date, wanted: Date)

    /// The requested end of validity, which must not be after the CA's unless it may be shortened; or the template's, shortened to
    /// the CA's.
    func end(
        _ lifetime: Lifetime?, template: CertificateTemplate, from now: Date, shortens: Bool = false,
        notices: inout [String]
    ) throws -> End {
        let limit = certificate.notAfter
        guard let lifetime else {
            let days = try template.days
            let end = try Lifetime.days(days).end(from: now)
            if end > limit {
                notices.append(
                    "the certificate expires with its CA, at \(timestamp(limit)), before the template's \(days) days")
            }
            return (min(end, limit), end)
        }
        let end = try lifetime.end(from: now)
        guard end <= limit || shortens else {
            let days = Int(limit.timeIntervalSince(now) / 86400)
            throw AuthorityError(
                .policy,
                "the certificate would expire at \(timestamp(end)), after its CA \(certificatePath) at \(timestamp(limit))",
                hint: days > 0 ? "use at most --days \(days)" : "create a new CA: pki init-ca --force")
        }
        return (min(end, limit), end)
    }
}

extension CertificateAuthority {
    /// Issues the certificate of an intermediate CA, with a new key or an existing one.
    public func issue(
        _ request: IntermediateRequest, now: Date, using generator: inout some RandomNumberGenerator
    ) throws -> IssuedCertificate {
        try EntryName.checkNew(request.name)
        try checkIsNotRevoked()
        if !request.archivesExisting {
            try directory.checkDoesNotExist(AuthorityFiles.certificate(of: request.name))
            if request.key.bringsKey {
                try directory.checkDoesNotExist(
                    AuthorityFiles.key(of: request.name), AuthorityFiles.keyAddress(of: request.name))
            }
        }
        var notices: [String] = []
        let pathLength = try pathLength(of: request)
        let subject = try subject(of: request, notices: &notices)
        let end = try end(request.lifetime, template: request.template, from: now, notices: &notices)

        func certificate(for publicKey: PublicKey) throws -> Certificate {
            try self.certificate(
                CertificateParameters(
                    serialNumber: .random(using: &generator), subject: subject, publicKey: publicKey,
                    notBefore: notBefore(from: now), notAfter: end.date, template: request.template,
                    pathLength: pathLength, nameConstraints: request.nameConstraints), now: now,
                allowsInsecureNames: request.allowsInsecureNames
            ) { made in try ClientPolicy.checkAuthority(made, from: request.template) }
        }
        let publicKey: PublicKey
        let key: PreparedCertificate.Key
        switch request.key {
        case .newKey(let type):
            let made = try PrivateKey(generating: type ?? request.template.keyType)
            publicKey = made.publicKey
            key = try .made(made, for: request.name, passphrase: request.passphrase)
        case .externalKey(let external, let type):
            // The request is first checked with another key, because a key that is created in a token stays there.
            _ = try certificate(for: PrivateKey(generating: .ecP256).publicKey)
            publicKey = try external.opened(as: type).publicKey
            key = .elsewhere(external.address)
        case .request(let certificateRequest):
            try ClientPolicy.check(certificateRequest.publicKey, in: certificateRequest.name)
            publicKey = certificateRequest.publicKey
            key = .foreign
        case .crossCertificate(let other):
            publicKey = other.publicKey
            key = .foreign
        }
        let prepared = PreparedCertificate(
            name: request.name, certificate: try certificate(for: publicKey), profile: request.template.profile,
            template: request.template, lifetime: end.wanted.timeIntervalSince(now),
            issuerKey: self.certificate.publicKey.digest, key: key, chain: chain,
            archivesExisting: request.archivesExisting, notices: notices)
        return try inventory.commit(prepared, now: now)
    }

    private func subject(of request: IntermediateRequest, notices: inout [String]) throws -> DistinguishedName {
        if case .crossCertificate(let other) = request.key {
            guard other.isCA else {
                throw AuthorityError(.policy, "\(other.subject) is not a CA; only CAs can be cross-certified")
            }
            guard request.subject == nil else {
                throw AuthorityError(
                    .invalidRequest, "a cross-certificate has the subject of the certified CA; no other can be given")
            }
            return other.subject
        }
        let subject = try request.subject ?? request.template.subject.replacingCommonName(with: request.name)
        guard case .request(let certificateRequest) = request.key, !certificateRequest.subject.isEmpty else {
            return subject
        }
        let requested = try DistinguishedName(relativeNames: certificateRequest.subject.relativeNames)
        if request.subject == nil, request.acceptsRequestedSubject { return requested }
        if requested != subject {
            notices.append(
                "\(printable(certificateRequest.name)) requests the subject \(printable(terminalSafe("\(requested)"))); "
                    + "the certificate has \(subject); use --accept-subject to accept it")
        }
        return subject
    }

    /// The requested path length, which the issuer must allow; `nil` for the template's, reduced to the issuer's.
    private func pathLength(of request: IntermediateRequest) throws(AuthorityError) -> Int? {
        let limit = certificate.basicConstraints?.pathLength
        if let limit, limit == 0 {
            throw AuthorityError(
                .policy, "the CA \(certificatePath) cannot have a CA below it: its path length is 0",
                hint: "use another issuer, or create a root: pki init-ca --path-length 1")
        }
        guard let length = request.pathLength else { return nil }
        guard (0...255).contains(length) else {
            throw AuthorityError(.invalidValue, "the path length \(length) is not 0 to 255")
        }
        if let limit, length >= limit {
            throw AuthorityError(
                .policy,
                "the path length \(length) is not below that of the CA \(certificatePath), \(limit)",
                hint: "use at most --path-length \(limit - 1)")
        }
        return length
    }
}
