// SPDX-License-Identifier: Apache-2.0

import Certificates
import Synchronization
import SystemSupport

/// The files in a directory and below it, and the certificates, keys and CRLs in them.
///
/// Links to directories are not followed, only regular files are read, and depth, number and size are limited.
struct ImportScan: Sendable {
    struct File: Sendable {
        /// Relative to the directory unless it begins with a slash.
        let path: String
        let size: Int
        let mode: UInt32
        var certificates: [Certificate] = []
        var lists: [CertificateRevocationList] = []
        var keys: [Key] = []
        var findings: [ForeignFinding] = []

        /// The last part of the path.
        var name: Substring { path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...] }
    }

    /// A private key, of which only the public key is kept.
    struct Key: Sendable {
        /// `nil` if the key cannot be opened without a passphrase or a device.
        let publicKey: PublicKey?
        let isEncrypted: Bool
        /// The address of a key that is not in the file.
        var address: String?
    }

    let directory: String
    /// In the order of the paths within each directory.
    private(set) var files: [File] = []
    /// The files and directories that could not be read.
    private(set) var findings: [ForeignFinding] = []
    /// An open CA directory of this program: no link in it is followed, and only it and its archive are read.
    private let own: Directory?
    /// The links to files.
    private var linked: Set<String> = []
    private var directoryCount = 0
    private static let depthLimit = 8
    private static let fileLimit = 1_000_000
    private static let directoryLimit = 20_000
    private static let sizeLimit = FileContents.limit
    private static let totalLimit = 4 << 30
    /// File name extensions of files that are not read.
    private static let ignored: Set<String> = [
        "req", "csr", "cnf", "conf", "txt", "attr", "old", "srl", "sqlite", "sqlite-wal", "sqlite-shm", "json", "log",
        "sh", "md", "p12", "pfx", "jks", "gz", "tar", "zip", "rnd",
    ]

    /// File name extensions of files that should contain a certificate, a key or a CRL.
    private static let expected: Set<String> = ["pem", "crt", "cer", "cert", "der", "key", "crl"]

    /// Lists a directory; `own` is the same directory if it is a CA directory of this program.
    init(_ directory: String, own: Directory? = nil) throws(AuthorityError) {
        self.directory = directory
        self.own = own
        do {
            visit("", try names(in: ""), depth: 0)
        } catch {
            throw AuthorityError(error)
        }
    }

    // MARK: - Listing

    /// Adds a file or a directory outside of the directory; its path begins with a slash.
    mutating func add(elsewhere path: String, isDeep: Bool) {
        guard let status = FileStatus(at: path) else { return note(path, "it does not exist") }
        guard status.kind == .directory else { return add(path, status) }
        do {
            visit(path, try names(in: path), depth: 0, isDeep: isDeep)
        } catch {
            note(path, error.message)
        }
    }

    private mutating func visit(_ directory: String, _ names: [String], depth: Int, isDeep: Bool = true) {
        directoryCount += 1
        for name in names where !name.hasPrefix(".") {
            guard files.count < Self.fileLimit else {
                let text = "there are more than \(Self.fileLimit) files; the rest was not read"
                if findings.last?.rule != .limit { findings.append(ForeignFinding(.limit, text)) }
                return
            }
            let path = directory.isEmpty ? name : "\(directory)/\(name)"
            guard let status = FileStatus(at: systemPath(of: path), followsLinks: false) else {
                note(path, "it was deleted")
                continue
            }
            switch status.kind {
            case .directory:
                if isDeep, own == nil || path == CADirectory.archiveDirectory { enter(path, depth: depth + 1) }
            case .link where own != nil: note(path, "it is a symbolic link")
            case .link:
                guard let target = FileStatus(at: systemPath(of: path)) else {
                    note(path, "it is a link to a missing file")
                    continue
                }
                if target.kind == .directory {
                    note(path, "it is a link to a directory, which is not followed")
                } else {
                    linked.insert(path)
                    add(path, target)
                }
            default: add(path, status)
            }
        }
    }

    private mutating func enter(_ path: String, depth: Int) {
        guard depth <= Self.depthLimit, directoryCount < Self.directoryLimit else {
            let text =
                depth > Self.depthLimit
                ? "it is nested too deeply" : "there are more than \(Self.directoryLimit) directories"
            findings.append(ForeignFinding(.limit, "\(printable(path)) was not read: \(text)", file: path))
            return
        }
        do {
            visit(path, try names(in: path), depth: depth)
        } catch {
            note(path, error.message)
        }
    }

    private mutating func add(_ path: String, _ status: FileStatus) {
        guard status.kind == .regular else { return note(path, "it is not a regular file") }
        files.append(File(path: path, size: status.size, mode: status.mode & 0o777))
    }

    private mutating func note(_ path: String, _ why: String) {
        findings.append(ForeignFinding(.unreadable, "\(printable(path)) was not read: \(why)", file: path))
    }

    private func names(in directory: String) throws(FileError) -> [String] {
        if let own {
            return try (directory.isEmpty ? own : own.directory(directory, for: .reading))?.names().sorted() ?? []
        }
        // The given directory may be a link, but none below it.
        return try Directory(systemPath(of: directory), for: directory.isEmpty ? .output : .reading).names().sorted()
    }

    /// The path of a file for system calls.
    private func systemPath(of file: String) -> String {
        Self.join(own.map { "/proc/self/fd/\($0.descriptor)" } ?? directory, file)
    }

    /// A path below a directory; one that begins with a slash is returned unchanged.
    static func join(_ directory: String, _ path: some StringProtocol) -> String {
        if path.isEmpty { return directory }
        if path.hasPrefix("/") { return String(path) }
        return directory.hasSuffix("/") ? directory + path : "\(directory)/\(path)"
    }

    // MARK: - Reading

    /// Reads a file that was regular when the directory was listed.
    func contents(of file: String, limit: Int = sizeLimit) throws(FileError) -> SecretBytes {
        // Only links from the listing are followed.
        let isLinked = own == nil && (linked.contains(file) || file.hasPrefix("/"))
        return try FileContents(regular: systemPath(of: file), followsLinks: isLinked, limit: limit).bytes
    }

    /// The text of a small file; `nil` if it cannot be read.
    func text(of file: String, limit: Int) -> String? {
        guard let contents = try? contents(of: file, limit: limit) else { return nil }
        return unsafe contents.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// Reads the files that may contain certificates, keys or CRLs, up to a total size.
    mutating func readFiles(jobs: Int) {
        var budget = Self.totalLimit
        let wanted = files.indices.filter { index in
            guard budget > 0, !Self.ignored.contains(Self.fileExtension(files[index].name)) else { return false }
            if files[index].size <= Self.sizeLimit { budget -= files[index].size }
            return true
        }
        if budget <= 0 { findings.append(ForeignFinding(.limit, "there are more than 4 GiB; the rest was not read")) }
        let scan = self
        let read = Mutex(files)
        _ = Workers.firstFailure(of: wanted.count, jobs: jobs) { (index) throws(Never) in
            let file = scan.filled(scan.files[wanted[index]])
            read.withLock { $0[wanted[index]] = file }
        }
        files = read.withLock { $0 }
    }

    private static func fileExtension(_ name: Substring) -> String {
        name.lastIndex(of: ".").map { name[name.index(after: $0)...].lowercased() } ?? ""
    }

    private func filled(_ file: File) -> File {
        var file = file
        let suffix = Self.fileExtension(file.name)
        let isExpected = Self.expected.contains(suffix)
        guard file.size <= Self.sizeLimit else {
            if isExpected { file.note(.unreadable, "it is larger than \(Self.sizeLimit >> 20) MiB") }
            return file
        }
        guard file.size > 0 else {
            if isExpected { file.note(.malformed, "it is empty") }
            return file
        }
        do {
            let contents = try contents(of: file.path)
            try suffix == "uri" ? file.readAddress(contents) : file.read(contents, isExpected: isExpected)
        } catch let error as CertificateError {
            if isExpected { file.note(.malformed, error.message) }
        } catch {
            file.note(.unreadable, (error as? FileError)?.message ?? "\(error)")
        }
        if file.mode & 0o077 != 0, file.keys.contains(where: { $0.address == nil && !$0.isEncrypted }) {
            let text = "other users can read its key: its mode is 0\(String(file.mode, radix: 8))"
            file.findings.append(ForeignFinding(.unprotectedKey, "\(printable(file.path)): \(text)", file: file.path))
        }
        return file
    }
}

