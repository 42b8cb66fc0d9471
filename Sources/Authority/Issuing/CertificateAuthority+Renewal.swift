// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

/// The properties of a renewed certificate.
public struct RenewalRequest: Sendable {
    /// Whether a new key is created.
    public var makesNewKey = false
    /// The kind of the new key; by default that of the old one.
    public var keyType: KeyType?
    /// The lifetime; by default that of the old certificate.
    public var lifetime: Lifetime?
    /// Encrypts the file of the new key.
    public var passphrase: SecretBytes?
    /// Whether confusable names are allowed.
    public var allowsInsecureNames = false

    /// Creates a request for a certificate with the same key, names, profile and lifetime.
    public init() {}
}

extension CertificateAuthority {
    /// Issues a certificate that replaces the current one of a name, with the same subject and alternative names. The
    /// old files go to the archive, and the name has a certificate at all times.
    public func renew(
        _ entry: InventoryEntry, _ request: RenewalRequest = RenewalRequest(), now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> IssuedCertificate {
        try checkIsRenewable(entry, request, now: now)
        try checkIsNotRevoked()
        let old = try inventory.certificate(of: entry)
        let template = try inventory.template(of: entry) ?? BuiltInTemplate(matching: old).template
        var notices: [String] = []
        let key = try request.makesNewKey ? PrivateKey(generating: request.keyType ?? type(of: old, template)) : nil
        let publicKey = key?.publicKey ?? old.publicKey
        let isRoot = old.isSelfIssued && entry.isSelfSigned
        let end = try end(of: request, replacing: entry, isRoot: isRoot, from: now, notices: &notices)
        let parameters = CertificateParameters(
            serialNumber: .random(using: &generator), subject: old.subject, publicKey: publicKey,
            notBefore: isRoot ? now.addingTimeInterval(-Lifetime.backdating) : notBefore(from: now), notAfter: end.date,
            template: template, subjectAlternativeNames: try names(of: old),
            pathLength: old.basicConstraints?.pathLength, nameConstraints: old.nameConstraints ?? NameConstraints())
        let renewed: Certificate
        if isRoot {
            renewed = try parameters.selfSigned(by: self.key)
            notices.append(
                "AWS trusts the old certificate of the root: add the new one to the trust anchor with pki print-bundle")
        } else {
            renewed = try certificate(parameters, now: now, allowsInsecureNames: request.allowsInsecureNames) { made in
                try old.isCA
                    ? ClientPolicy.checkAuthority(made, from: template) : ClientPolicy.check(made, from: template)
            }
        }
        let prepared = PreparedCertificate(
            name: entry.name, certificate: renewed, profile: entry.profile, template: template,
            lifetime: end.wanted.timeIntervalSince(now), issuerKey: certificate.publicKey.digest,
            key: try key.map { try .made($0, for: entry.name, passphrase: request.passphrase) } ?? .kept,
            chain: isRoot ? [] : chain, archivesExisting: true, notices: notices, action: .renew,
            detail: "replaces \(entry.serialNumber)\(key == nil ? "" : ", new key")")
        return try inventory.change(now: now) { change in
            let current = try change.records.current(entry.name)
            guard current.contains(where: { $0.id == entry.id }) else {
                throw AuthorityError(.exists, "\(entry.name) was renewed by another process")
            }
            let issued = try prepared.commit(to: &change)
            if old.isCA {
                try change.refreshChains(below: [entry.subjectKey])
            }
            return issued
        }
    }

    private func checkIsRenewable(_ entry: InventoryEntry, _ request: RenewalRequest, now: Date) throws {
        guard entry.place == .current else {
            throw AuthorityError(
                .invalidRequest,
                "certificate \(entry.serialNumber) is no longer the current certificate of \(entry.name)",
                hint: "renew the current one: pki renew \(entry.name) \(directory.option)")
        }
        if let revocation = entry.revocation {
            throw AuthorityError(
                .policy,
                "\(entry.name) was revoked at \(timestamp(revocation.date)) (\(revocation.reason.name)) and cannot be renewed",
                hint: revocation.reason == .certificateHold
                    ? "release it first: pki revoke --release \(entry.name)"
                    : "issue another with a new key: pki issue-client --name \(entry.name) --force")
        }
        guard request.makesNewKey else { return }
        if entry.isCA { try checkIsUnused(entry, now: now) }
        let keyName = AuthorityFiles.key(of: entry.name)
        guard directory.contains(keyName) else {
            throw AuthorityError(
                .policy, "the key of \(entry.name) is not in \(directory.path) and cannot be replaced there",
                hint: entry.keyFile == nil
                    ? "certify a request for a new key: pki issue-client --name \(entry.name) --csr FILE --force"
                    : "leave out --rekey, or create the new key in the token of the old one")
        }
        guard request.passphrase == nil else { return }
        guard try !inventory.hasEncryptedKey(entry.name) else {
            throw AuthorityError(
                .policy, "the key \(directory.path(of: keyName)) is encrypted, but the new one would not be",
                hint: "give a passphrase for the new key: --key-passphrase-file FILE")
        }
    }

    /// With another key, a CA could not be the issuer of its valid certificates, nor sign CRLs for them.
    private func checkIsUnused(_ authority: InventoryEntry, now: Date) throws {
        let used = try inventory.withDatabase { try $0.issued(byKey: authority.subjectKey) }
            .filter { !$0.isSelfSigned && $0.status(at: now) == .valid }
        guard let first = used.first else { return }
        let name = authority.name
        throw AuthorityError(
            .policy,
            "\(name) cannot get another key while certificates that it issued are valid, such as \(first.name)",
            hint: authority.isSelfSigned
                ? "replace the root: pki rotate-ca"
                : "create another CA, pki issue-intermediate --name \(name)-2, and renew its certificates below that: "
                    + "pki renew NAME --issuer \(name)-2")
    }

    private func type(of old: Certificate, _ template: CertificateTemplate) throws -> KeyType {
        try KeyType.allCases.first { $0.algorithm == old.publicKey.algorithm } ?? template.keyType
    }

    /// The requested end; otherwise by the requested lifetime of the old certificate, so that a lifetime that the CA
    /// shortened once does not stay short.
    private func end(
        of request: RenewalRequest, replacing old: InventoryEntry, isRoot: Bool, from now: Date, notices: inout [String]
    ) throws -> End {
        let former = old.wantedLifetime
        if isRoot {
            let end = try (request.lifetime ?? .until(now.addingTimeInterval(max(former, 86400)))).end(from: now)
            return (end, end)
        }
        if let lifetime = request.lifetime {
            return try end(lifetime, template: BuiltInTemplate.client.template, from: now, notices: &notices)
        }
        let wanted = try Lifetime.until(now.addingTimeInterval(max(former, 60))).end(from: now)
        if wanted > certificate.notAfter {
            notices.append(
                "the certificate expires with its CA, at \(timestamp(certificate.notAfter)), not at \(timestamp(wanted))"
            )
        }
        return (min(wanted, certificate.notAfter), wanted)
    }

    private func names(of old: Certificate) throws -> [GeneralName] {
        for case .other(let kind) in old.subjectAlternativeNames {
            throw AuthorityError(
                .policy, "the certificate has an alternative name of the kind \(kind), which pki cannot write",
                hint: "issue one with other names: pki issue-client")
        }
        return old.subjectAlternativeNames
    }
}
