// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

/// What the directory of a CA holds under one name: a certificate, the way up to the root, and perhaps the key.
///
/// No key is read before ``key(passphrase:)`` is called.
public struct StoredIdentity: Sendable {
    /// The name: `root` for the CA itself.
    public let name: String

    /// The certificate.
    public let certificate: Certificate

    /// The CA certificates between the certificate and the root, its issuer first; none when the root issued it.
    public let intermediates: [Certificate]

    /// The root that the certificate leads to.
    public let root: Certificate

    /// Every root that is to be trusted: the CA's, and while it is being replaced the previous one.
    public let trustedRoots: [Certificate]

    private let directory: CADirectory

    /// Reads certificates.
    ///
    /// - Parameters:
    ///   - name: The name that the files begin with.
    ///   - directory: The directory of the CA.
    /// - Throws: ``AuthorityError`` when a file is missing or cannot be read, or when the certificate does not lead to the
    ///   root; `CertificateError` when a file is malformed.
    public init(name: String, in directory: String) throws {
        // It is a part of file names, and must lead to no other directory.
        try EntryName.check(name)
        let directory = try CADirectory(path: directory, for: .reading)
        func certificate(of name: String) throws -> Certificate {
            try directory.certificates(in: AuthorityFiles.certificate(of: name))[0]
        }
        var roots = [try certificate(of: CertificateAuthority.rootName)]
        let previous = CertificateAuthority.previousRootName
        if directory.contains(AuthorityFiles.certificate(of: previous)) { roots.append(try certificate(of: previous)) }
        do {
            self.certificate = try certificate(of: name)
        } catch let error as AuthorityError where error.code == .missing {
            throw AuthorityError(.missing, error.message, hint: "pki issue-client --name \(printable(name)) makes it")
        }
        self.name = name
        self.directory = directory
        trustedRoots = roots
        let chain = AuthorityFiles.chain(of: name)
        let others = try directory.contains(chain) ? directory.certificates(in: chain) : []
        guard let path = Self.path(from: self.certificate, through: others, to: roots) else {
            throw AuthorityError(
                .broken,
                "\(directory.path(of: name))-cert.pem does not lead to the root in \(directory.path(of: "root-cert.pem"))",
                hint: "the CA was made anew, or \(printable(name))-chain.pem is missing; issue it anew"
            )
        }
        (intermediates, root) = path
    }

    /// The files of the roots that are to be trusted: the CA's, and while it is being replaced the previous one.
    ///
    /// - Parameter directory: The CA directory.
    /// - Returns: The paths and the contents, as they are.
    /// - Throws: ``AuthorityError`` naming the file.
    public static func trustedRoots(in directory: String) throws -> [(path: String, contents: [UInt8])] {
        let directory = try CADirectory(path: directory, for: .reading)
        let names = [CertificateAuthority.rootName, CertificateAuthority.previousRootName].map(
            AuthorityFiles.certificate
        )
        return try names.filter { $0 == names[0] || directory.contains($0) }.map { name in
            let file = try directory.read(name, isPrivate: false)
            return (directory.path(of: name), unsafe file.withUnsafeBytes { unsafe Array($0) })
        }
    }

    /// Goes up by signatures: the names alone are the same for two CAs that were made one after the other.
    private static func path(
        from certificate: Certificate,
        through others: [Certificate],
        to roots: [Certificate]
    ) -> (intermediates: [Certificate], root: Certificate)? {
        func issued(_ certificate: Certificate) -> (Certificate) -> Bool {
            { $0.subject == certificate.issuer && $0.hasSigned(certificate) }
        }
        var path: [Certificate] = []
        var last = certificate
        while true {
            if let root = roots.first(where: issued(last)) { return (path, root) }
            let unused = others.filter { !path.contains($0) && $0 != certificate }
            guard let next = unused.first(where: issued(last)) else { return nil }
            path.append(next)
            last = next
        }
    }

    /// Whether this is a CA that may issue certificates.
    public var isAuthority: Bool { certificate.isCA && certificate.keyUsage?.contains(.keyCertSign) ?? true }

    /// What should be known before it is used.
    ///
    /// - Parameter now: The moment.
    /// - Returns: Sentences without a full stop; usually none.
    public func notices(at now: Date) -> [String] {
        let path = "\(directory.path(of: name))-cert.pem"
        if now > certificate.notAfter { return ["\(path) expired at \(timestamp(certificate.notAfter))"] }
        if now < certificate.notBefore { return ["\(path) is not valid before \(timestamp(certificate.notBefore))"] }
        return []
    }

    /// Opens the key.
    ///
    /// - Parameter passphrase: Called when the key's file is encrypted.
    /// - Returns: The key, which is the certificate's.
    /// - Throws: ``AuthorityError`` when the key is not in the directory, others can read it or it is another certificate's;
    ///   `CertificateError` when it cannot be opened; what the closure throws.
    public func key(passphrase: () throws -> SecretBytes? = { nil }) throws -> PrivateKey {
        let file = "\(name)-key.pem"
        let path = directory.path(of: file)
        guard directory.contains(file) else { throw keyElsewhere(path) }
        let bytes = try directory.read(file, isPrivate: true)
        let key: PrivateKey
        do {
            key = try naming(path) { () throws(CertificateError) in try PrivateKey(reading: bytes) }
        } catch {
            guard error.code == .missingPassphrase, let secret = try passphrase() else { throw error }
            key = try naming(path) { () throws(CertificateError) in
                try PrivateKey(reading: bytes, passphrase: secret)
            }
        }
        guard key.publicKey == certificate.publicKey else {
            throw AuthorityError(
                .broken,
                "\(path) is not the key of \(directory.path(of: name))-cert.pem",
                hint:
                    "put back the pair that was made together; what pki replaced is in \(directory.path(of: "archive"))"
            )
        }
        return key
    }

    private func keyElsewhere(_ path: String) -> AuthorityError {
        let address = "\(name)-key.uri"
        if directory.contains(address) {
            return AuthorityError(
                .missing,
                "the key of \(name) cannot be exported: \(directory.path(of: address)) says that it is in a device, "
                    + "which it never leaves",
                hint: isAuthority
                    ? "export an intermediate CA whose key is a file: pki issue-intermediate --help"
                    : "use it where it is, or issue a client whose key is a file: pki issue-client --help"
            )
        }
        return AuthorityError(
            .missing,
            "the key of \(name) cannot be exported: there is no \(path)",
            hint: isAuthority
                ? "bring the key back from where it is kept, or export an intermediate CA: pki issue-intermediate --help"
                : "who made the certificate request has it, and can join both: openssl pkcs12 -export -inkey KEY "
                    + "-in \(name)-cert.pem -out \(name).p12"
        )
    }
}
