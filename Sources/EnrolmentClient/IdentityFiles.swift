// SPDX-License-Identifier: Apache-2.0

import Authority
package import Certificates
import FoundationEssentials
package import SystemSupport

/// The files of one certificate on a host: certificate, key and chain, and the root beside them.
///
/// The directory belongs to this user and is no CA's: its inventory would not know of a change.
package struct IdentityFiles: Sendable {
    /// What the files' names begin with.
    package let name: String
    let directory: Directory
    private let certificateName: String
    /// `nil` if the chain is in the certificate's file.
    private let chainName: String?
    private let keyDirectory: Directory
    private let keyName: String
    /// Where a key is that is in a device.
    private var keyAddressName: String { "\(name)-key.uri" }

    private static let archiveName = "archive"
    private static let rootName = "root-cert.pem"

    /// The files that `pki issue-client` would write for a name. A missing directory is created if `creates`.
    package init(_ name: String, in path: String, creates: Bool = false) throws {
        if creates { try Directory.make(path) }
        self.name = name
        directory = try Self.open(path)
        keyDirectory = directory
        certificateName = FilePath.Part.certificate.name(of: name)
        chainName = FilePath.Part.chain.name(of: name)
        keyName = FilePath.Part.key.name(of: name)
        guard FilePath.isComponent(certificateName) else {
            throw FileError(.kind, "\"\(printable(name))\" cannot be a part of a file's name")
        }
    }

    /// Files of any names. Without a key's path, the key is beside the certificate as `issue-client` names it.
    package init(certificate: String, privateKey: String?) throws {
        let sibling = FilePath.sibling(.key, of: certificate)
        guard let privateKey = privateKey ?? sibling else {
            throw FileError(
                .missing, "\"\(printable(certificate))\" has no key beside it", hint: "name the key with --private-key")
        }
        certificateName = FilePath.name(of: certificate)
        chainName = FilePath.sibling(.chain, of: certificate).map(FilePath.name)
        keyName = FilePath.name(of: privateKey)
        name =
            sibling == nil
            ? certificateName : String(certificateName.dropLast(FilePath.Part.certificate.rawValue.count))
        directory = try Self.open(FilePath.parent(of: certificate))
        keyDirectory = try Self.open(FilePath.parent(of: privateKey))
        guard certificatePath != keyPath else {
            throw FileError(
                .kind, "certificate and key are in one file, \"\(printable(certificate))\"",
                hint: "split it: openssl pkey -in \(Quoting.shell(certificate)) -out NEW-key.pem")
        }
    }

    private static func open(_ path: String) throws -> Directory {
        let directory = try Directory(path, for: .writing)
        guard !directory.contains(Inventory.fileName), !directory.contains(Inventory.elsewhereFile) else {
            throw FileError(
                .kind, "\"\(printable(path))\" is a CA's directory, whose certificates the CA itself issues and renews",
                hint: "name another one with --directory")
        }
        return directory
    }

    package var certificatePath: String { directory.path(of: certificateName) }
    package var keyPath: String { keyDirectory.path(of: keyName) }
    private var chainPath: String? { chainName.map(directory.path(of:)) }

    /// Keeps other processes from the same files, waiting for them, until the value is released.
    package func lock() throws -> LockFile { try directory.lock(lockName) }

    /// Removes the lock's file while it is held: a process that waits for it then makes another.
    package func unlock(_ lock: LockFile) { withExtendedLifetime(lock) { _ = directory.unlink(lockName) } }

    private var lockName: String { ".\(name).lock" }

    // MARK: - Reading

    /// The certificates of the file, of which there is at least one.
    package func certificates() throws -> [Certificate] {
        let contents = try directory.read(certificateName)
        let certificates = try Certificate.certificates(in: contents.bytes.array)
        guard !certificates.isEmpty else {
            throw FileError(.kind, "\"\(printable(contents.name))\" contains no certificate")
        }
        return certificates
    }

    /// The certificates of the chain's file; none if it is missing.
    func chain() throws -> [Certificate] {
        guard let chainName, directory.contains(chainName) else { return [] }
        return try Certificate.certificates(in: directory.read(chainName).bytes.array)
    }

    /// The key's file, decoded but not opened.
    func key() throws -> EncodedPrivateKey {
        let contents = try keyDirectory.read(keyName, .ownerOnly)
        guard let key = try Container(reading: contents.bytes).privateKeys.first else {
            throw FileError(.kind, "\"\(printable(contents.name))\" contains no private key")
        }
        return key
    }

    /// The address of a key that is in a device; `nil` if there is none.
    func keyAddress() throws -> String? {
        guard !keyDirectory.contains(keyName), directory.contains(keyAddressName) else { return nil }
        let contents = try directory.read(keyAddressName, .ownerOnly)
        let text = unsafe contents.bytes.withUnsafeBytes { unsafe String(decoding: $0.prefix(4_096), as: UTF8.self) }
        return text.split(separator: "\n").first { !$0.hasPrefix("#") }.map { printable(String($0), limit: 100) }
    }

    /// The roots that lie beside the certificate.
    package func roots() throws -> [Certificate] {
        guard directory.contains(Self.rootName) else {
            throw FileError(
                .missing, "there is no \"\(printable(directory.path(of: Self.rootName)))\" to know the server by",
                hint: "name the root's certificate with --ca-bundle")
        }
        return try Certificate.certificates(in: directory.read(Self.rootName).bytes.array)
    }

    /// What an earlier run has put in place: a valid certificate for these names, with its key, below a root with this SHA-256;
    /// `nil` for anything else.
    func existing(
        _ wish: HostEnrolment.Wish, below fingerprint: [UInt8], at date: Date
    ) throws -> IssuedCertificate? {
        guard directory.contains(certificateName), let certificate = try? certificates().first,
            certificate.subject.commonName == name,
            Set(wish.names).isSubset(of: certificate.subjectAlternativeNames),
            certificate.isValid(at: date), directory.contains(Self.rootName)
        else { return nil }
        let roots = try roots().filter { Digest.sha256.hash($0.derEncoded) == fingerprint }
        let address = try keyAddress()
        guard (address == nil) == (wish.device == nil), address == wish.device?.address else { return nil }
        let key =
            if let device = wish.device {
                try device.open().publicKey
            } else {
                directory.contains(keyName) ? try key().key(passphrase: wish.passphrase).publicKey : nil
            }
        guard key == certificate.publicKey,
            let path = try? CertificateVerifier(anchors: roots).path(
                for: certificate, intermediates: chain(), at: date),
            let answer = IssuedPath(checked: path)
        else { return nil }
        return issued(answer, archived: [], address: address)
    }

    // MARK: - Writing

    /// Refuses names that are taken.
    func requireNew() throws {
        for name in [keyName, keyAddressName, certificateName, chainName].compactMap(\.self)
        where directory.contains(name) {
            throw taken(name)
        }
    }

    private func taken(_ file: String) -> FileError {
        let path = directory.path(of: file)
        return FileError(
            .exists, "\(printable(path)) exists already and is not overwritten",
            hint: directory.contains(certificateName)
                ? "renew it with pki renew \(Quoting.shell(name)) --server URL, or choose another --directory"
                : "it has no certificate: move it away, mv \(Quoting.shell(path)) \(Quoting.shell(path + ".old"))")
    }

    /// Refuses a directory with the root of another CA.
    func requireRoot(_ root: Certificate) throws {
        guard directory.contains(Self.rootName), try !roots().contains(root) else { return }
        throw FileError(
            .exists,
            "\(printable(directory.path(of: Self.rootName))) is the root of another CA, and is not overwritten",
            hint: "choose another --directory for this CA")
    }

    /// Puts new files in place, the certificate last. Those that an interrupted run has put there are kept.
    func place(_ answer: IssuedPath, key: PrivateKey, passphrase: SecretBytes?) throws -> IssuedCertificate {
        if directory.contains(keyName) {
            // The same key is never encrypted twice in the same way.
            guard try self.key().key(passphrase: passphrase).publicKey == key.publicKey else { throw taken(keyName) }
        } else {
            try put(keyName, key.pemEncoded(passphrase: passphrase), 0o600)
        }
        return try place(answer)
    }

    /// The same with a key that is in a device, whose address is written down.
    func place(_ answer: IssuedPath, keyAt address: String) throws -> IssuedCertificate {
        try put(keyAddressName, SecretBytes("# The address of this certificate's key.\n\(address)\n".utf8), 0o600)
        return try place(answer, address: address)
    }

    private func put(_ name: String, _ contents: SecretBytes, _ mode: UInt32) throws {
        if directory.contains(name), try directory.read(name).bytes.isEqual(to: contents) { return }
        try NewFile.write(name, in: directory, contents, mode: mode, replacing: .never)
    }

    private func place(_ answer: IssuedPath, address: String? = nil) throws -> IssuedCertificate {
        if let chainName, !answer.chain.isEmpty { try put(chainName, Self.text(answer.chain), 0o644) }
        if !directory.contains(Self.rootName) { try put(Self.rootName, Self.text([answer.root]), 0o644) }
        try put(certificateName, Self.text([answer.certificate]), 0o644)
        return issued(answer, archived: [], address: address)
    }

    /// Replaces the files, the certificate last; each old one gets a name in the archive first, and its mode and owner are kept.
    ///
    /// - Parameter key: `nil` if the key stays.
    func replace(by answer: IssuedPath, key: SecretBytes?, now: Date) throws -> IssuedCertificate {
        var archived: [String] = []
        func put(_ name: String, in directory: Directory, _ contents: SecretBytes?, _ mode: UInt32) throws {
            try replace(name, in: directory, by: contents, mode, now).map { archived.append($0) }
        }
        let isOneFile = try chainName == nil || !directory.contains(chainName ?? "") && certificates().count > 1
        if let key { try put(keyName, in: keyDirectory, key, 0o600) }
        if let chainName, !isOneFile {
            let contents = answer.chain.isEmpty ? nil : Self.text(answer.chain)
            if contents != nil || directory.contains(chainName) { try put(chainName, in: directory, contents, 0o644) }
        }
        try put(
            certificateName, in: directory, Self.text([answer.certificate] + (isOneFile ? answer.chain : [])), 0o644)
        return issued(answer, archived: archived)
    }

    /// Replaces the roots that lie beside the certificate.
    func replaceRoots(by roots: [Certificate], now: Date) throws {
        _ = try replace(Self.rootName, in: directory, by: Self.text(roots), 0o644, now)
    }

    /// Replaces a file, or removes it if there are no contents. Returns the path of the old one in the archive; `nil` if there was
    /// none, or nothing changes.
    private func replace(
        _ name: String, in directory: Directory, by contents: SecretBytes?, _ mode: UInt32, _ now: Date
    ) throws -> String? {
        let old = directory.status(of: name)
        var archived: String?
        if old != nil {
            if let contents, try directory.read(name).bytes.isEqual(to: contents) { return nil }
            archived = try archive(name, in: directory, now)
        }
        guard let contents else {
            directory.unlink(name)
            return archived
        }
        let file = try NewFile(name, in: directory, replacing: .always)
        try file.write(contents)
        if let old { _ = try file.setOwner(old.owner, group: old.group) }
        try file.finish(mode: old.map { $0.mode & 0o777 } ?? mode)
        try file.place()
        return archived
    }

    private func issued(
        _ answer: IssuedPath, archived: [String], address: String? = nil
    ) -> IssuedCertificate {
        let hasChain = chainName.map(directory.contains) ?? false
        return IssuedCertificate(
            certificate: answer.certificate, certificatePath: certificatePath,
            keyPath: address == nil ? keyPath : nil, keyAddress: address,
            chainPath: hasChain ? chainPath : nil, archivedPaths: archived)
    }

    private static func text(_ certificates: [Certificate]) -> SecretBytes {
        SecretBytes(certificates.map(\.pemEncoded).joined().utf8)
    }

    /// Gives a file a second name in the archive with the time, as renewal in a CA's directory does, and returns its path.
    private func archive(_ name: String, in directory: Directory, _ now: Date) throws -> String {
        guard let archive = try directory.directory(Self.archiveName, for: .writing, creates: true) else {
            throw FileError(.missing, "\"\(printable(directory.path))\" has no archive")
        }
        let (stem, end) = name.hasSuffix(".pem") ? (String(name.dropLast(4)), ".pem") : (name, "")
        let stamp = CivilTime(now).basic
        for number in 0..<1000 {
            let other = "\(stem)-\(stamp)\(number == 0 ? "" : "-\(number)")\(end)"
            if archive.contains(other) { continue }
            try directory.link(name, as: other, in: archive)
            try archive.synchronize()
            return archive.path(of: other)
        }
        throw FileError(.exists, "\"\(printable(archive.path))\" has a thousand files with the time \(stamp)")
    }
}
