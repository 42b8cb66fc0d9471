// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

/// The hosts that get a certificate in one run, read from a file.
///
/// The file is CSV (RFC 4180) with a line of headings, a plain list of names, one on a line, or JSON: an array of objects, or
/// one object after the other. Which of them is told by how it begins. It is UTF-8, with or without a byte order mark. Lines
/// that begin with `#` are left out before the headings, and everywhere in a plain list.
///
/// | column, key | value |
/// |---|---|
/// | `name` | what the files are called; needed, and each but once |
/// | `dns`, `ip`, `uri`, `email` | alternative names, several with blanks or `;` between them, or an array in JSON |
/// | `subject` | as in RFC 4514 |
/// | `days`, `not_after` | how long the certificate is good for: one of them |
/// | `key_type` | such as `ec-p256` |
/// | `profile` | the profile, where it is not that of all the others |
/// | `csr` | the path of a certificate request |
///
/// What is empty, or `null`, is as if it were not there. A column that is not in this table is refused.
public struct HostList: Sendable {
    /// One host.
    public struct Host: Hashable, Sendable {
        /// What the files are called.
        public let name: String

        /// The subject, when the file gives one.
        public internal(set) var subject: DistinguishedName?

        /// The alternative names: DNS names, addresses, URIs and mailboxes, each in the order of the file.
        public internal(set) var subjectAlternativeNames: [GeneralName] = []

        /// How long the certificate is good for, when the file says so.
        public internal(set) var lifetime: Lifetime?

        /// The kind of key, when the file names one.
        public internal(set) var keyType: KeyType?

        /// The name of the profile, when the file gives one; nobody has looked whether there is such a profile.
        public internal(set) var profile: String?

        /// The path of a certificate request as the file has it; nobody has looked for it yet.
        public internal(set) var certificateRequestPath: String?

        /// The line of the file on which the host begins, from 1.
        public let line: Int
    }

    /// The hosts in the order of the file. There is at least one, and no two have the same name.
    public let hosts: [Host]

    /// The most bytes that a file may have: 64 MiB.
    public static let limit = 64 << 20

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - now: The moment that no certificate may end before.
    /// - Throws: ``AuthorityError`` naming the file, or each line that cannot be used.
    public init(of path: String, now: Date) throws(AuthorityError) {
        let contents: FileContents
        do {
            contents = try FileContents(of: path, limit: Self.limit)
        } catch {
            throw AuthorityError(error.isMissing ? .missing : .storage, error.message, hint: error.hint)
        }
        try self.init(unsafe contents.bytes.withUnsafeBytes { unsafe Array($0) }, name: path, now: now)
    }

    /// Reads what stood in a file.
    ///
    /// - Parameters:
    ///   - contents: The bytes.
    ///   - name: What the file is called in messages.
    ///   - now: The moment that no certificate may end before.
    /// - Throws: ``AuthorityError`` with every line that cannot be used, up to 20 of them, as `NAME:LINE: what is wrong`.
    public init(_ contents: [UInt8], name: String, now: Date) throws(AuthorityError) {
        var faults = HostListFaults(file: name)
        guard contents.count <= Self.limit else {
            throw AuthorityError(.invalidRequest, "\(faults.file) is larger than \(Self.limit >> 20) MiB")
        }
        let bytes = Self.text(in: contents, &faults)
        try faults.check()
        let start = bytes.first { !($0 == 0x20 || (0x09...0x0d).contains($0)) }
        var read: [Host] = []
        if start == UInt8(ascii: "[") || start == UInt8(ascii: "{") {
            read = HostObjects.hosts(in: bytes, now: now, &faults)
        } else {
            read = HostTable.hosts(in: bytes, now: now, &faults)
        }
        var lines: [String: Int] = [:]
        lines.reserveCapacity(read.count)
        for host in read {
            if let line = lines.updateValue(host.line, forKey: host.name) {
                faults.add("the name \(host.name) stands on line \(line) already", line: host.line)
                lines[host.name] = line
            }
        }
        try faults.check()
        guard !read.isEmpty else {
            throw AuthorityError(
                .invalidRequest,
                "\(faults.file) names no host",
                hint: "write a name on each line, or CSV with the columns \(HostColumn.list)"
            )
        }
        hosts = read
    }

    /// Whether the file is one of keys or certificates, of which no message repeats a line.
    private static func holdsKey(_ contents: [UInt8]) -> Bool {
        let marks = ["-----BEGIN ", "-----END "].map { Array($0.utf8) }
        return contents.indices.contains { index in
            contents[index] == marks[0][0] && marks.contains { contents[index...].starts(with: $0) }
        }
    }

    /// The text without its byte order mark; what is not UTF-8 is a fault.
    private static func text(in contents: [UInt8], _ faults: inout HostListFaults) -> [UInt8] {
        // With its mark or without it.
        if contents.starts(with: [0xff, 0xfe]) || contents.starts(with: [0xfe, 0xff]) || contents.prefix(2).contains(0)
        {
            faults.add("the file is UTF-16", line: 1, hint: "save it as UTF-8")
            return []
        }
        if holdsKey(contents) {
            faults.add("the file has PEM objects, and no list of hosts", line: 1)
            return []
        }
        let bytes = contents.starts(with: [0xef, 0xbb, 0xbf]) ? Array(contents.dropFirst(3)) : contents
        if String(validating: bytes, as: UTF8.self) == nil {
            for (index, line) in bytes.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated()
            where String(validating: line, as: UTF8.self) == nil {
                faults.add("the line is not UTF-8", line: index + 1, hint: "save the file as UTF-8")
            }
        }
        return bytes
    }
}
