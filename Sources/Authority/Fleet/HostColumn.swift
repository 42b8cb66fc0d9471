// SPDX-License-Identifier: Apache-2.0

/// What a file of hosts can say of a host: a column of CSV, a key of JSON.
enum HostColumn: Int, CaseIterable {
    /// What the files are called, and the common name unless there is a subject.
    case name
    /// DNS names.
    case dns
    /// IP addresses.
    case ip
    /// URIs.
    case uri
    /// Mailboxes.
    case email
    /// The subject as in RFC 4514.
    case subject
    /// How many days the certificate is good for.
    case days
    /// The last moment it is good for.
    case notAfter
    /// The kind of key to make.
    case keyType
    /// The profile, where it is not the command's.
    case profile
    /// The path of a certificate request.
    case csr

    /// What the file calls it.
    var heading: String {
        switch self {
        case .notAfter: "not_after"
        case .keyType: "key_type"
        default: "\(self)"
        }
    }

    private static let columns = Dictionary(uniqueKeysWithValues: allCases.map { ($0.heading, $0) })

    /// Finds the column of a heading; gives nothing when there is none.
    ///
    /// - Parameter heading: The column's name, in any case, and with `-` or a blank for `_`.
    init?(heading: String) {
        if let column = Self.columns[heading] {
            self = column
            return
        }
        let name = heading.lowercased().map { $0 == "-" || $0 == " " ? "_" : String($0) }.joined()
        guard let column = Self.columns[name] else { return nil }
        self = column
    }

    /// Whether there may be several values, which are separated by blanks or `;`.
    var takesSeveral: Bool {
        switch self {
        case .dns, .ip, .uri, .email: true
        default: false
        }
    }

    /// The values of a field; none when it is empty.
    ///
    /// - Parameter field: The field's text, with any blanks around it.
    /// - Returns: The values, without blanks around them.
    func values(in field: String) -> [String] {
        if field.isEmpty { return [] }
        if takesSeveral {
            guard field.utf8.contains(where: { Self.isBlank($0) || $0 == UInt8(ascii: ";") }) else { return [field] }
            return field.utf8.split { Self.isBlank($0) || $0 == UInt8(ascii: ";") }.map { String(Substring($0)) }
        }
        let trimmed = Self.trimmed(field)
        return trimmed.isEmpty ? [] : [trimmed]
    }

    /// A field without the blanks around it.
    static func trimmed(_ field: String) -> String {
        var text = Substring(field).utf8
        while let first = text.first, isBlank(first) { text.removeFirst() }
        while let last = text.last, isBlank(last) { text.removeLast() }
        return text.count == field.utf8.count ? field : String(Substring(text))
    }

    /// Whether there is nothing in a field.
    static func isEmpty(_ field: String) -> Bool { field.utf8.allSatisfy(isBlank) }

    private static func isBlank(_ octet: UInt8) -> Bool { octet == 0x20 || (0x09...0x0d).contains(octet) }

    /// All names, for messages.
    static var list: String { allCases.map(\.heading).joined(separator: ", ") }
}
