// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// A certificate template in the format of OpenSSL's configuration files (config(5), x509v3_config(5)).
///
/// The subject comes from the section that `distinguished_name` in `[ req ]` names, else from
/// `[ req_distinguished_name ]`; the extensions from the section that `x509_extensions` in `[ req ]` names, else from
/// `[ v3 ]`. The section `[ pki ]` holds settings of this project, which OpenSSL passes over. libcrypto reads all of it,
/// so files made for `openssl req` and `openssl x509 -extfile` work as they are.
public struct CertificateTemplate: Hashable, Sendable {
    struct Entry: Hashable, Sendable {
        var name: String
        var value: String
    }

    /// The template's name in messages, usually its path.
    public let name: String

    /// The text, which libcrypto reads again whenever extensions are made from it.
    package let text: [UInt8]

    /// The subject; empty when the template has none.
    public let subject: DistinguishedName

    /// The settings of the section `[ pki ]`.
    public let settings: [String: String]

    let extensionEntries: [Entry]

    /// Whether the template wants the subject key identifier that is always written: the hash of the key.
    var hashesSubjectKey: Bool {
        extensionEntries.contains { $0.name == "subjectKeyIdentifier" && $0.value.hasSuffix("hash") }
    }

    package var hasSubjectAlternativeName: Bool { extensionEntries.contains { $0.name == "subjectAltName" } }
}

/// Refuses what an untrusted template could do by config(5): read other files and variables, or load code.
enum TemplateRule {
    /// The settings that load code or lead to those that do.
    private static let settings: Set<String> = [
        "openssl_conf", "engines", "providers", "dynamic_path", "engine_id", "module",
    ]

    /// Refuses a text that does so.
    static func check(_ text: [UInt8], name: String) throws(CertificateError) {
        // What libcrypto may join to one line, with the number of its first. Each line is looked at alone as well, so that
        // nothing depends on when it does.
        var joined: [UInt8] = []
        var first = 1
        for (index, line) in text.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
            var content = line
            while content.last == 0x0d { content.removeLast() }
            if joined.isEmpty { first = index + 1 }
            try check(Array(content), line: index + 1, of: name)
            joined += content
            if joined.last == backslash {
                joined.removeLast()
            } else {
                try check(joined, line: first, of: name)
                joined = []
            }
        }
        try check(joined, line: first, of: name)
    }

    private static func check(_ text: [UInt8], line: Int, of name: String) throws(CertificateError) {
        let content = text.drop { $0 <= 0x20 || [0xef, 0xbb, 0xbf].contains($0) }
        switch content.first {
        case nil, UInt8(ascii: "#"): return
        case UInt8(ascii: "."): throw refusal("a directive such as .include or .pragma", line, name)
        default: break
        }
        // libcrypto takes these away from names of sections and of settings.
        let plain = content.filter {
            $0 > 0x20 && $0 != backslash && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "'")
        }
        // In a section of this name every variable is one of the environment.
        let environment = Array("ENV::".utf8)
        let isEnvironment = plain.indices.contains { plain[$0...].starts(with: environment) }
        guard !isEnvironment, !plain.starts(with: "[ENV]".utf8) else {
            throw refusal("environment variables, ENV::", line, name)
        }
        if plain.first == UInt8(ascii: "["), plain.contains(UInt8(ascii: "$")) {
            throw refusal("a section whose name is a variable,", line, name)
        }
        guard let equals = plain.firstIndex(of: UInt8(ascii: "=")) else { return }
        let words = plain[..<equals].split(separator: UInt8(ascii: ":"))
        let setting = words.last.map { String(decoding: $0, as: UTF8.self) } ?? ""
        if settings.contains(setting) { throw refusal("the setting \(setting), which loads code,", line, name) }
    }

    private static let backslash = UInt8(ascii: "\\")

    private static func refusal(_ what: String, _ line: Int, _ name: String) -> CertificateError {
        CertificateError(
            .forbidden, "line \(line) of \(name) has \(what) and the template is not trusted",
            hint: "take it out; or, when the template is your own, say so: --trust-template")
    }
}
