// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import SystemSupport

extension CertificateTemplate {
    /// Reads a template.
    ///
    /// - Parameters:
    ///   - text: The contents of the file.
    ///   - name: What the template is called in messages, usually its path.
    ///   - isTrusted: Whether it may read other files and environment variables, and name libraries: for a template that the
    ///     user wrote and says so.
    /// - Throws: ``CertificateError`` naming the line that is wrong, or the part of the subject.
    public init(reading text: [UInt8], name: String, isTrusted: Bool = false) throws(CertificateError) {
        if !isTrusted { try TemplateRule.check(text, name: name) }
        let configuration = try Configuration(text, name: name)
        self.name = name
        self.text = text
        let subjectSection = configuration.value("distinguished_name", in: "req") ?? "req_distinguished_name"
        let asksForValues = configuration.value("prompt", in: "req") != "no" && configuration.entries(in: "req") != nil
        let entries = configuration.entries(in: subjectSection) ?? []
        do {
            subject = try DistinguishedName(relativeNames: Self.relativeNames(entries, onlyDefaults: asksForValues))
        } catch {
            throw CertificateError(
                error.code,
                "\(redacted("[ \(subjectSection) ]")) in \(name): \(redacted(error.message))",
                hint: error.hint.map(redacted)
            )
        }
        var settings: [String: String] = [:]
        for entry in configuration.entries(in: "pki") ?? [] { settings[entry.name] = entry.value }
        self.settings = settings
        let named = configuration.value("x509_extensions", in: "req") ?? configuration.value("extensions", in: nil)
        if let named, configuration.entries(in: named) == nil {
            throw CertificateError(
                .malformed,
                "\(name) names the extension section [ \(redacted(named)) ] and has none"
            )
        }
        let fallback = configuration.value("req_extensions", in: "req")
        let section = [named, "v3", fallback].compactMap(\.self).first { configuration.entries(in: $0) != nil }
        // A file for `openssl x509 -extfile` may hold its extensions before any section.
        extensionEntries = configuration.entries(in: section ?? "default") ?? []
    }

    /// Reads the lines of a subject section as req(1) does: `2.OU` is one more OU, a leading `+` joins the set before it,
    /// and where values are asked for only the lines `NAME_default` hold any.
    private static func relativeNames(_ entries: [Entry], onlyDefaults: Bool) -> [[DistinguishedName.Attribute]] {
        var sets: [[DistinguishedName.Attribute]] = []
        for entry in entries {
            var type = Substring(entry.name)
            if onlyDefaults {
                guard type.hasSuffix("_default"), !entry.value.isEmpty else { continue }
                type = type.dropLast("_default".count)
            }
            if let separator = type.firstIndex(where: { ":,.".contains($0) }),
                type.index(after: separator) < type.endIndex,
                !type.allSatisfy({ $0.isNumber || $0 == "." })
            {
                type = type[type.index(after: separator)...]
            }
            let joins = type.hasPrefix("+")
            if joins { type = type.dropFirst() }
            let attribute = DistinguishedName.Attribute(type: String(type), value: entry.value)
            if joins, !sets.isEmpty { sets[sets.count - 1].append(attribute) } else { sets.append([attribute]) }
        }
        return sets
    }
}
