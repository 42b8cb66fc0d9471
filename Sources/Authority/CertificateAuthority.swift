// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date

/// A root CA that lives in a folder: `root-cert.pem`, `root-key.pem`, and beside them what it issued.
///
/// The key may live elsewhere, in a token or an agent: then `root-key.uri` says where, and whoever opens the CA brings it.
///
/// Whatever is reported is on the disk, key before certificate. Nothing is ever overwritten. Any number of processes may
/// use one folder at once.
public struct CertificateAuthority: Sendable {
    /// The CA's certificate.
    public let certificate: Certificate

    private let key: any SigningKey
    private let folder: Folder

    private static let certificateName = "root-cert.pem"
    private static let keyName = "root-key.pem"
    private static let keyAddressName = "root-key.uri"

    /// Opens the CA in a folder.
    ///
    /// - Parameters:
    ///   - directory: The folder.
    ///   - now: The moment at which the CA must be valid.
    ///   - keyAddress: Where the key is, when that is neither the folder nor what the folder says.
    ///   - passphrase: Called when the CA key's file is encrypted.
    ///   - openKey: Opens a key that is not in the folder: is given its address and the CA's certificate.
    /// - Throws: ``AuthorityError`` when a file is missing, the key can be read by others or is not the certificate's, or
    ///   the CA is not valid; `CertificateError` when a file is malformed or the passphrase wrong; what the closures throw.
    public init(
        openingIn directory: String,
        now: Date,
        keyAddress: String? = nil,
        passphrase: () throws -> SecretBytes? = { nil },
        openKey: (String, Certificate) throws -> any SigningKey = Self.refuseKeyElsewhere
    ) throws {
        let folder: Folder
        let file: SecretBytes
        do {
            folder = try Folder(path: directory, creates: false)
            file = try folder.read(Self.certificateName, isPrivate: false)
        } catch {
            guard error.code == .missing else { throw error }
            throw AuthorityError(
                .missing,
                "there is no CA in \(directory): \(error.message)",
                remedy: "make one with: pki init-ca --directory \(directory)"
            )
        }
        let certificatePath = folder.path(of: Self.certificateName)
        let keyPath = folder.path(of: Self.keyName)
        let certificates = try naming(certificatePath) { () throws(CertificateError) in
            try Certificate.certificates(in: unsafe file.withUnsafeBytes { unsafe Array($0) })
        }
        guard let certificate = certificates.first else {
            throw AuthorityError(.broken, "\(certificatePath) holds no certificate")
        }
        let key: any SigningKey
        let keyAddress = try keyAddress ?? Self.keyAddress(in: folder)
        if let address = keyAddress {
            key = try openKey(address, certificate)
        } else {
            key = try Self.readKey(in: folder, passphrase: passphrase)
        }
        guard key.publicKey == certificate.publicKey else {
            throw AuthorityError(
                .broken,
                "the CA key \(keyAddress ?? keyPath) is not the key of the CA certificate \(certificatePath)",
                remedy:
                    "put back the pair that was made together; what pki replaced is in \(folder.path(of: "archive"))"
            )
        }
        guard certificate.isCA, certificate.keyUsage?.contains(.keyCertSign) ?? true else {
            throw AuthorityError(
                .broken,
                "\(certificatePath) is not a CA's certificate: it lacks basicConstraints CA:TRUE or keyUsage keyCertSign",
                remedy: "make a CA with: pki init-ca --directory \(directory)"
            )
        }
        guard now <= certificate.notAfter else {
            throw AuthorityError(
                .broken,
                "the CA \(certificatePath) expired at \(timestamp(certificate.notAfter))",
                remedy: "make a new one with: pki init-ca --force --directory \(directory)"
            )
        }
        guard now >= certificate.notBefore else {
            throw AuthorityError(
                .broken,
                "the CA \(certificatePath) is not valid before \(timestamp(certificate.notBefore))",
                remedy: "check this machine's clock, which says \(timestamp(now))"
            )
        }
        self.init(certificate: certificate, key: key, folder: folder)
    }

