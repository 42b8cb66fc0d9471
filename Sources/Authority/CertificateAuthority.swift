// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

/// A CA of a directory, with its key: the root, or an intermediate CA.
///
/// The root is `root-cert.pem` and `root-key.pem`, next to the certificates it issued. A key may be in a token or an
/// agent: then `root-key.uri` has its address, and the caller opens it. The root's key may be absent while an
/// intermediate CA issues.
///
/// When a method returns, its result is on the disk, key before certificate, and in the ``Inventory``. Nothing is
/// overwritten. Any number of processes may use one directory at once.
public struct CertificateAuthority: Sendable {
    /// The CA's certificate.
    public let certificate: Certificate
    /// The CA's name in the directory: `root`, or an intermediate's.
    public let name: String
    /// The chain of issued certificates: this CA's certificate unless it is a root, and those above it without the
    /// root.
    public let chain: [Certificate]
    /// The inventory of the directory.
    public let inventory: Inventory
    let key: any SigningKey
    /// The trust anchors: the directory's roots, or the highest CA that the directory has.
    let anchors: [Certificate]

    /// The roots that clients of this CA trust; during a rotation the previous one, too.
    package var roots: [Certificate] {
        let previous = try? Self.certificate(of: Self.previousRootName, in: directory)
        return anchors + [previous].compactMap(\.self).filter { !anchors.contains($0) }
    }

    var directory: CADirectory { inventory.directory }

    /// The path of the CA's certificate, for messages.
    var certificatePath: String { directory.certificatePath(of: name) }

    /// The root's name.
    public static let rootName = "root"
    /// The name of the root that is being replaced.
    public static let previousRootName = "root-previous"
    /// The name of the cross-certificate: the new root, certified by the previous one.
    public static let crossName = "root-cross"
    /// Names of the CA's own files.
    static let reservedNames: Set<String> = [rootName, previousRootName, crossName]

    /// Whether no request may have a name: it is the CA's, or that of a certificate of `pki serve-ca`. Some file systems ignore case.
    package static func isReserved(_ name: String) -> Bool {
        let name = name.lowercased()
        return reservedNames.contains(name) || OwnCertificate.reservedNames.contains(name)
    }

    /// Opens a CA of a directory.
    ///
    /// - Parameters:
    ///   - directory: The directory.
    ///   - issuer: The CA's name; by default the root, or without the root's key, the only intermediate CA with a key.
    ///   - who: The user, for the audit.
    ///   - now: The time at which the CA must be valid.
    ///   - keyAddress: The address of the key, in place of the key that the directory has.
    ///   - address: The URL of the server of PostgreSQL that has the inventory; `nil` if it is in the directory.
    ///   - passphrase: Called if the CA key's file is encrypted.
    ///   - openKey: Opens a key that is not in the directory, by its address and the CA's certificate.
    /// - Throws: ``AuthorityError`` if a file is missing, the key is readable by others or does not match, or the CA is not
    ///   valid; `CertificateError` if a file is malformed or the passphrase is wrong; the errors of the closures.
    public init(
        openingIn directory: String, issuer: String? = nil, by who: String = "", now: Date, keyAddress: String? = nil,
        inventory address: String? = nil,
        passphrase: () throws -> SecretBytes? = { nil },
        openKey: (String, Certificate) throws -> any SigningKey = Self.refuseKeyElsewhere
    ) throws {
        if let issuer { try EntryName.check(issuer) }
        let inventory =
            if let address {
                try Inventory(at: address, in: directory, by: who, now: now, isReading: false)
            } else {
                try Inventory(in: directory, by: who, now: now, hasKeyElsewhere: keyAddress != nil)
            }
        try inventory.checkHasAuthority()
        let directory = inventory.directory
        let name = try issuer ?? Self.defaultIssuer(in: inventory, hasKeyElsewhere: keyAddress != nil, now: now)
        let certificate: Certificate
        do {
            certificate = try Self.certificate(of: name, in: directory)
        } catch let error as AuthorityError where error.code == .missing {
            guard try inventory.withDatabase({ try !$0.current(name).isEmpty }) else { throw error }
            throw AuthorityError(
                .missing, error.message,
                hint: "restore it from the inventory: pki doctor --repair \(directory.option)")
        }
        let certificatePath = directory.certificatePath(of: name)
        let key: any SigningKey
        let address = try keyAddress ?? Self.keyAddress(of: name, in: directory)
        if let address {
            key = try openKey(address, certificate)
        } else {
            key = try Self.readKey(of: name, in: directory, passphrase: passphrase)
        }
        guard key.publicKey == certificate.publicKey else {
            let place = address ?? directory.path(of: AuthorityFiles.key(of: name))
            throw AuthorityError.mismatch(of: place, certificatePath, in: directory)
        }
        guard certificate.isCA, certificate.keyUsage?.contains(.keyCertSign) ?? true else {
            throw AuthorityError(
                .broken,
                "\(certificatePath) is not a CA certificate: it lacks basicConstraints CA:TRUE or keyUsage keyCertSign",
                hint: name == Self.rootName
                    ? "create a CA: pki init-ca \(directory.option)" : "list the CAs: pki tree \(directory.option)")
        }
        try inventory.take(certificate, named: name, now: now)
        try Self.checkValidity(of: certificate, name: name, in: directory, now: now)
        let chain = try Self.chain(above: certificate, of: name, in: directory, now: now)
        (self.certificate, self.name, self.chain, self.key, self.inventory) = (certificate, name, chain, key, inventory)
        anchors = Self.anchors(of: certificate, chain: chain, in: directory, now: now)
    }