extension ImportScan.File {
    fileprivate mutating func note(_ rule: ForeignFinding.Rule, _ why: String) {
        findings.append(ForeignFinding(rule, "\(printable(path)) was not read: \(why)", file: path))
    }

    fileprivate mutating func readAddress(_ contents: SecretBytes) {
        let text = unsafe contents.withUnsafeBytes { unsafe String(decoding: $0.prefix(4096), as: UTF8.self) }
        guard let line = text.split(whereSeparator: \.isNewline).first(where: { !$0.hasPrefix("#") }) else { return }
        keys = [.init(publicKey: nil, isEncrypted: false, address: String(line))]
    }

    fileprivate mutating func read(_ contents: SecretBytes, isExpected: Bool) throws {
        if unsafe contents.withUnsafeBytes({ unsafe $0.first }) == 0x30 {
            // Only PKCS#12 begins with a version. It is skipped, because opening it is slow and needs a passphrase.
            let isPKCS12 = unsafe contents.withUnsafeBytes { bytes in
                guard bytes.count > 8 else { return false }
                let start = unsafe 2 + (bytes[1] < 0x80 ? 0 : Int(bytes[1] & 0x7f))
                return unsafe start + 2 < bytes.count && bytes[start] == 2 && bytes[start + 1] == 1
                    && bytes[start + 2] == 3
            }
            if !isPKCS12 { take(try Container(reading: contents)) }
            return
        }
        guard contents.contains("-----BEGIN ") else {
            if isExpected { note(.malformed, "it is neither PEM nor DER") }
            return
        }
        if contents.contains("-----BEGIN PKCS12-----") || contents.contains("-----BEGIN PFX-----") { return }
        do {
            take(try Container(reading: contents))
        } catch {
            // A malformed certificate in a bundle does not hide the others. Keys are not copied.
            guard !contents.contains("PRIVATE KEY-----") else { throw error }
            let documents = try unsafe contents.withUnsafeBytes { try unsafe PEMDocument.documents(in: $0) }
            for document in documents where document.label == "CERTIFICATE" {
                if let certificate = try? Certificate(derEncoded: document.bytes) { certificates.append(certificate) }
            }
            note(.malformed, error.message)
        }
    }

    private mutating func take(_ container: Container) {
        for object in container.objects {
            switch object {
            case .certificate(let certificate): certificates.append(certificate)
            case .revocationList(let list): lists.append(list)
            case .privateKey(let key) where key.encryption == nil && key.form != .tss2 && key.form != .openSSH:
                do {
                    keys.append(.init(publicKey: try key.key().publicKey, isEncrypted: false))
                } catch {
                    note(.malformed, error.message)
                }
            case .privateKey(let key): keys.append(.init(publicKey: nil, isEncrypted: key.encryption != nil))
            case .certificateRequest, .publicKey, .unknown: break
            }
        }
    }
}