    /// What the folder says about where the key is; nothing when the key is in the folder.
    private static func keyAddress(in folder: Folder) throws -> String? {
        guard folder.contains(keyAddressName), !folder.contains(keyName) else { return nil }
        let text = try unsafe folder.read(keyAddressName, isPrivate: false).withUnsafeBytes {
            unsafe String(decoding: $0, as: UTF8.self)
        }
        guard let line = text.split(whereSeparator: \.isNewline).first(where: { !$0.hasPrefix("#") }) else {
            throw AuthorityError(.broken, "\(folder.path(of: keyAddressName)) does not say where the CA key is")
        }
        return String(line)
    }

    private static func readKey(in folder: Folder, passphrase: () throws -> SecretBytes?) throws -> PrivateKey {
        let path = folder.path(of: keyName)
        let file = try folder.read(keyName, isPrivate: true)
        do {
            return try naming(path) { () throws(CertificateError) in try PrivateKey(reading: file) }
        } catch {
            guard error.code == .missingPassphrase, let secret = try passphrase() else { throw error }
            return try naming(path) { () throws(CertificateError) in
                try PrivateKey(reading: file, passphrase: secret)
            }
        }
    }

    /// Refuses a key that is not in the folder, for callers that know of no other place.
    ///
    /// - Throws: ``AuthorityError``, always.
    public static func refuseKeyElsewhere(_ address: String, _ certificate: Certificate) throws -> any SigningKey {
        throw AuthorityError(.missing, "the CA key is not in the folder but at \(address)")
    }

    private init(certificate: Certificate, key: any SigningKey, folder: Folder) {
        self.certificate = certificate
        self.key = key
        self.folder = folder
    }

    // MARK: - The root

    /// Refuses a folder that has a CA already.
    private static func checkIsFree(_ directory: String) throws {
        guard let folder = try? Folder(path: directory, creates: false) else { return }
        try refuseExisting([keyName, keyAddressName, certificateName], in: folder)
    }

    /// Makes a root CA.
    ///
    /// - Parameters:
    ///   - directory: The folder, which is made with mode 0700 when it is not there.
    ///   - request: What the CA is to be.
    ///   - now: The moment of issue.
    ///   - generator: The source of the serial number's random bits.
    /// - Returns: The CA's certificate and where its files are.
    /// - Throws: ``AuthorityError`` or `CertificateError` naming the file or the rule; nothing is left half made.
    public static func create(
        in directory: String,
        _ request: RootRequest,
        now: Date,
        using generator: inout some RandomNumberGenerator
    ) throws -> IssuedCertificate {
        let template = request.template
        let subject = request.subject ?? template.subject
        guard !subject.isEmpty else {
            throw AuthorityError(
                .invalidRequest,
                "the CA has no subject",
                remedy: "give one, for example --subject \"CN=Example Root\""
            )
        }
        if let length = request.pathLength, !(0...255).contains(length) {
            throw AuthorityError(.invalidRequest, "a path length of \(length) is not 0 to 255")
        }
        let end = try (request.lifetime ?? .days(template.days)).end(from: now)
        let names = [keyName, keyAddressName, certificateName]
        if !request.archivesExisting { try checkIsFree(directory) }

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
            guard certificate.isCA, certificate.keyUsage?.contains(.keyCertSign) == true else {
                throw AuthorityError(
                    .policy,
                    "\(template.name) does not make a CA: its certificate would not allow signing others",
                    remedy:
                        "it needs basicConstraints = critical, CA:TRUE and keyUsage = critical, keyCertSign, cRLSign"
                )
            }
            _ = try CertificateVerifier(anchors: [certificate]).path(for: certificate, at: now)
            return certificate
        }
        // What is made in a token stays there: whatever is wrong with the request is found out by another key.
        if request.externalKey != nil { _ = try certificate(by: PrivateKey(generating: .ecP256)) }
        let newKey = try request.externalKey == nil ? PrivateKey(generating: request.keyType ?? template.keyType) : nil
        guard let key = try newKey ?? externalKey(of: request) else {
            throw AuthorityError(.invalidRequest, "there is no key for the CA")
        }
        let root = try certificate(by: key)

