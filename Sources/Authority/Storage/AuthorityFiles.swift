// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The names of files in a CA's directory.
enum AuthorityFiles {
    static func certificate(of name: String) -> String { FilePath.Part.certificate.name(of: name) }
    static func key(of name: String) -> String { FilePath.Part.key.name(of: name) }
    /// The address of a CA key that is not in the directory.
    static func keyAddress(of name: String) -> String { "\(name)-key.uri" }
    /// The CA certificates between a name and its root.
    static func chain(of name: String) -> String { FilePath.Part.chain.name(of: name) }
    /// Certificate, key and chain in one PKCS#12 file.
    static func bundle(of name: String) -> String { "\(name).p12" }
    /// The passphrase of that file.
    static func bundlePassphrase(of name: String) -> String { "\(name).p12-passphrase" }
    /// The last CRL of a CA.
    static func revocationList(of name: String) -> String { "\(name)-crl.pem" }

    /// Whether a text can be the path of a file in the inventory: one component, or `archive/` and one. A component has
    /// 1 to 255 ASCII letters, digits, blanks and `._@+,=~-`, does not begin with `.` or `-`, and is not a file of the
    /// inventory itself.
    static func isPath(_ path: String) -> Bool {
        let path = path.utf8
        return isComponent(path.starts(with: inArchive) ? path.dropFirst(inArchive.count) : path[...])
    }

    private static let inArchive = Array("\(CADirectory.archiveDirectory)/".utf8)
    private static let inventory = Array(Inventory.fileName.utf8)
    private static let archive = Array(CADirectory.archiveDirectory.utf8)

    /// Whether a path is that of a file with a key, by its name: no certificate is ever written there.
    static func isKeyPath(_ path: String) -> Bool {
        let octets = path.utf8
        if keySuffixes.contains(where: { octets.count >= $0.count && octets.suffix($0.count).elementsEqual($0) }) {
            return true
        }
        return octets.starts(with: inArchive) && path.contains("-key-") && !path.contains("-cert-")
    }

    private static let keySuffixes = [".uri", ".p12", ".p12-passphrase", "-key.pem"].map { Array($0.utf8) }

    /// Compares bytes, not characters: every row of a listing is checked here.
    private static func isComponent(_ name: Substring.UTF8View) -> Bool {
        guard (1...255).contains(name.count), let first = name.first, first != UInt8(ascii: "."),
            first != UInt8(ascii: "-"), name.allSatisfy(isAllowed)
        else { return false }
        return !name.starts(with: inventory) && !name.elementsEqual(archive)
    }

    private static func isAllowed(_ octet: UInt8) -> Bool { octet.isASCIILetterOrDigit || punctuation.contains(octet) }

    private static let punctuation = Array("-._@+,=~ ".utf8)

    /// Whether a key in the inventory is an address, such as `pkcs11:object=root`, and not a file.
    static func isAddress(_ text: String) -> Bool { text.contains(":") }

    /// Whether a text can be the address of a key in a CA directory: a token and an object, a handle of a TPM or a key
    /// of an agent. It never names a library to load or a file to read; these follow the question mark of RFC 7512, and
    /// are accepted only on the command line.
    static func isLastingAddress(_ text: String) -> Bool {
        guard text.utf8.count <= 4096, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != 0x3f }) else {
            return false
        }
        return ["pkcs11:", "handle:", "ssh-agent:"].contains { text.hasPrefix($0) }
    }

    /// An address without its query: the library of a token and the source of its PIN.
    static func lastingAddress(_ text: String) -> String { String(text.prefix { $0 != "?" }) }
}

extension UInt8 {
    var isASCIILetterOrDigit: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: false
        }
    }
}

extension CADirectory.PlannedFile {
    static func certificates(_ certificates: [Certificate], _ name: String) -> Self {
        .init(name: name, contents: SecretBytes(certificates.map(\.pemEncoded).joined().utf8), mode: 0o644)
    }

    /// The file with the address of a CA key.
    static func keyAddress(_ address: String, of name: String) -> Self {
        let text = "# The address of this CA's key.\n\(AuthorityFiles.lastingAddress(address))\n"
        return .init(name: AuthorityFiles.keyAddress(of: name), contents: SecretBytes(text.utf8), mode: 0o600)
    }
}

/// One step of a change that the inventory has recorded. Repeating a step has no effect.
struct FileMove: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// The draft gets the name; `replaces` tells whether another file may have it.
        case place(draft: String, replaces: Bool)
        /// The name is removed if a copy of the file is in the archive.
        case remove(copy: String)
    }

    /// The order: the archive first, keys before certificates, removals last.
    enum Stage: Int, Sendable {
        case archive, keys, certificates, removals
    }

    var name: String
    var kind: Kind
    var stage: Stage

    /// A draft's path, with the number of its change: the steps of the last change stay recorded until the next, and
    /// must not use a draft of another change.
    static func draft(_ number: Int, generation: Int) -> String {
        "\(CADirectory.draftDirectory)/\(generation)-\(number)"
    }

    /// The number of the change, from the draft's name.
    var generation: Int? {
        guard case .place(let draft, _) = kind else { return nil }
        return draft.dropFirst(CADirectory.draftDirectory.count + 1).split(separator: "-").first.flatMap { Int($0) }
    }

    /// Whether a name is that of a draft: two numbers of at most 15 digits, with a hyphen between them.
    static func isDraftName(_ name: some StringProtocol) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { (1...15).contains($0.count) && $0.allSatisfy { (0x30...0x39).contains($0) } }
    }

    /// Whether a text is the path of a draft below the CA directory.
    static func isDraft(_ path: String) -> Bool {
        path.hasPrefix("\(CADirectory.draftDirectory)/")
            && isDraftName(path.dropFirst(CADirectory.draftDirectory.count + 1))
    }
}
