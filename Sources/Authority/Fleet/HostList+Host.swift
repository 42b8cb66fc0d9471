// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
import SystemSupport

extension HostList.Host {
    /// Makes a host of what the file says about it.
    ///
    /// - Parameters:
    ///   - line: The line on which it begins.
    ///   - now: The moment that its certificate may not end before.
    ///   - values: The values of a column, none of them empty; no more than one for a column that does not take several.
    /// - Throws: `ExplainedError` naming the value and the rule that it breaks.
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
                    .invalidRequest,
                    "\"\(text)\" is not a kind of key",
                    hint: "the kinds are \(KeyType.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            keyType = type
        }
        profile = try value(.profile).map { try Self.checked($0, .profile) }
        certificateRequestPath = try value(.csr).map { try Self.checked($0, .csr) }
        guard keyType == nil || certificateRequestPath == nil else {
            throw AuthorityError(
                .invalidRequest,
                "only one of key_type and csr can be given: a certificate request brings its own key"
            )
        }
    }

    private static func lifetime(days: String?, notAfter: String?) throws(AuthorityError) -> Lifetime? {
        guard days == nil || notAfter == nil else {
            throw AuthorityError(.invalidRequest, "only one of days and not_after can be given")
        }
        if let days {
            guard let number = Int(days) else {
                throw AuthorityError(.invalidRequest, "days are a whole number, not \"\(days)\"")
            }
            return .days(number)
        }
        guard let notAfter else { return nil }
        guard let lifetime = Lifetime(notAfter: notAfter) else {
            throw AuthorityError(
                .invalidRequest,
                "not_after is a moment such as 2030-12-31 or 2030-12-31T12:00:00Z, not \"\(notAfter)\""
            )
        }
        return lifetime
    }

    /// Text that goes into messages and to the file system as it is.
    private static func checked(_ text: String, _ column: HostColumn) throws(AuthorityError) -> String {
        guard text == printable(text, limit: 4096), !text.utf8.contains(0) else {
            throw AuthorityError(.invalidRequest, "the \(column.heading) holds control characters, or is very long")
        }
        return text
    }
}