        // Nothing was touched so far: a refusal leaves no empty folder behind.
        let folder = try Folder(path: directory, creates: true)
        let keyFile: Folder.NewFile
        if let newKey {
            keyFile = .init(name: keyName, contents: try newKey.pemEncoded(passphrase: request.passphrase), mode: 0o600)
        } else {
            let address = "# Where the key of this CA is.\n\(request.externalKey?.address ?? "")\n"
            keyFile = .init(name: keyAddressName, contents: SecretBytes(address.utf8), mode: 0o600)
        }
        let archived = try write(
            [keyFile, .init(name: certificateName, contents: SecretBytes(root.pemEncoded.utf8), mode: 0o644)],
            replacing: request.archivesExisting ? names : [],
            in: folder,
            now: now
        )
        return IssuedCertificate(
            certificate: root,
            certificatePath: folder.path(of: certificateName),
            keyPath: request.externalKey?.address ?? folder.path(of: keyName),
            archivedPaths: archived,
            notices: []
        )
    }

    /// The key that is elsewhere; nothing when the request has none.
    private static func externalKey(of request: RootRequest) throws -> (any SigningKey)? {
        guard let external = request.externalKey else { return nil }
        let key = try external.open()
        if let type = request.keyType, key.publicKey.algorithm != type.algorithm {
            throw AuthorityError(
                .invalidRequest,
                "the key \(external.address) is of the kind \(key.publicKey.algorithm), and \(type.rawValue) was asked for",
                remedy: "leave --key-type out, or name another key"
            )
        }
        return key
    }

    // MARK: - Clients

    /// Issues a client certificate.
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
        let certificateName = "\(request.name)-cert.pem"
        let keyName = "\(request.name)-key.pem"
        if !request.archivesExisting {
            try Self.refuseExisting([certificateName] + (folder.contains(certificateName) ? [keyName] : []), in: folder)
        }
        var notices: [String] = []
        let subject = try ClientPolicy.subject(of: request)
        let end = try end(of: request, from: now, notices: &notices)
        let key =
            try request.certificateRequest == nil
            ? PrivateKey(generating: request.keyType ?? request.template.keyType) : nil
        let publicKey = key?.publicKey ?? request.certificateRequest?.publicKey
        guard let publicKey else { throw AuthorityError(.invalidRequest, "there is no key to certify") }

        let parameters = CertificateParameters(
            serialNumber: .random(using: &generator),
            subject: subject,
            publicKey: publicKey,
            notBefore: max(now.addingTimeInterval(-Lifetime.backdating), self.certificate.notBefore),
            notAfter: end,
            template: request.template,
            subjectAlternativeNames: try ClientPolicy.alternativeNames(of: request, subject: subject)
        )
        let certificate = try parameters.signed(by: self.key, issuer: self.certificate)
        try ClientPolicy.check(certificate, from: request.template)
        do {
            _ = try CertificateVerifier(anchors: [self.certificate]).path(for: certificate, at: now)
        } catch {
            let names = ([GeneralName.directory(subject)] + certificate.subjectAlternativeNames).map(\.description)
            throw AuthorityError(
                .policy,
                "the CA \(folder.path(of: Self.certificateName)) may not issue a certificate for "
                    + "\(names.joined(separator: ", ")): \(error.message)",
                remedy: "see what the CA allows: openssl x509 -noout -text -in \(folder.path(of: Self.certificateName))"
            )
        }

        var files: [Folder.NewFile] = []
        if let key {
            files.append(
                .init(name: keyName, contents: try key.pemEncoded(passphrase: request.passphrase), mode: 0o600)
            )
        }
        files.append(.init(name: certificateName, contents: SecretBytes(certificate.pemEncoded.utf8), mode: 0o644))
        // A key beside a certificate request may be the requester's own: it is not ours to move, unless it belongs to the
        // certificate that goes.
        let former = keyOfCertificate(certificateName)
        let movesKey = key != nil || former != nil && former != publicKey
        let replaced = request.archivesExisting ? (movesKey ? [keyName] : []) + [certificateName] : []
        let archived = try Self.write(
            files,
            replacing: replaced,
            orphan: key == nil ? nil : (keyName, certificateName),
            in: folder,
            now: now
        )
        return IssuedCertificate(
            certificate: certificate,
            certificatePath: folder.path(of: certificateName),
            keyPath: key.map { _ in folder.path(of: keyName) },
            archivedPaths: archived,
            notices: notices
        )
    }

    /// The key that a certificate in the folder is for; nothing when it is not there.
    private func keyOfCertificate(_ name: String) -> PublicKey? {
        guard let file = try? folder.read(name, isPrivate: false) else { return nil }
        return try? unsafe file.withUnsafeBytes { try Certificate.certificates(in: unsafe Array($0)) }.first?.publicKey
    }

    /// The end of a client certificate: what was asked for, refused when it lies past the CA's; or the template's,
    /// shortened to the CA's.
    private func end(of request: ClientRequest, from now: Date, notices: inout [String]) throws -> Date {
        let limit = certificate.notAfter
        guard let lifetime = request.lifetime else {
            let days = try request.template.days
            let end = try Lifetime.days(days).end(from: now)
            if end > limit {
                notices.append(
                    "the certificate ends with its CA, at \(timestamp(limit)), before the template's \(days) days"
                )
            }
            return min(end, limit)
        }
        let end = try lifetime.end(from: now)
        guard end <= limit else {
            let days = Int(limit.timeIntervalSince(now) / 86400)
            throw AuthorityError(
                .policy,
                "the certificate would end at \(timestamp(end)), after its CA \(folder.path(of: Self.certificateName)), which ends at \(timestamp(limit))",
                remedy: days > 0
                    ? "the longest lifetime now is --days \(days)" : "make a new CA with: pki init-ca --force"
            )
        }
        return end
    }
}

