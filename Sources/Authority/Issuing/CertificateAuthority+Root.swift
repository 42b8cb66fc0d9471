// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

extension CertificateAuthority {
    /// Creates a root CA in a directory, which is created with mode 0700 if it does not exist. `who` is the user in the
    /// audit.
    public static func create(
        in directory: String, _ request: RootRequest, by who: String = "", now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> IssuedCertificate {
        if !request.archivesExisting, let directory = try? CADirectory(path: directory, for: .reading) {
            try directory.checkDoesNotExist(
                AuthorityFiles.key(of: rootName), AuthorityFiles.keyAddress(of: rootName),
                AuthorityFiles.certificate(of: rootName))
        }
        let root = try prepareRoot(request, now: now, using: &generator)
        // Nothing has been written yet: an error leaves no empty directory behind.
        let directory = try CADirectory(path: directory, for: .writing, creates: true)
        let inventory = try Inventory(directory: directory, by: who, now: now)
        return try inventory.commit(root, now: now)
    }

    /// Creates a root's key and certificate without changing the directory. `check` is called with every certificate,
    /// the last of which is the root's.
    static func prepareRoot<Generator: RandomNumberGenerator>(
        _ request: RootRequest, now: Date, using generator: inout Generator,
        check: (Certificate, inout Generator) throws -> Void = { _, _ in }
    ) throws -> PreparedCertificate {
        let template = request.template
        let subject = request.subject ?? template.subject
        guard !subject.isEmpty else {
            throw AuthorityError(
                .invalidRequest, "the CA has no subject", hint: "give one: --subject \"CN=Example Root\"")
        }
        if !request.allowsInsecureNames { try NamePolicy.checkText(subject) }
        if let length = request.pathLength, !(0...255).contains(length) {
            throw AuthorityError(.invalidValue, "the path length \(length) is not 0 to 255")
        }
        let end = try (request.lifetime ?? .days(template.days)).end(from: now)

        func certificate(by key: any SigningKey) throws -> Certificate {
            let parameters = CertificateParameters(
                serialNumber: .random(using: &generator), subject: subject, publicKey: key.publicKey,
                notBefore: now.addingTimeInterval(-Lifetime.backdating), notAfter: end, template: template,
                pathLength: request.pathLength, nameConstraints: request.nameConstraints)
            let certificate = try parameters.selfSigned(by: key)
            try ClientPolicy.checkAuthority(certificate, from: template)
            _ = try CertificateVerifier(anchors: [certificate]).path(for: certificate, at: now)
            try check(certificate, &generator)
            return certificate
        }
        // The request is first checked with another key, because a key that is created in a token stays there.
        if request.externalKey != nil { _ = try certificate(by: PrivateKey(generating: .ecP256)) }
        let key: any SigningKey
        let place: PreparedCertificate.Key
        if let external = request.externalKey {
            key = try external.opened(as: request.keyType)
            place = .elsewhere(external.address)
        } else {
            let made = try PrivateKey(generating: request.keyType ?? template.keyType)
            key = made
            place = try .made(made, for: rootName, passphrase: request.passphrase)
        }
        let root = try certificate(by: key)
        return PreparedCertificate(
            name: rootName, certificate: root, profile: template.profile, template: template,
            lifetime: end.timeIntervalSince(now), issuerKey: root.publicKey.digest, key: place, chain: [],
            archivesExisting: request.archivesExisting, action: .create)
    }
}

/// The roots during a rotation.
public struct RootRotation: Sendable {
    /// The new root.
    public let root: IssuedCertificate
    /// The cross-certificate: the new root's key and name, certified by the previous root, for verifiers that trust
    /// only that.
    public let cross: IssuedCertificate
    /// The path of the previous root's certificate.
    public let previousPath: String
}

extension CertificateAuthority {
    /// Starts to replace this root by a new one. Both are trusted until ``Inventory/finishRotation(force:now:)``.
    ///
    /// The new root gets the files `root-…`, and the old one's become `root-previous-…`. The chains of new certificates
    /// contain the cross-certificate, so that verifiers with only the old root accept them. By default the new root has
    /// the old one's subject.
    public func rotate(
        to request: RootRequest, crossTemplate: CertificateTemplate, now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> RootRotation {
        guard name == Self.rootName, certificate.isSelfIssued else {
            throw AuthorityError(.invalidRequest, "\(name) is not a root; only roots can be rotated")
        }
        let previousName = Self.previousRootName
        guard !directory.contains(AuthorityFiles.certificate(of: previousName)) else {
            throw AuthorityError(
                .exists, "a rotation is in progress: \(directory.certificatePath(of: previousName)) exists",
                hint: "finish it first: pki rotate-ca --finish \(directory.option)")
        }
        try checkProtection(of: request)
        var request = request
        request.archivesExisting = false
        if request.subject == nil { request.subject = certificate.subject }
        if request.lifetime == nil, let old = try inventory.withDatabase({ try $0.current(name) }).first {
            request.lifetime = .until(now.addingTimeInterval(old.wantedLifetime))
        }
        var cross: PreparedCertificate?
        var root = try Self.prepareRoot(request, now: now, using: &generator) { root, generator in
            cross = try crossCertificate(of: root, from: crossTemplate, now: now, using: &generator)
        }
        root.action = .rotate
        root.detail = "replaces \(certificate.serialNumber)"
        if let reach = crossPathLength(of: root.certificate),
            reach < root.certificate.basicConstraints?.pathLength ?? .max
        {
            root.notices.append(
                "the old root allows no CAs below a root with another name: add the new root in AWS before renewing below them"
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
                    // Also for a key file that is stored elsewhere.
                    keyFile: entry.keyFile.map {
                        AuthorityFiles.isAddress($0) ? $0 : AuthorityFiles.key(of: previousName)
                    },
                    chainFile: nil
                )
            }
            let madeRoot = try root.commit(to: &change)
            guard let cross = try cross?.commit(to: &change) else {
                throw AuthorityError(.invalidRequest, "the new root was not certified by the old one")
            }
            return RootRotation(
                root: madeRoot, cross: cross,
                previousPath: directory.certificatePath(of: previousName))
        }
    }

