// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
public import struct FoundationEssentials.Date

extension CertificateAuthority {
    /// Issues a certificate to a client, a server or a peer: to whatever is no CA.
    ///
    /// - Parameters:
    ///   - request: What the certificate is to be.
    ///   - now: The moment of issue.
    ///   - generator: The source of the serial number's random bits.
    /// - Returns: The certificate and where its files are.
    /// - Throws: ``AuthorityError`` or `CertificateError` naming the file or the rule; nothing is left half made.
    public func issue(
        _ request: ClientRequest,
        now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> IssuedCertificate {
        try ClientPolicy.check(request)
        try checkIsNotRevoked()
        if !request.archivesExisting { try directory.checkDoesNotExist(AuthorityFiles.certificate(of: request.name)) }
        let prepared = try prepare(request, IssuanceRandomness(for: request, using: &generator), now: now)
        return try inventory.change(now: now) { change in
            var names = CommonNames()
            return try prepared.commit(to: &change, in: directory, &names)
        }
    }

    /// Refuses to issue when this CA is revoked, before a key is made.
    func checkIsNotRevoked() throws {
        try inventory.withDatabase { try $0.refuseRevokedAuthority(withKey: certificate.publicKey.digest) }
    }

    /// Makes a key and a certificate without touching the directory.
    func prepare(
        _ request: ClientRequest,
        _ chance: IssuanceRandomness,
        now: Date,
        verifiesPath: Bool = true
    ) throws -> PreparedCertificate {
        try ClientPolicy.check(request)
        let review = try ClientPolicy.review(request)
        var notices = review.notices
        let end = try end(request.lifetime, template: request.template, from: now, notices: &notices)
        let key =
            try request.certificateRequest == nil
            ? PrivateKey(generating: request.keyType ?? request.template.keyType) : nil
        guard let publicKey = key?.publicKey ?? request.certificateRequest?.publicKey else {
            throw AuthorityError(.invalidRequest, "there is no key to certify")
        }
        let certificate = try certificate(
            CertificateParameters(
                serialNumber: chance.serialNumber,
                subject: review.subject,
                publicKey: publicKey,
                notBefore: max(now.addingTimeInterval(-Lifetime.backdating), self.certificate.notBefore),
                notAfter: end.date,
                template: request.template,
                subjectAlternativeNames: review.names
            ),
            now: now,
            allowsInsecureNames: request.allowsInsecureNames,
            verifiesPath: verifiesPath
        ) { made in try ClientPolicy.check(made, from: request.template) }
        var bundle: [CADirectory.PlannedFile] = []
        if let encryption = request.bundle, let key, let passphrase = chance.passphrase {
            var archive = try PKCS12Archive(
                key: key,
                certificate: certificate,
                chain: chain,
                friendlyName: request.name,
                encryption: encryption
            )
            archive.hasRandomPassphrase = true
            bundle = [
                .init(
                    name: AuthorityFiles.bundle(of: request.name),
                    contents: try archive.encoded(passphrase: passphrase),
                    mode: 0o600
                ),
                .init(name: AuthorityFiles.bundlePassphrase(of: request.name), contents: passphrase, mode: 0o600),
            ]
        }
        return PreparedCertificate(
            name: request.name,
            certificate: certificate,
            profile: request.template.profile,
            template: request.template,
            lifetime: end.wanted.timeIntervalSince(now),
            issuerKey: self.certificate.publicKey.digest,
            key: try key.map { try .made($0, for: request.name, passphrase: request.passphrase) } ?? .foreign,
            bundle: bundle,
            chain: chain,
            archivesExisting: request.archivesExisting,
            sharesCommonName: request.archivesExisting,
            notices: notices
        )
    }

    /// Signs a certificate, and checks that it is what it should be and that those who trust the root will trust it.
    ///
    /// The latter may be left out for one that differs from another only in key, names and serial number, under CAs that
    /// may certify any name.
    func certificate(
        _ parameters: CertificateParameters,
        now: Date,
        allowsInsecureNames: Bool,
        verifiesPath: Bool = true,
        check: (Certificate) throws -> Void
    ) throws -> Certificate {
        if !allowsInsecureNames {
            try NamePolicy.checkText(parameters.subject, parameters.subjectAlternativeNames)
        }
        let certificate = try parameters.signed(by: key, issuer: self.certificate)
        // A template may have brought names of its own.
        try NamePolicy.checkConstraints(
            parameters.subject,
            certificate.subjectAlternativeNames,
            below: [self.certificate] + chain + anchors.filter { $0 != self.certificate && !chain.contains($0) }
        )
        try check(certificate)
        guard verifiesPath else { return certificate }
        do {
            _ = try CertificateVerifier(anchors: anchors).path(for: certificate, intermediates: chain, at: now)
        } catch {
            let names =
                ([GeneralName.directory(parameters.subject)] + certificate.subjectAlternativeNames).map(\.description)
            throw AuthorityError(
                .policy,
                "the CA \(certificatePath) may not issue a certificate for "
                    + "\(names.joined(separator: ", ")): \(error.message)",
                hint: "see what the CA allows: openssl x509 -noout -text -in \(certificatePath)"
            )
        }
        return certificate
    }

    /// The last moment of validity.
    struct End {
        /// The moment.
        var date: Date
        /// The moment without the CA's own end: a successor may reach it when the CA has been renewed.
        var wanted: Date
    }

    /// The end of a certificate: what was asked for, refused when it lies past the CA's; or the template's, shortened to
    /// the CA's.
    func end(
        _ lifetime: Lifetime?,
        template: CertificateTemplate,
        from now: Date,
        notices: inout [String]
    ) throws -> End {
        let limit = certificate.notAfter
        guard let lifetime else {
            let days = try template.days
            let end = try Lifetime.days(days).end(from: now)
            if end > limit {
                notices.append(
                    "the certificate ends with its CA, at \(timestamp(limit)), before the template's \(days) days"
                )
            }
            return End(date: min(end, limit), wanted: end)
        }
        let end = try lifetime.end(from: now)
        guard end <= limit else {
            let days = Int(limit.timeIntervalSince(now) / 86400)
            throw AuthorityError(
                .policy,
                "the certificate would end at \(timestamp(end)), after its CA \(certificatePath), which ends at \(timestamp(limit))",
                hint: days > 0
                    ? "the longest lifetime now is --days \(days)" : "make a new CA with: pki init-ca --force"
            )
        }
        return End(date: end, wanted: end)
    }
}