// MARK: - Files

extension CertificateAuthority {
    private static func refuseExisting(_ names: [String], in folder: Folder) throws {
        guard let name = names.first(where: folder.contains) else { return }
        throw AuthorityError(
            .exists,
            "\(folder.path(of: name)) exists already and is never overwritten",
            remedy: "--force moves the old files to \(folder.path(of: "archive")) first"
        )
    }

    /// Writes files under the folder's lock.
    ///
    /// A key whose certificate was never written, because its process was killed in between, was never reported: it goes
    /// to the archive, as do the files to be replaced.
    private static func write(
        _ files: [Folder.NewFile],
        replacing replaced: [String],
        orphan: (key: String, certificate: String)? = nil,
        in folder: Folder,
        now: Date
    ) throws -> [String] {
        try folder.withLock {
            var archived: [String] = []
            var moved = replaced
            if let orphan, folder.contains(orphan.key), !folder.contains(orphan.certificate) { moved = [orphan.key] }
            try refuseExisting(files.map(\.name).filter { !moved.contains($0) }, in: folder)
            try folder.write(files) {
                let stamp = CivilTime(now).basic
                for name in moved {
                    if let path = try folder.archive(name, stamp: stamp) { archived.append(path) }
                }
            }
            return archived
        }
    }
}

/// A moment as `2026-01-01T00:00:00Z`.
func timestamp(_ date: Date) -> String { CivilTime(date).extended }

/// Adds the file to what is wrong with its contents.
func naming<Result>(_ path: String, _ body: () throws(CertificateError) -> Result) throws(CertificateError) -> Result {
    do {
        return try body()
    } catch {
        throw CertificateError(error.code, "\(path): \(error.message)", remedy: error.remedy)
    }
}
