// SPDX-License-Identifier: Apache-2.0

import Certificates

/// What the name of a file says about the certificate or key in it.
struct ForeignName {
    /// What the certificate is called: the file's name without what only says of what kind the file is.
    let stem: String

    /// Whether the name says that the file was put away, or that it is in a directory for such files.
    let isArchived: Bool

    /// When it was put away, as a part of the name: the same for the files of one certificate.
    let stamp: String?

    /// Whether the file is one of the certificates above another.
    let isChain: Bool

    /// Reads the path of a file.
    ///
    /// - Parameter path: The path, below the directory that is read.
    init(_ path: some StringProtocol) {
        let parts = path.split(separator: "/")
        var name = String(parts.last ?? "")
        for suffix in Self.fileExtensions
        where name.lowercased().hasSuffix(suffix) && name.utf8.count > suffix.utf8.count {
            name.removeLast(suffix.count)
            break
        }
        let isInArchive = parts.dropLast().contains { Self.archives.contains($0.lowercased()) }
        stamp = isInArchive ? Self.splitStamp(&name) : nil
        var isChain = false
        let lower = name.lowercased()
        if let suffix = Self.chainSuffixes.first(where: { lower.hasSuffix($0) && lower.count > $0.count }) {
            name.removeLast(suffix.count)
            isChain = true
        } else if let suffix = Self.kindSuffixes.first(where: { lower.hasSuffix($0) && lower.count > $0.count }) {
            name.removeLast(suffix.count)
        }
        stem = name
        isArchived = isInArchive
        self.isChain = isChain
    }

    /// The stem without any word for a certificate or a key, in lower case: the same for the two files of a pair.
    var pairing: String {
        var name = stem.lowercased()
        for word in ["certificate", "cert", "key", "crt"] where name.hasSuffix(word) && name.count > word.count {
            name.removeLast(word.count)
            while let last = name.last, "-_.".contains(last), name.count > 1 { name.removeLast() }
            break
        }
        return name
    }

    /// Whether the file is called by a serial number.
    ///
    /// - Parameter serialNumber: The certificate's.
    /// - Returns: Whether it is so, whatever zeros it begins with.
    func isSerial(_ serialNumber: SerialNumber) -> Bool { SerialNumber(hexadecimal: stem) == serialNumber }

    /// What becomes of any text when it is to be a name that files can have.
    ///
    /// - Parameter text: The text.
    /// - Returns: The name; nothing when nothing of the text can be in one.
    static func fitting(_ text: some StringProtocol) -> String? {
        var name = ""
        for character in text {
            let isAllowed =
                character.isASCII && (character.isLetter || character.isNumber || "._@-".contains(character))
            if name.isEmpty, !isAllowed || character == "." || character == "-" { continue }
            if name.utf8.count == nameLimit { break }
            if isAllowed { name.append(character) } else if name.last != "-" { name.append("-") }
        }
        while name.last == "-" { name.removeLast() }
        return name.isEmpty ? nil : name
    }

    /// Room is left in the 64 characters of a name for what keeps two apart.
    private static let nameLimit = 54

    private static let fileExtensions = [".pem", ".crt", ".cer", ".cert", ".der", ".key", ".uri", ".p7b", ".p7c"]
    private static let chainSuffixes = [
        "-fullchain", "_fullchain", ".fullchain", "-chain", "_chain", ".chain", "-bundle",
    ]
    private static let kindSuffixes = ["-cert", "_cert", ".cert", "-crt", ".crt", "-key", "_key", ".key"]
    private static let archives: Set<String> = ["archive", "revoked", "renewed", "expired"]

    /// Takes off what ``CADirectory/archivedName(of:stamp:taken:)`` puts on: `-20260101T000000Z`, and perhaps `-2`.
    private static func splitStamp(_ name: inout String) -> String? {
        func isStamp(_ text: Substring) -> Bool {
            let octets = Array(text.utf8)
            guard octets.count == 16, octets[8] == UInt8(ascii: "T"), octets[15] == UInt8(ascii: "Z") else {
                return false
            }
            return (Array(octets[0..<8]) + octets[9..<15]).allSatisfy { (0x30...0x39).contains($0) }
        }
        guard var dash = name.lastIndex(of: "-") else { return nil }
        let last = name[name.index(after: dash)...]
        if !isStamp(last) {
            guard (1...4).contains(last.count), last.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let before = name[..<dash].lastIndex(of: "-"), isStamp(name[name.index(after: before)..<dash])
            else { return nil }
            dash = before
        }
        let stamp = String(name[name.index(after: dash)...])
        name = String(name[..<dash])
        return stamp
    }
}
