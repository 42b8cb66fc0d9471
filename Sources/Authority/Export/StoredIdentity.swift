// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

/// A certificate of a CA directory, its path to the root, and perhaps its key, which only ``key(passphrase:)`` reads.
public struct StoredIdentity: Sendable {
    /// The name: `root` for the CA itself.
    public let name: String
    /// The certificate.
    public let certificate: Certificate
    /// The CA certificates between the certificate and the root, its issuer first; empty if the root issued it.
    public let intermediates: [Certificate]
    /// The root of the certificate's path.
    public let root: Certificate
    /// The CA's root, and the previous one during a rotation.
    public let trustedRoots: [Certificate]
    private let directory: CADirectory

    /// Reads the certificates of a name, which must have a path to the root.
    public init(name: String, in directory: String) throws {
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
            throw AuthorityError(.missing, error.message, hint: "issue it: pki issue-client --name \(printable(name))")
        }
        self.name = name
        self.directory = directory
        trustedRoots = roots
        let chain = AuthorityFiles.chain(of: name)
        let others = try directory.contains(chain) ? directory.certificates(in: chain) : []
        guard let path = Self.path(from: self.certificate, through: others, to: roots) else {
            throw AuthorityError(
                .broken,
                "\(directory.certificatePath(of: name)) has no path to \(directory.certificatePath(of: "root"))",
                hint: "issue it again, or restore \(printable(name))-chain.pem: pki doctor --repair \(directory.option)"
            )
        }
        (intermediates, root) = path
    }

    /// The paths and contents of the files of the trusted roots: the CA's, and the previous one during a rotation.
    public static func trustedRoots(in directory: String) throws -> [(path: String, contents: [UInt8])] {
        let directory = try CADirectory(path: directory, for: .reading)
        let names = [CertificateAuthority.rootName, CertificateAuthority.previousRootName].map(
            AuthorityFiles.certificate)
        return try names.filter { $0 == names[0] || directory.contains($0) }.map { name in
            let file = try directory.read(name, isPrivate: false)
            return (directory.path(of: name), unsafe file.withUnsafeBytes { unsafe Array($0) })
        }
    }

    /// Finds issuers by their signatures: two CAs that a directory had one after the other have the same name.
    private static func path(
        from certificate: Certificate, through others: [Certificate], to roots: [Certificate]
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

    /// Warnings before use, each a sentence without a full stop.
    public func notices(at now: Date) throws -> [String] {
        let path = directory.certificatePath(of: name)
        if let finding = try Inventory.standings(of: [certificate], in: directory.path)[0].finding {
            return ["\(path) \(finding)"]
        }
        if now > certificate.notAfter { return ["\(path) expired at \(timestamp(certificate.notAfter))"] }
        if now < certificate.notBefore { return ["\(path) is not valid before \(timestamp(certificate.notBefore))"] }
        return []
    }

    /// Opens the key, which must match the certificate. The closure is called if the key's file is encrypted.
    public func key(passphrase: () throws -> SecretBytes? = { nil }) throws -> PrivateKey {
        let file = AuthorityFiles.key(of: name)
        let path = directory.path(of: file)
        guard directory.contains(file) else { throw keyElsewhere(path) }
        let bytes = try directory.read(file, isPrivate: true)
        let key = try CertificateAuthority.openKey(bytes, path, passphrase: passphrase)
        guard key.publicKey == certificate.publicKey else {
            throw AuthorityError.mismatch(of: path, directory.certificatePath(of: name), in: directory)
        }
        return key
    }

    private func keyElsewhere(_ path: String) -> AuthorityError {
        let address = AuthorityFiles.keyAddress(of: name)
        if directory.contains(address) {
            return AuthorityError(
                .missing, "the key of \(name) cannot be exported: by \(directory.path(of: address)) it is in a device",
                hint: isAuthority
                    ? "export an intermediate CA whose key is a file: pki issue-intermediate --help"
                    : "issue a client whose key is a file: pki issue-client --help")
        }
        return AuthorityError(
            .missing, "the key of \(name) cannot be exported: \(path) does not exist",
            hint: isAuthority
                ? "restore the key file, or export an intermediate CA: pki issue-intermediate --help"
                : "combine the files where the key is: openssl pkcs12 -export -inkey KEY -in \(name)-cert.pem -out \(name).p12"
        )
    }
}

extension StoredIdentity {
    /// Key, certificate and every CA certificate up to the root, under the identity's name.
    public func archive(
        with key: PrivateKey, encryption: PKCS12Archive.Encryption = .modern
    ) throws(CertificateError) -> PKCS12Archive {
        try PKCS12Archive(
            key: key, certificate: certificate, chain: intermediates + (root == certificate ? [] : [root]),
            friendlyName: name, encryption: encryption)
    }

    /// The trusted roots and no key: a truststore for Java.
    public func truststore(encryption: PKCS12Archive.Encryption = .modern) throws(CertificateError) -> PKCS12Archive {
        let names = trustedRoots.map { root in root.subject.commonName.map { printable($0) } ?? "root" }
        let entries = zip(names, trustedRoots).enumerated().map { index, root in
            // The previous root often has the name of its successor.
            PKCS12Archive.TrustedCertificate(name: index == 0 ? root.0 : "\(root.0) (previous)", certificate: root.1)
        }
        return try PKCS12Archive(trusting: entries, encryption: encryption)
    }
}

/// Passphrases for exported files.
package enum GeneratedPassphrase {
    /// Letters and digits that cannot be confused: without l, o, 0 and 1.
    private static let characters = Array("abcdefghijkmnpqrstuvwxyz23456789".utf8)
    private static let groups = 7
    private static let groupLength = 4

    /// A passphrase of 140 random bits that can be read aloud and typed, in seven groups of four letters and digits:
    /// `k7pq-x3mn-…`.
    package static func make(using generator: inout some RandomNumberGenerator) -> SecretBytes {
        unsafe SecretBytes(capacity: groups * (groupLength + 1) - 1) { buffer in
            for index in buffer.indices {
                let isBetween = index % (groupLength + 1) == groupLength
                // 32 characters: five random bits select one of them uniformly.
                let character = isBetween ? UInt8(ascii: "-") : characters[Int(generator.next() & 0x1f)]
                unsafe buffer[index] = character
            }
            return buffer.count
        }
    }
}
