// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

extension CertificateAuthority {
    /// Makes a root CA.
    ///
    /// - Parameters:
    ///   - directory: The directory, which is made with mode 0700 when it is not there.
    ///   - request: What the CA is to be.
    ///   - who: Who is at work, for the audit.
    ///   - now: The moment of issue.
    ///   - generator: The source of the serial number's random bits.
    /// - Returns: The CA's certificate and where its files are.
    /// - Throws: ``AuthorityError`` or `CertificateError` naming the file or the rule; nothing is left half made.
    public static func create(
        in directory: String,
        _ request: RootRequest,
        by who: String = "",
        now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> IssuedCertificate {
        if !request.archivesExisting, let directory = try? CADirectory(path: directory, for: .reading) {
            try directory.checkDoesNotExist(
                AuthorityFiles.key(of: rootName),
                AuthorityFiles.keyAddress(of: rootName),
                AuthorityFiles.certificate(of: rootName)
            )
        }
        let root = try prepareRoot(request, now: now, using: &generator)
        // Nothing was touched so far: a refusal leaves no empty directory behind.
        let directory = try CADirectory(path: directory, for: .writing, creates: true)
        let inventory = try Inventory(directory: directory, by: who, now: now)
        return try inventory.change(now: now) { change in
            var names = CommonNames()
            return try root.commit(to: &change, in: directory, &names)
        }
    }

    /// Makes a root's key and certificate without touching the directory.
    ///
    /// - Parameters:
    ///   - request: What the CA is to be.
    ///   - now: The moment of issue.
    ///   - generator: The source of the serial number's random bits.
    ///   - check: Called with every certificate that is made, the last of which is the root's; what it throws ends the work.
    /// - Returns: The root.
    /// - Throws: ``AuthorityError``, `CertificateError`, or what the closure throws.
    static func prepareRoot<Generator: RandomNumberGenerator>(
        _ request: RootRequest,
        now: Date,
        using generator: inout Generator,
        check: (Certificate, inout Generator) throws -> Void = { _, _ in }
    ) throws -> PreparedCertificate {
        let template = request.template
        let subject = request.subject ?? template.subject
        guard !subject.isEmpty else {
            throw AuthorityError(
                .invalidRequest,
                "the CA has no subject",
                hint: "give one, for example --subject \"CN=Example Root\""
            )
        }
        if !request.allowsInsecureNames { try NamePolicy.checkText(subject) }
        if let length = request.pathLength, !(0...255).contains(length) {
            throw AuthorityError(.invalidRequest, "a path length of \(length) is not 0 to 255")
        }
        let end = try (request.lifetime ?? .days(template.days)).end(from: now)

        func certificate(by key: any SigningKey) throws -> Certificate {
            let parameters = CertificateParameters(
                serialNumber: .random(using: &generator),
                subject: subject,
                publicKey: key.publicKey,
                notBefore: now.addingTimeInterval(-Lifetime.backdating),
                notAfter: end,
                template: template,
                pathLength: request.pathLength,
                nameConstraints: request.nameConstraints
            )
            let certificate = try parameters.selfSigned(by: key)
            try AuthorityPolicy.check(certificate, from: template)
            _ = try CertificateVerifier(anchors: [certificate]).path(for: certificate, at: now)
            try check(certificate, &generator)
            return certificate
        }
        // What is made in a token stays there: whatever is wrong with the request is found out by another key.
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
            name: rootName,
            certificate: root,
            profile: template.profile,
            template: template,
            lifetime: end.timeIntervalSince(now),
            issuerKey: root.publicKey.digest,
            key: place,
            chain: [],
            archivesExisting: request.archivesExisting,
            action: .create
        )
    }
}
