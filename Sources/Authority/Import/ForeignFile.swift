// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// What one file of a directory holds.
struct ForeignFile: Sendable {
    /// A private key, of which only the public half is kept.
    struct Key: Sendable {
        /// The public half; nothing for a key that cannot be opened without more.
        let publicKey: PublicKey?
        /// Whether a passphrase opens it.
        let isEncrypted: Bool
        /// Where the key is when the file only says so.
        var address: String?
    }

    let file: DirectoryScan.File
    var certificates: [Certificate] = []
    var lists: [CertificateRevocationList] = []
    var keys: [Key] = []
    var findings: [ForeignFinding] = []

    /// The largest file that is read.
    static let limit = FileContents.limit

    /// Files that hold nothing of interest, however they begin.
    private static let passedOver: Set<String> = [
        "req", "csr", "cnf", "conf", "txt", "attr", "old", "srl", "sqlite", "sqlite-wal", "sqlite-shm", "json", "log",
        "sh",
        "md", "p12", "pfx", "jks", "gz", "tar", "zip", "rnd",
    ]

    /// Files that should hold something.
    private static let promising: Set<String> = ["pem", "crt", "cer", "cert", "der", "key", "crl"]

    /// Whether to look into a file.
    static func isOfInterest(_ file: DirectoryScan.File) -> Bool { !passedOver.contains(fileExtension(file.name)) }

    /// What stands behind the last point of a file's name, in lower case.
    static func fileExtension(_ name: Substring) -> String {
        name.lastIndex(of: ".").map { name[name.index(after: $0)...].lowercased() } ?? ""
    }

    /// Looks into a file.
    ///
    /// - Parameters:
    ///   - file: The file.
    ///   - scan: Where it was found.
    init(reading file: DirectoryScan.File, in scan: DirectoryScan) {
        self.file = file
        let suffix = Self.fileExtension(file.name)
        let isPromising = Self.promising.contains(suffix)
        guard file.size <= Self.limit else {
            if isPromising { note(.unreadable, "it is larger than \(Self.limit >> 20) MiB") }
            return
        }
        guard file.size > 0 else {
            if isPromising { note(.malformed, "it is empty") }
            return
        }
        do {
            let contents = try scan.contents(of: file.path)
            if suffix == "uri" { readAddress(contents) } else { try read(contents, isPromising: isPromising) }
        } catch let error as CertificateError {
            if isPromising { note(.malformed, error.message) }
        } catch {
            note(.unreadable, (error as? FileError)?.message ?? "\(error)")
        }
        if file.mode & 0o077 != 0, keys.contains(where: { $0.address == nil && !$0.isEncrypted }) {
            note(
                .unprotectedKey,
                "its key can be used by others than its owner: its mode is 0\(String(file.mode, radix: 8))"
            )
        }
    }

    private mutating func readAddress(_ contents: SecretBytes) {
        let text = unsafe contents.withUnsafeBytes { unsafe String(decoding: $0.prefix(4096), as: UTF8.self) }
        guard let line = text.split(whereSeparator: \.isNewline).first(where: { !$0.hasPrefix("#") }) else { return }
        keys = [Key(publicKey: nil, isEncrypted: false, address: String(line))]
    }

    private mutating func read(_ contents: SecretBytes, isPromising: Bool) throws {
        if unsafe contents.withUnsafeBytes({ unsafe $0.first }) == 0x30 {
            // PKCS#12 begins with its version, which no other object here has. To open one costs much, and needs a passphrase.
            let isPKCS12 = unsafe contents.withUnsafeBytes { bytes in
                guard bytes.count > 8 else { return false }
                let start = unsafe 2 + (bytes[1] < 0x80 ? 0 : Int(bytes[1] & 0x7f))
                return unsafe start + 2 < bytes.count && bytes[start] == 2 && bytes[start + 1] == 1
                    && bytes[start + 2] == 3
            }
            if isPKCS12 { return }
            return try take(Container(reading: contents))
        }
        guard Self.holds(contents, "-----BEGIN ") else {
            if isPromising { note(.malformed, "it is neither PEM nor DER") }
            return
        }
        if Self.holds(contents, "-----BEGIN PKCS12-----") || Self.holds(contents, "-----BEGIN PFX-----") { return }
        do {
            try take(Container(reading: contents))
        } catch {
            // One bad certificate in a bundle does not hide the others. Where keys are, no copies are made.
            guard !Self.holds(contents, "PRIVATE KEY-----") else { throw error }
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
            case .privateKey(let key): take(key)
            case .certificateRequest, .publicKey, .unknown: break
            }
        }
    }

    private mutating func take(_ key: EncodedPrivateKey) {
        if key.encryption == nil, key.form != .tss2, key.form != .openSSH {
            do {
                keys.append(Key(publicKey: try key.key().publicKey, isEncrypted: false))
            } catch {
                note(.malformed, error.message)
            }
        } else {
            keys.append(Key(publicKey: nil, isEncrypted: key.encryption != nil))
        }
    }

    private mutating func note(_ rule: ForeignFinding.Rule, _ why: String) {
        let text =
            rule == .unprotectedKey ? "\(printable(file.path)): \(why)" : "\(printable(file.path)) was not read: \(why)"
        findings.append(ForeignFinding(rule, text, file: file.path))
    }

    private static func holds(_ contents: SecretBytes, _ text: StaticString) -> Bool {
        unsafe contents.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            let (length, end) = (text.utf8CodeUnitCount, bytes.count)
            var position = 0
            while position + length <= end,
                let hit = unsafe memchr(base + position, CInt(text.utf8Start.pointee), end - length + 1 - position)
            {
                if unsafe memcmp(hit, text.utf8Start, length) == 0 { return true }
                position = unsafe base.distance(to: hit) + 1
            }
            return false
        }
    }
}