    /// Refuses a key that is not in the directory.
    public static func refuseKeyElsewhere(_ address: String, _ certificate: Certificate) throws -> any SigningKey {
        throw AuthorityError(.missing, "the CA key is not in the directory; its address is \(address)")
    }
}

// MARK: - Finding the parts

extension CertificateAuthority {
    /// The root, or if its key is absent, the only intermediate CA with a key.
    private static func defaultIssuer(in inventory: Inventory, hasKeyElsewhere: Bool, now: Date) throws -> String {
        let directory = inventory.directory
        if hasKeyElsewhere || hasKey(rootName, in: directory) { return rootName }
        var query = InventoryQuery(at: now)
        query.isCA = true
        let able = try inventory.entries(query).filter {
            !$0.isSelfSigned && $0.status(at: now) == .valid && hasKey($0.name, in: directory)
        }
        if able.count > 1 {
            throw AuthorityError(
                .invalidRequest,
                "the root's key is not in \(directory.path), and several other CAs have keys: "
                    + able.map(\.name).sortedNaturally().joined(separator: ", "), hint: "choose one: --issuer NAME")
        }
        return able.first?.name ?? rootName
    }

    /// Whether the directory has the key of the root, or of another CA, or the address of one.
    static func hasAnyKey(in directory: CADirectory) -> Bool {
        if hasKey(rootName, in: directory) { return true }
        return directory.names().contains { file in
            guard file.hasSuffix(AuthorityFiles.certificate(of: "")) else { return false }
            let name = String(file.dropLast(AuthorityFiles.certificate(of: "").count))
            return hasKey(name, in: directory) && (try? certificate(of: name, in: directory))?.isCA == true
        }
    }

    private static func hasKey(_ name: String, in directory: CADirectory) -> Bool {
        directory.contains(AuthorityFiles.key(of: name)) || directory.contains(AuthorityFiles.keyAddress(of: name))
    }

    static func certificate(of name: String, in directory: CADirectory) throws -> Certificate {
        do {
            return try directory.certificates(in: AuthorityFiles.certificate(of: name))[0]
        } catch let error as AuthorityError where error.code == .missing {
            guard name != rootName else { throw AuthorityError.noAuthority(in: directory.path, error.message) }
            throw AuthorityError(
                .missing, "there is no CA \(name) in \(directory.path): \(error.message)",
                hint: "list the CAs: pki tree \(directory.option)")
        }
    }

