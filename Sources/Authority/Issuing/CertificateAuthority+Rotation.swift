// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

/// The two roots while one replaces the other.
public struct RootRotation: Sendable {
    /// The new root.
    public let root: IssuedCertificate
    /// The new root's key and name, certified by the previous root, for those who trust only that one yet.
    public let cross: IssuedCertificate
    /// The path of the previous root's certificate.
    public let previousPath: String
}

extension CertificateAuthority {
    /// Begins the replacement of this root by a new one. Both are trusted until ``Inventory/finishRotation(force:now:)``.
    ///
    /// The new root takes the files `root-…`; the old one's become `root-previous-…`. What is issued from now on carries the
    /// cross-certificate in its chain, so that it is accepted where only the old root is known.
    ///
    /// - Parameters:
    ///   - request: What the new root is to be. Without a subject it has the old one's, and everything else from the
    ///     template.
    ///   - crossTemplate: What the cross-certificate's extensions come from.
    ///   - now: The moment of issue.
    ///   - generator: The source of the serial numbers' random bits.
    /// - Returns: What was made.
    /// - Throws: ``AuthorityError`` when a rotation is under way already; nothing is left half made.
    public func rotate(
        to request: RootRequest,
        crossTemplate: CertificateTemplate,
        now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> RootRotation {
        guard name == Self.rootName, certificate.isSelfIssued else {
            throw AuthorityError(.invalidRequest, "\(name) is not a root, and only roots are rotated")
        }
        let previousName = Self.previousRootName
        guard !directory.contains(AuthorityFiles.certificate(of: previousName)) else {
            throw AuthorityError(
                .exists,
                "a rotation is under way: \(directory.path(of: AuthorityFiles.certificate(of: previousName))) is there, and AWS takes two roots at the most",
                hint: "finish it first: pki rotate-ca --finish --directory \(Quoting.shell(directory.path))"
            )
        }
        try checkProtection(of: request)
        var request = request
        request.archivesExisting = false
        if request.subject == nil { request.subject = certificate.subject }
        var cross: PreparedCertificate?
        var root = try Self.prepareRoot(request, now: now, using: &generator) { root, generator in
            cross = try crossCertificate(of: root, from: crossTemplate, now: now, using: &generator)
        }
        root.action = .rotate
        root.detail = "in place of \(certificate.serialNumber)"
        if let reach = crossPathLength(of: root.certificate),
            reach < root.certificate.basicConstraints?.pathLength ?? .max
        {
            root.notices.append(
                "the old root does not let CAs stand below a new root of another name: what they issue is trusted only where the new root is, so give AWS both before renewing them"
            )
        }
        return try inventory.change(now: now) { change in
            try change.checkDoesNotExist(AuthorityFiles.certificate(of: previousName))
            let old = try change.records.current(Self.rootName)
            for (from, to) in [
                (AuthorityFiles.key(of: Self.rootName), AuthorityFiles.key(of: previousName)),
                (AuthorityFiles.keyAddress(of: Self.rootName), AuthorityFiles.keyAddress(of: previousName)),
                (AuthorityFiles.revocationList(of: Self.rootName), AuthorityFiles.revocationList(of: previousName)),
                (AuthorityFiles.certificate(of: Self.rootName), AuthorityFiles.certificate(of: previousName)),
            ] where change.contains(from) {
                change.move(from, to: to)
            }
            for entry in old {
                try change.records.setName(of: entry.id, previousName)
                try change.records.setPlace(
                    of: entry.id,
                    .current,
                    certificateFile: AuthorityFiles.certificate(of: previousName),
                    // A file that is not here would have this name.
                    keyFile: entry.keyFile.map {
                        AuthorityFiles.isAddress($0) ? $0 : AuthorityFiles.key(of: previousName)
                    },
                    chainFile: nil
                )
            }
            var names = CommonNames()
            let madeRoot = try root.commit(to: &change, in: directory, &names)
            guard let cross = try cross?.commit(to: &change, in: directory, &names) else {
                throw AuthorityError(.invalidRequest, "the new root was not certified by the old one")
            }
            return RootRotation(
                root: madeRoot,
                cross: cross,
                previousPath: directory.path(of: AuthorityFiles.certificate(of: previousName))
            )
        }
    }

    /// A key that nobody could read is not followed by one that lies open in the directory, unless that is asked for.
    private func checkProtection(of request: RootRequest) throws {
        guard request.externalKey == nil, request.passphrase == nil else { return }
        guard key is PrivateKey else {
            throw AuthorityError(
                .policy,
                "the old root's key is in a device or an agent, and the new one's would be a file that is not encrypted",
                hint: "--key PLACE uses one that is there, with --generate-key it is made in the token; "
                    + "--key-passphrase-file FILE makes an encrypted file"
            )
        }
        guard try !inventory.hasEncryptedKey(name) else {
            throw AuthorityError(
                .policy,
                "the old root's key is encrypted, and the new one's would not be",
                hint: "give a passphrase for the new key: --key-passphrase-file FILE"
            )
        }
    }

    /// The new root, certified by this one.
    private func crossCertificate(
        of root: Certificate,
        from template: CertificateTemplate,
        now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> PreparedCertificate {
        let made = try certificate(
            CertificateParameters(
                serialNumber: .random(using: &generator),
                subject: root.subject,
                publicKey: root.publicKey,
                notBefore: max(now.addingTimeInterval(-Lifetime.backdating), certificate.notBefore),
                notAfter: min(root.notAfter, certificate.notAfter),
                template: template,
                pathLength: crossPathLength(of: root),
                nameConstraints: root.nameConstraints ?? NameConstraints()
            ),
            now: now,
            // The root itself has just been checked.
            allowsInsecureNames: true
        ) { made in try AuthorityPolicy.check(made, from: template) }
        return PreparedCertificate(
            name: Self.crossName,
            certificate: made,
            profile: template.profile,
            template: template,
            lifetime: made.notAfter.timeIntervalSince(now),
            issuerKey: certificate.publicKey.digest,
            key: .foreign,
            chain: [],
            archivesExisting: true,
            action: .issue,
            detail: "the new root, certified by the previous one"
        )
    }

    /// As long as the new root's own path, and no longer than the old root allows below it. A certificate from a CA of the
    /// same name does not count (RFC 5280 §6.1.4).
    private func crossPathLength(of root: Certificate) -> Int? {
        let own = root.basicConstraints?.pathLength
        guard let limit = certificate.basicConstraints?.pathLength else { return own }
        let allowed = root.subject == certificate.subject ? limit : max(limit - 1, 0)
        return min(own ?? allowed, allowed)
    }
}

extension Inventory {
    /// Ends the replacement of a root: the previous one and the cross-certificate go to the archive.
    ///
    /// - Parameters:
    ///   - force: Whether to end it although certificates of the previous root are still good.
    ///   - now: The moment.
    /// - Returns: Where the files went.
    /// - Throws: ``AuthorityError`` when no rotation is under way, or certificates of the previous root are still good.
    public func finishRotation(force: Bool, now: Date) throws -> [String] {
        let previousName = CertificateAuthority.previousRootName
        return try change(now: now) { change in
            guard let previous = try change.records.current(previousName).first else {
                throw AuthorityError(
                    .missing,
                    "no rotation is under way in \(directory.path)",
                    hint: "begin one with: pki rotate-ca --directory \(Quoting.shell(directory.path))"
                )
            }
            let used = try change.records.issued(byKey: previous.subjectKey)
                .filter {
                    !$0.isSelfSigned && $0.name != CertificateAuthority.crossName && $0.status(at: now) == .valid
                }
            guard used.isEmpty || force else {
                let names = used.prefix(5).map(\.name).joined(separator: ", ")
                throw AuthorityError(
                    .policy,
                    "what the previous root issued is still good and would be trusted no longer: \(names)\(used.count > 5 ? " and \(used.count - 5) more" : "")",
                    hint:
                        "renew them under the new root first: pki renew --all --issuer \(previousName); or insist with --force"
                )
            }
            var archived: [String] = []
            for name in [previousName, CertificateAuthority.crossName] {
                var files: [String: String] = [:]
                for file in [
                    AuthorityFiles.key(of: name), AuthorityFiles.keyAddress(of: name),
                    AuthorityFiles.certificate(of: name), AuthorityFiles.revocationList(of: name),
                    AuthorityFiles.chain(of: name),
                ] {
                    guard let moved = try change.archive(file) else { continue }
                    files[file] = moved
                    archived.append(directory.path(of: moved))
                }
                for entry in try change.records.current(name) {
                    try change.records.setPlace(
                        of: entry.id,
                        .replaced,
                        certificateFile: files[entry.certificateFile] ?? entry.certificateFile,
                        keyFile: entry.keyFile.map { files[$0] ?? $0 },
                        chainFile: nil
                    )
                }
            }
            if let root = try change.records.current(CertificateAuthority.rootName).first {
                var files = ChainFiles()
                try files.refresh(below: [root.subjectKey], in: &change)
            }
            try change.audit(.rotate, previousName, previous.serialNumber, detail: "finished")
            return archived
        }
    }
}
