// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

extension CertificateAuthority {
    /// Makes an intermediate CA, or certifies one that is made elsewhere.
    ///
    /// - Parameters:
    ///   - request: What the CA is to be.
    ///   - now: The moment of issue.
    ///   - generator: The source of the serial number's random bits.
    /// - Returns: The CA's certificate and where its files are.
    /// - Throws: ``AuthorityError`` or `CertificateError` naming the file or the rule; nothing is left half made.
    public func issue(
        _ request: IntermediateRequest,
        now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> IssuedCertificate {
        try EntryName.checkNew(request.name)
        try checkIsNotRevoked()
        if !request.archivesExisting {
            try directory.checkDoesNotExist(AuthorityFiles.certificate(of: request.name))
            if request.key.bringsKey {
                try directory.checkDoesNotExist(
                    AuthorityFiles.key(of: request.name),
                    AuthorityFiles.keyAddress(of: request.name)
                )
            }
        }
        var notices: [String] = []
        let pathLength = try pathLength(of: request)
        let subject = try subject(of: request, notices: &notices)
        let end = try end(request.lifetime, template: request.template, from: now, notices: &notices)

        func certificate(for publicKey: PublicKey) throws -> Certificate {
            try self.certificate(
                CertificateParameters(
                    serialNumber: .random(using: &generator),
                    subject: subject,
                    publicKey: publicKey,
                    notBefore: max(now.addingTimeInterval(-Lifetime.backdating), self.certificate.notBefore),
                    notAfter: end.date,
                    template: request.template,
                    pathLength: pathLength,
                    nameConstraints: request.nameConstraints
                ),
                now: now,
                allowsInsecureNames: request.allowsInsecureNames
            ) { made in try AuthorityPolicy.check(made, from: request.template) }
        }
        let publicKey: PublicKey
        let key: PreparedCertificate.Key
        switch request.key {
        case .newKey(let type):
            let made = try PrivateKey(generating: type ?? request.template.keyType)
            publicKey = made.publicKey
            key = try .made(made, for: request.name, passphrase: request.passphrase)
        case .externalKey(let external, let type):
            // What is made in a token stays there: whatever is wrong with the request is found out by another key.
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
            name: request.name,
            certificate: try certificate(for: publicKey),
            profile: request.template.profile,
            template: request.template,
            lifetime: end.wanted.timeIntervalSince(now),
            issuerKey: self.certificate.publicKey.digest,
            key: key,
            chain: chain,
            archivesExisting: request.archivesExisting,
            sharesCommonName: request.archivesExisting,
            notices: notices
        )
        return try inventory.change(now: now) { change in
            var names = CommonNames()
            return try prepared.commit(to: &change, in: directory, &names)
        }
    }

    private func subject(of request: IntermediateRequest, notices: inout [String]) throws -> DistinguishedName {
        if case .crossCertificate(let other) = request.key {
            guard other.isCA else {
                throw AuthorityError(.policy, "\(other.subject) is not a CA, and only CAs are cross-certified")
            }
            guard request.subject == nil else {
                throw AuthorityError(.invalidRequest, "a cross-certificate has the subject of the CA that it certifies")
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
                "\(printable(certificateRequest.name)) asks for the subject \(printable(terminalSafe("\(requested)"))); "
                    + "the certificate has \(subject): --accept-subject takes the request's"
            )
        }
        return subject
    }

    /// The path length: what was asked for, refused when the issuer does not allow it; or the template's, and less where
    /// the issuer allows less.
    private func pathLength(of request: IntermediateRequest) throws(AuthorityError) -> Int? {
        let limit = certificate.basicConstraints?.pathLength
        if let limit, limit == 0 {
            throw AuthorityError(
                .policy,
                "the CA \(certificatePath) may have no CA below it: its path length is 0",
                hint: "take another issuer, or make a root with: pki init-ca --path-length 1"
            )
        }
        guard let length = request.pathLength else { return nil }
        guard (0...255).contains(length) else {
            throw AuthorityError(.invalidRequest, "a path length of \(length) is not 0 to 255")
        }
        if let limit, length >= limit {
            throw AuthorityError(
                .policy,
                "a path length of \(length) is more than the CA \(certificatePath) allows, whose own is \(limit)",
                hint: "the most is --path-length \(limit - 1)"
            )
        }
        return length
    }
}
