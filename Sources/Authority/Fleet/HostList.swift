// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials
import SystemSupport

/// The hosts of a batch, read from a file.
///
/// The file is CSV (RFC 4180) with a line of headings, a plain list with a name on each line, or JSON: an array of
/// objects, or one object after the other. The first character determines the format. The text is UTF-8, with or
/// without a byte order mark. Lines that begin with `#` are comments before the headings of CSV, and everywhere in a
/// plain list.
///
/// | column, key | value |
/// |---|---|
/// | `name` | the name of the files; required and unique |
/// | `dns`, `ip`, `uri`, `email` | alternative names, separated by blanks or `;`, or an array in JSON |
/// | `subject` | as in RFC 4514 |
/// | `days`, `not_after` | the lifetime; only one of them |
/// | `key_type` | such as `ec-p256` |
/// | `profile` | the profile, if it is not that of the batch |
/// | `csr` | the path of a certificate request |
///
/// Empty and `null` values are ignored. Other columns are errors.
package struct HostList: Sendable {
    package struct Host: Hashable, Sendable {
        package let name: String
        package internal(set) var subject: DistinguishedName?
        /// DNS names, addresses, URIs and mailboxes, each in the order of the file.
        package internal(set) var subjectAlternativeNames: [GeneralName] = []
        package internal(set) var lifetime: Lifetime?
        package internal(set) var keyType: KeyType?
        /// Not checked: there may be no such profile.
        package internal(set) var profile: String?
        /// Not checked: there may be no such file.
        package internal(set) var certificateRequestPath: String?
        /// Counted from 1.
        package let line: Int
    }

    /// In the order of the file; at least one, with unique names.
    package let hosts: [Host]
    /// The size limit of a file in bytes.
    package static let limit = 64 << 20

    package init(of path: String, now: Date) throws(AuthorityError) {
        let contents: FileContents
        do {
            contents = try FileContents(of: path, limit: Self.limit)
        } catch {
            throw AuthorityError(error.isMissing ? .missing : .storage, error.message, hint: error.hint)
        }
        try self.init(unsafe contents.bytes.withUnsafeBytes { unsafe Array($0) }, name: path, now: now)
    }

    /// Reads the contents of a file. The error names up to 20 lines that are not valid.
    package init(_ contents: [UInt8], name: String, now: Date) throws(AuthorityError) {
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
                faults.add("the name \(host.name) is already on line \(line)", line: host.line)
                lines[host.name] = line
            }
        }
        try faults.check()
        guard !read.isEmpty else {
            throw AuthorityError(
                .invalidRequest, "\(faults.file) contains no host",
                hint: "write one name per line, or CSV with the columns \(HostColumn.list)")
        }
        hosts = read
    }

    /// Whether the file contains PEM objects: then no message may repeat a line.
    private static func holdsKey(_ contents: [UInt8]) -> Bool {
        let marks = ["-----BEGIN ", "-----END "].map { Array($0.utf8) }
        return contents.indices.contains { index in
            contents[index] == marks[0][0] && marks.contains { contents[index...].starts(with: $0) }
        }
    }

    /// The text without its byte order mark, which must be UTF-8.
    private static func text(in contents: [UInt8], _ faults: inout HostListFaults) -> [UInt8] {
        // With or without its byte order mark.
        if contents.starts(with: [0xff, 0xfe]) || contents.starts(with: [0xfe, 0xff]) || contents.prefix(2).contains(0)
        {
            faults.add("the file is UTF-16", line: 1, hint: "save it as UTF-8")
            return []
        }
        if holdsKey(contents) {
            faults.add("the file contains PEM objects, not a list of hosts", line: 1)
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

extension HostList.Host {
    init(line: Int, now: Date, _ values: (HostColumn) -> [String]) throws {
        func value(_ column: HostColumn) -> String? { values(column).first }

        guard let name = value(.name) else {
            throw AuthorityError(.invalidRequest, "the name is missing")
        }
        try EntryName.checkNew(name)
        self.name = name
        self.line = line
        for text in values(.dns) { subjectAlternativeNames.append(try .dnsName(text)) }
        for text in values(.ip) { subjectAlternativeNames.append(try .ipAddress(text)) }
        for text in values(.uri) { subjectAlternativeNames.append(try .uniformResourceIdentifier(text)) }
        for text in values(.email) { subjectAlternativeNames.append(try .mailbox(text)) }
        if let text = value(.subject) {
            let subject = try DistinguishedName(text)
            guard !subject.isEmpty else {
                throw AuthorityError(.invalidRequest, "the subject \"\(text)\" is empty")
            }
            self.subject = subject
        }
        lifetime = try Self.lifetime(days: value(.days), notAfter: value(.notAfter))
        _ = try lifetime?.end(from: now)
        if let text = value(.keyType) {
            guard let type = KeyType(rawValue: text) else {
                throw AuthorityError(
                    .invalidRequest, "\"\(text)\" is not a kind of key",
                    hint: "use one of \(KeyType.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            keyType = type
        }
        profile = try value(.profile).map { try Self.checked($0, .profile) }
        certificateRequestPath = try value(.csr).map { try Self.checked($0, .csr) }
        guard keyType == nil || certificateRequestPath == nil else {
            throw AuthorityError(
                .invalidRequest, "only one of key_type and csr can be given: a certificate request has its own key")
        }
    }

    private static func lifetime(days: String?, notAfter: String?) throws(AuthorityError) -> Lifetime? {
        guard days == nil || notAfter == nil else {
            throw AuthorityError(.invalidRequest, "only one of days and not_after can be given")
        }
        if let days {
            guard let number = Int(days) else {
                throw AuthorityError(.invalidRequest, "days must be a whole number, not \"\(days)\"")
            }
            return .days(number)
        }
        guard let notAfter else { return nil }
        guard let lifetime = Lifetime(notAfter: notAfter) else {
            throw AuthorityError(
                .invalidRequest,
                "not_after must be a time such as 2030-12-31 or 2030-12-31T12:00:00Z, not \"\(notAfter)\"")
        }
        return lifetime
    }

    /// Refuses text that would not be safe in messages and paths.
    private static func checked(_ text: String, _ column: HostColumn) throws(AuthorityError) -> String {
        guard text == printable(text, limit: 4096), !text.utf8.contains(0) else {
            throw AuthorityError(.invalidRequest, "the \(column.heading) contains control characters, or is too long")
        }
        return text
    }
}

/// The errors in a file of hosts, which are reported together.
struct HostListFaults {
    /// The number of lines that are reported; the others are counted.
    static let limit = 20
    /// The name of the file, safe for a terminal.
    let file: String
    private var reported: [(line: Int, text: String)] = []
    private var count = 0
    private var hint: String?

    init(file: String) { self.file = printable(file) }

    mutating func add(_ text: String, line: Int, hint: String? = nil) {
        count += 1
        // The first lines are reported, in whatever order faults are found.
        guard reported.count < Self.limit || line < reported[reported.count - 1].line else { return }
        let place = reported.firstIndex { $0.line > line } ?? reported.count
        if place == 0 { self.hint = hint.map { printable(redacted($0)) } }
        // Redacted, because the file may be a key by mistake.
        reported.insert((line, printable(redacted(text), limit: 300)), at: place)
        if reported.count > Self.limit { reported.removeLast() }
    }

    mutating func add(_ error: any Error, line: Int) {
        if let error = error as? any ExplainedError {
            add(error.message, line: line, hint: error.hint)
        } else {
            add("it cannot be read", line: line)
        }
    }

    /// Throws if there are faults.
    func check() throws(AuthorityError) {
        guard count > 0 else { return }
        var lines = reported.map { "\(file):\($0.line): \($0.text)" }
        if count > 1 { lines.insert("\(count) lines of \(file) are not valid", at: 0) }
        if count > reported.count { lines.append("… and \(count - reported.count) more") }
        throw AuthorityError(.invalidRequest, lines.joined(separator: "\n"), hint: hint)
    }
}

// MARK: - JSON

/// Hosts in JSON: an array of objects, or objects one after another. A faulty object does not hide the others.
struct HostObjects {
    private let bytes: [UInt8]
    private var reader: JSONReader
    /// A byte and its line, from which later lines are counted.
    private var counted = (position: 0, line: 1)
    /// What is wrong with the text between objects, which ends the reading.
    private var fault: String?

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
        reader = JSONReader(bytes)
    }

    static func hosts(in bytes: [UInt8], now: Date, _ faults: inout HostListFaults) -> [HostList.Host] {
        var objects = HostObjects(bytes)
        var hosts: [HostList.Host] = []
        objects.reader.skipBlanks()
        let isArray = objects.reader.take("[")
        var isFirst = true
        while objects.goToNext(isArray: isArray, isFirst: isFirst) {
            isFirst = false
            let start = objects.reader.position
            let line = objects.line
            do {
                let values = try values(of: try objects.reader.value())
                hosts.append(try HostList.Host(line: line, now: now) { values[$0.rawValue] })
            } catch let error as JSONError {
                guard objects.reader.skipNested(from: start) else {
                    faults.add("the object is not closed", line: line)
                    return hosts
                }
                faults.add("the object is not well-formed JSON: \(error.message)", line: line, hint: error.hint)
            } catch {
                faults.add(error, line: line)
            }
        }
        if let fault = objects.fault { faults.add(fault, line: objects.line) }
        return hosts
    }

    /// The line of the current position, from 1.
    private var line: Int {
        mutating get {
            counted.line += bytes[counted.position..<reader.position].count { $0 == 0x0a }
            counted.position = reader.position
            return counted.line
        }
    }

    /// Goes to the next object. Returns `false` at the end, and when there is a fault.
    private mutating func goToNext(isArray: Bool, isFirst: Bool) -> Bool {
        reader.skipBlanks()
        if isArray {
            if reader.take("]") {
                reader.skipBlanks()
                if reader.next != nil { fault = "there is text after the end of the array" }
                return false
            }
            guard isFirst || reader.take(",") else {
                fault =
                    reader.next == nil ? "the array is not closed" : "a comma or the end of the array is expected"
                return false
            }
            reader.skipBlanks()
        } else if reader.next == nil {
            return false
        }
        guard reader.next == UInt8(ascii: "{") else {
            fault = "an object is expected, such as {\"name\": \"web-1\"}"
            return false
        }
        return true
    }

    /// The values of each column in an object.
    private static func values(of object: JSONValue) throws(AuthorityError) -> [[String]] {
        var values = [[String]](repeating: [], count: HostColumn.allCases.count)
        var seen: Set<HostColumn> = []
        var unknown: [String] = []
        for member in object.members ?? [] {
            guard let column = HostColumn(heading: member.name) else {
                unknown.append("\"\(member.name)\"")
                continue
            }
            guard seen.insert(column).inserted else {
                throw AuthorityError(.invalidRequest, "the key \(column.heading) appears twice")
            }
            values[column.rawValue] = try Self.values(of: column, member.value)
        }
        guard unknown.isEmpty else {
            throw AuthorityError(
                .invalidRequest,
                "unknown \(unknown.count == 1 ? "key" : "keys") \(unknown.sorted().joined(separator: ", "))",
                hint: "the keys are \(HostColumn.list)")
        }
        return values
    }

    private static func values(of column: HostColumn, _ value: JSONValue) throws(AuthorityError) -> [String] {
        if value == .null { return [] }
        if column == .days, let number = value.integer { return [String(number)] }
        if let text = value.string { return column.values(in: text) }
        let texts = value.array?.compactMap(\.string) ?? []
        guard column.takesSeveral, let array = value.array, texts.count == array.count else {
            let kind =
                switch column {
                case .days: "a whole number"
                case _ where column.takesSeveral: "a string or an array of strings"
                default: "a string"
                }
            throw AuthorityError(.invalidRequest, "the value of \(column.heading) is not \(kind)")
        }
        guard !texts.contains(where: { column.values(in: $0).isEmpty }) else {
            throw AuthorityError(.invalidRequest, "the array \(column.heading) contains an empty string")
        }
        return texts
    }
}
