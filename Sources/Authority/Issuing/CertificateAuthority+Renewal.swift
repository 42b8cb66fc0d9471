// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

/// How a certificate is renewed. By default it keeps its key, its names, its profile and its lifetime.
public struct RenewalRequest: Sendable {
    /// Whether a new key is made.
    public var makesNewKey = false
    /// The kind of the new key; without one, the old one's.
    public var keyType: KeyType?
    /// How long the new certificate is valid; without one, as long as the old one was.
    public var lifetime: Lifetime?
    /// Encrypts the file of the new key.
    public var passphrase: SecretBytes?
    /// Whether to allow names that can be mistaken for others.
    public var allowsInsecureNames = false

    /// Creates a request that changes nothing.
    public init() {}
}

extension CertificateAuthority {
    /// Issues a certificate that replaces another, which must be the current one of its name: same name, subject and
    /// alternative names. The old files go to the archive, and the name always has a certificate.
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
                "AWS knows the old root by its certificate: give the trust anchor the new one, pki print-bundle")
        } else {
            renewed = try certificate(parameters, now: now, allowsInsecureNames: request.allowsInsecureNames) { made in
                try old.isCA
                    ? ClientPolicy.checkAuthority(made, from: template) : ClientPolicy.check(made, from: template)
            }
        }
        let prepared = PreparedCertificate(
            name: entry.name,
            certificate: renewed,
            profile: entry.profile,
            template: template,
            lifetime: end.wanted.timeIntervalSince(now),
            issuerKey: certificate.publicKey.digest,
            key: try key.map { try .made($0, for: entry.name, passphrase: request.passphrase) } ?? .kept,
            chain: isRoot ? [] : chain,
            archivesExisting: true,
            notices: notices,
            action: .renew,
            detail: "replaces \(entry.serialNumber)\(key == nil ? "" : ", new key")"
        )
        return try inventory.change(now: now) { change in
            let current = try change.records.current(entry.name)
            guard current.contains(where: { $0.id == entry.id }) else {
                throw AuthorityError(.exists, "\(entry.name) was renewed by another process in the meantime")
            }
            var names = CommonNames()
            let issued = try prepared.commit(to: &change, &names)
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
                hint: "renew what does: pki renew \(entry.name) --directory \(Quoting.shell(directory.path))")
        }
        if let revocation = entry.revocation {
            throw AuthorityError(
                .policy,
                "\(entry.name) was revoked at \(timestamp(revocation.date)) (\(revocation.reason.name)) and is not renewed",
                hint: revocation.reason == .certificateHold
                    ? "take the hold back first: pki revoke --release \(entry.name)"
                    : "issue another with a new key: pki issue-client --name \(entry.name) --force")
        }
        guard request.makesNewKey else { return }
        if entry.isCA { try checkIsUnused(entry, now: now) }
        let keyName = AuthorityFiles.key(of: entry.name)
        guard directory.contains(keyName) else {
            throw AuthorityError(
                .policy, "the key of \(entry.name) is not in \(directory.path), so that pki cannot make its successor",
                hint: entry.keyFile == nil
                    ? "make a new request beside the new key, and: pki issue-client --name \(entry.name) --csr FILE --force"
                    : "leave --rekey out, or make the new key where the old one is")
        }
        guard request.passphrase == nil else { return }
        guard try !inventory.hasEncryptedKey(entry.name) else {
            throw AuthorityError(
                .policy, "the key \(directory.path(of: keyName)) is encrypted, and its successor would not be",
                hint: "give a passphrase for the new key: --key-passphrase-file FILE")
        }
    }

    /// A CA with another key could neither vouch for what it has issued, nor list what of it is revoked.
    private func checkIsUnused(_ authority: InventoryEntry, now: Date) throws {
        let used = try inventory.withDatabase { try $0.issued(byKey: authority.subjectKey) }
            .filter { !$0.isSelfSigned && $0.status(at: now) == .valid }
        guard let first = used.first else { return }
        let name = authority.name
        throw AuthorityError(
            .policy,
            "\(name) keeps its key: what it has issued is still good, such as \(first.name), and would have no issuer",
            hint: authority.isSelfSigned
                ? "make a new root beside it: pki rotate-ca"
                : "make another CA beside it, pki issue-intermediate --name \(name)-2, and move what it has issued: "
                    + "pki renew NAME --issuer \(name)-2")
    }

    private func type(of old: Certificate, _ template: CertificateTemplate) throws -> KeyType {
        try KeyType.allCases.first { $0.algorithm == old.publicKey.algorithm } ?? template.keyType
    }

    /// What is asked for; otherwise as far from now as the certificate was to reach that is replaced, whether or not its CA
    /// let it. Otherwise lives would only ever get shorter.
    private func end(
        of request: RenewalRequest, replacing old: InventoryEntry, isRoot: Bool, from now: Date, notices: inout [String]
    ) throws -> End {
        let former = old.lifetime ?? old.notAfter.timeIntervalSince(old.notBefore) - Lifetime.backdating
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
                "the certificate ends with its CA, at \(timestamp(certificate.notAfter)), and was to reach \(timestamp(wanted))"
            )
        }
        return (min(wanted, certificate.notAfter), wanted)
    }

    private func names(of old: Certificate) throws -> [GeneralName] {
        for case .other(let kind) in old.subjectAlternativeNames {
            throw AuthorityError(
                .policy, "the certificate has an alternative name of the kind \(kind), which pki does not write",
                hint: "issue one with the names that it needs: pki issue-client")
        }
        return old.subjectAlternativeNames
    }
}