    /// The address of a key, from its file; `nil` if the key is in the directory.
    private static func keyAddress(of name: String, in directory: CADirectory) throws -> String? {
        let file = AuthorityFiles.keyAddress(of: name)
        guard directory.contains(file), !directory.contains(AuthorityFiles.key(of: name)) else { return nil }
        let text = try unsafe directory.read(file, isPrivate: true).withUnsafeBytes {
            unsafe String(decoding: $0, as: UTF8.self)
        }
        guard let line = text.split(whereSeparator: \.isNewline).first(where: { !$0.hasPrefix("#") }) else {
            throw AuthorityError(.broken, "\(directory.path(of: file)) contains no address of a CA key")
        }
        // The line is not repeated: it may be a key.
        guard AuthorityFiles.isLastingAddress(String(line)) else {
            throw AuthorityError(
                .broken,
                "the first line of \(directory.path(of: file)) is not a pkcs11:, handle: or ssh-agent: address without a "
                    + "query",
                hint: "give the address of the key: --ca-key ADDRESS, with the library in --pkcs11-lib")
        }
        return String(line)
    }

    static func readKey(
        of name: String, in directory: CADirectory, passphrase: () throws -> SecretBytes?
    ) throws -> PrivateKey {
        let path = directory.path(of: AuthorityFiles.key(of: name))
        let file: SecretBytes
        do {
            file = try directory.read(AuthorityFiles.key(of: name), isPrivate: true)
        } catch {
            guard error.code == .missing else { throw error }
            throw AuthorityError(
                .missing, error.message,
                hint: "restore the file, give the key's address with --ca-key, or choose another CA with --issuer")
        }
        return try openKey(file, path, passphrase: passphrase)
    }

    static func openKey(
        _ file: SecretBytes, _ path: String, passphrase: () throws -> SecretBytes?
    ) throws -> PrivateKey {
        try askingForPassphrase(passphrase) { (secret) throws(CertificateError) in
            try naming(path) { () throws(CertificateError) in try PrivateKey(reading: file, passphrase: secret) }
        }
    }

    /// Has the key sign something that is no certificate, to find out whether it can.
    package func checkKey() throws {
        _ = try key.issuingSignature(for: Array("pki: can the key of a CA be used?".utf8))
    }

    /// Refuses to issue while the CA's certificate is not valid: it has expired, or the clock is wrong.
    func checkIsValid(at now: Date) throws(AuthorityError) {
        try Self.checkValidity(of: certificate, name: name, in: directory, now: now)
    }

    private static func checkValidity(
        of certificate: Certificate, name: String, in directory: CADirectory, now: Date
    ) throws(AuthorityError) {
        let path = directory.certificatePath(of: name)
        guard now <= certificate.notAfter else {
            throw AuthorityError(
                .broken, "the CA \(path) expired at \(timestamp(certificate.notAfter))",
                hint: name == rootName
                    ? "create another: pki init-ca --force \(directory.option)"
                    : "renew it: pki renew \(name) \(directory.option)")
        }
        guard now >= certificate.notBefore else {
            throw AuthorityError(
                .broken, "the CA \(path) is not valid before \(timestamp(certificate.notBefore))",
                hint: "check the clock of this machine: it is \(timestamp(now))")
        }
    }

    /// The chain of the certificates that a CA issues: its own certificate and its chain file; for a root, the
    /// cross-certificate while that is valid.
    private static func chain(
        above certificate: Certificate, of name: String, in directory: CADirectory, now: Date
    ) throws -> [Certificate] {
        if certificate.isSelfIssued {
            guard name == rootName, directory.contains(AuthorityFiles.certificate(of: crossName)) else { return [] }
            let cross = try self.certificate(of: crossName, in: directory)
            return cross.publicKey == certificate.publicKey && cross.isValid(at: now) ? [cross] : []
        }
        let file = AuthorityFiles.chain(of: name)
        guard directory.contains(file) else { return [certificate] }
        return (try [certificate] + directory.certificates(in: file)).upToPathLength
    }

    /// The directory's roots if the CA's path ends at one of them; otherwise the highest CA of the chain.
    private static func anchors(
        of certificate: Certificate, chain: [Certificate], in directory: CADirectory, now: Date
    ) -> [Certificate] {
        if certificate.isSelfIssued { return [certificate] }
        let roots = [rootName, previousRootName].compactMap { try? self.certificate(of: $0, in: directory) }
        let verifier = CertificateVerifier(anchors: roots.filter { $0.isValid(at: now) })
        let leads = (try? verifier.path(for: certificate, intermediates: chain, at: now)) != nil
        return leads ? verifier.anchors : [chain.last ?? certificate]
    }
}
