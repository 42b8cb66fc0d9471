// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The names of files in a CA's directory.
enum AuthorityFiles {
    /// The certificate of a name.
    static func certificate(of name: String) -> String { "\(name)-cert.pem" }

    /// The key of a name.
    static func key(of name: String) -> String { "\(name)-key.pem" }

    /// Where the key of a CA is, when that is elsewhere.
    static func keyAddress(of name: String) -> String { "\(name)-key.uri" }

    /// The CA certificates between a name and its root.
    static func chain(of name: String) -> String { "\(name)-chain.pem" }

    /// Certificate, key and chain in one PKCS#12 file.
    static func bundle(of name: String) -> String { "\(name).p12" }

    /// What opens that file.
    static func bundlePassphrase(of name: String) -> String { "\(name).p12-passphrase" }

    /// The last certificate revocation list of a CA.
    static func revocationList(of name: String) -> String { "\(name)-crl.pem" }

    /// Whether a text can be the path of a file of the CA directory, as the inventory names it: one component, or `archive/` and
    /// one. A component has 1 to 255 of the letters a to z and A to Z, digits, `.`, `_`, `@`, `+`, `,`, `=`, `~`, blanks and
    /// `-`, does not begin with `.` or `-`, and is none of the inventory's own files.
    static func isPath(_ path: String) -> Bool {
        let path = path.utf8
        return isComponent(path.starts(with: inArchive) ? path.dropFirst(inArchive.count) : path[...])
    }

    private static let inArchive = Array("\(CADirectory.archiveDirectory)/".utf8)
    private static let inventory = Array(Inventory.fileName.utf8)
    private static let archive = Array(CADirectory.archiveDirectory.utf8)

    /// Whether a path is that of a key, or of a file with one in it, by its name: no certificate is ever written there.
    static func isKeyPath(_ path: String) -> Bool {
        let octets = path.utf8
        if keySuffixes.contains(where: { octets.count >= $0.count && octets.suffix($0.count).elementsEqual($0) }) {
            return true
        }
        return octets.starts(with: inArchive) && path.contains("-key-") && !path.contains("-cert-")
    }

    private static let keySuffixes = [".uri", ".p12", ".p12-passphrase", "-key.pem"].map { Array($0.utf8) }

    /// Every row of a list is looked at here, so that bytes are compared, and not characters.
    private static func isComponent(_ name: Substring.UTF8View) -> Bool {
        guard (1...255).contains(name.count), let first = name.first, first != UInt8(ascii: "."),
            first != UInt8(ascii: "-"), name.allSatisfy(isAllowed)
        else { return false }
        return !name.starts(with: inventory) && !name.elementsEqual(archive)
    }

    private static func isAllowed(_ octet: UInt8) -> Bool {
        switch octet {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "@"), UInt8(ascii: "+"), UInt8(ascii: ","),
            UInt8(ascii: "="), UInt8(ascii: "~"), UInt8(ascii: " "), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// Whether what the inventory says of a key is no file but an address, such as `pkcs11:object=root`.
    static func isAddress(_ text: String) -> Bool { text.contains(":") }

    /// Whether a text can be the address of a key as a CA directory keeps it. It names a token and an object, a handle of a TPM
    /// or a key of an agent; never a library to be loaded or a file to be read, which come with the question mark of RFC 7512
    /// and only from the command line.
    static func isLastingAddress(_ text: String) -> Bool {
        guard text.utf8.count <= 4096, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != 0x3f }) else {
            return false
        }
        return ["pkcs11:", "handle:", "ssh-agent:"].contains { text.hasPrefix($0) }
    }

    /// An address without what a CA directory must not say: the library of a token, and where its PIN is.
    static func lastingAddress(_ text: String) -> String { String(text.prefix { $0 != "?" }) }
}

extension CADirectory.PlannedFile {
    /// The file that says where the key of a CA is.
    static func keyAddress(_ address: String, of name: String) -> Self {
        let text = "# Where the key of this CA is.\n\(AuthorityFiles.lastingAddress(address))\n"
        return .init(name: AuthorityFiles.keyAddress(of: name), contents: SecretBytes(text.utf8), mode: 0o600)
    }
}