    /// Refuses to replace an encrypted key, or one in a token, by a plain file.
    private func checkProtection(of request: RootRequest) throws {
        guard request.externalKey == nil, request.passphrase == nil else { return }
        guard key is PrivateKey else {
            throw AuthorityError(
                .policy,
                "the old root's key is in a device or an agent, but the new one's would be an unencrypted file",
                hint: "use a key in a token with --key ADDRESS, or encrypt the file with --key-passphrase-file FILE")
        }
        guard try !inventory.hasEncryptedKey(name) else {
            throw AuthorityError(
                .policy, "the old root's key is encrypted, but the new one's would not be",
                hint: "give a passphrase for the new key: --key-passphrase-file FILE")
        }
    }

    private func crossCertificate(
        of root: Certificate, from template: CertificateTemplate, now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> PreparedCertificate {
        let made = try certificate(
            CertificateParameters(
                serialNumber: .random(using: &generator), subject: root.subject, publicKey: root.publicKey,
                notBefore: notBefore(from: now), notAfter: min(root.notAfter, certificate.notAfter), template: template,
                pathLength: crossPathLength(of: root), nameConstraints: root.nameConstraints ?? NameConstraints()),
            now: now,
            // The names of the root have been checked.
            allowsInsecureNames: true
        ) { made in try ClientPolicy.checkAuthority(made, from: template) }
        return PreparedCertificate(
            name: Self.crossName, certificate: made, profile: template.profile, template: template,
            lifetime: made.notAfter.timeIntervalSince(now), issuerKey: certificate.publicKey.digest, key: .foreign,
            chain: [], archivesExisting: true, action: .issue, detail: "the new root, certified by the previous one")
    }

    /// The new root's path length, reduced to that which the old root allows below it. Self-issued certificates do not
    /// count (RFC 5280 §6.1.4).
    private func crossPathLength(of root: Certificate) -> Int? {
        let own = root.basicConstraints?.pathLength
        guard let limit = certificate.basicConstraints?.pathLength else { return own }
        let allowed = root.subject == certificate.subject ? limit : max(limit - 1, 0)
        return min(own ?? allowed, allowed)
    }
}

extension Inventory {
    /// Finishes the rotation: the previous root and the cross-certificate go to the archive. Returns their paths.
    /// Unless forced, it is an error while certificates of the previous root are valid.
    public func finishRotation(force: Bool, now: Date) throws -> [String] {
        let previousName = CertificateAuthority.previousRootName
        return try change(now: now) { change in
            guard let previous = try change.records.current(previousName).first else {
                throw AuthorityError(
                    .missing, "no rotation is in progress in \(directory.path)",
                    hint: "start one: pki rotate-ca \(directory.option)")
            }
            let used = try change.records.issued(byKey: previous.subjectKey).filter { entry in
                guard !entry.isSelfSigned, entry.name != CertificateAuthority.crossName,
                    entry.status(at: now) == .valid
                else { return false }
                // A server makes its own again when it starts with the new root.
                return try !change.records.isEnrolled(entry, by: OwnCertificate.proof)
            }
            guard used.isEmpty || force else {
                let names = used.map(\.name).sortedNaturally().prefix(5).joined(separator: ", ")
                let more = used.count > 5 ? " and \(used.count - 5) more" : ""
                throw AuthorityError(
                    .policy, "certificates of the previous root are still valid: \(names)\(more)",
                    hint: "renew them below the new root: pki renew --all --issuer \(previousName); or use --force")
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
                        of: entry.id, .replaced, certificateFile: files[entry.certificateFile] ?? entry.certificateFile,
                        keyFile: entry.keyFile.map { files[$0] ?? $0 }, chainFile: nil)
                }
            }
            if let root = try change.records.current(CertificateAuthority.rootName).first {
                try change.refreshChains(below: [root.subjectKey])
            }
            try change.audit(.rotate, previousName, previous.serialNumber, detail: "finished")
            return archived
        }
    }
}
