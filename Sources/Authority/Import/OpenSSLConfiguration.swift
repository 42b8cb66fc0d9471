// SPDX-License-Identifier: Apache-2.0

import Certificates

/// What a configuration file of `openssl ca` says about where a CA's files are.
struct OpenSSLConfiguration {
    /// A setting of the CA's section that is a path.
    enum Setting: String, CaseIterable {
        case certificate
        case privateKey = "private_key"
        case database
        case newCertificates = "new_certs_dir"
        case revocationListNumber = "crlnumber"
        case serial
        case revocationList = "crl"
    }

    /// The directory that the others are in, as it is written; nothing when there is none.
    let directory: String?

    /// The paths as they are written, with variables replaced.
    let paths: [Setting: String]

    /// Reads a file; nothing comes of one that has no section of a CA.
    ///
    /// - Parameter text: The file's text.
    init?(_ text: String) {
        var sections: [String: [String: String]] = [:]
        var section = "default"
        var isContinued = false
        var line = ""
        for raw in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            line = isContinued ? line + raw : String(raw)
            isContinued = line.hasSuffix("\\")
            if isContinued {
                line.removeLast()
                continue
            }
            let plain = Self.trimmed(Self.withoutComment(line))
            if plain.hasPrefix("["), let end = plain.firstIndex(of: "]") {
                section = Self.trimmed(plain[plain.index(after: plain.startIndex)..<end])
            } else if let equals = plain.firstIndex(of: "=") {
                var name = Self.trimmed(plain[..<equals])
                var target = section
                if let colons = name.firstRange(of: "::") {
                    target = String(name[..<colons.lowerBound])
                    name = String(name[colons.upperBound...])
                }
                let value = Self.trimmed(plain[plain.index(after: equals)...])
                sections[target, default: [:]][name] = Self.expanded(value, sections, section)
            }
        }
        let main = sections["ca"]?["default_ca"] ?? sections["default"]?["default_ca"]
        guard let main, let values = sections[main] else { return nil }
        directory = values["dir"]
        var paths: [Setting: String] = [:]
        for setting in Setting.allCases {
            if let path = values[setting.rawValue], !path.isEmpty { paths[setting] = path }
        }
        guard !paths.isEmpty else { return nil }
        self.paths = paths
    }

    /// The places where a file may be that the configuration names, the likeliest first.
    ///
    /// A directory may have been copied since, or be named from where `openssl` was run: what stands below `dir` is looked for
    /// in the directory that is read before anything else.
    ///
    /// - Parameter setting: Which file.
    /// - Returns: Paths below the directory that is read, or from the root.
    func candidates(for setting: Setting) -> [String] {
        guard let path = paths[setting] else { return [] }
        var candidates: [String] = []
        if let directory, path.hasPrefix(directory) {
            candidates.append(String(path.dropFirst(directory.count).drop { $0 == "/" }))
        }
        var plain = path
        while plain.hasPrefix("./") { plain.removeFirst(2) }
        candidates.append(plain)
        return candidates.filter { !$0.isEmpty && !$0.split(separator: "/").contains("..") }
    }

    /// Replaces `$name`, `${name}`, `$(name)` and `${section::name}`.
    private static func expanded(
        _ text: String,
        _ sections: [String: [String: String]],
        _ section: String
    ) -> String {
        var result = ""
        var rest = text[...]
        // What is put in is not looked into again, so that this ends; what would grow without end is cut.
        while let character = rest.popFirst(), result.utf8.count < 4096 {
            guard character == "$", let next = rest.first else {
                if character == "\\", let escaped = rest.popFirst() {
                    result.append(escaped)
                } else if character != "\"" {
                    result.append(character)
                }
                continue
            }
            let closing: Character? = next == "{" ? "}" : next == "(" ? ")" : nil
            var name: Substring
            if let closing {
                guard let end = rest.firstIndex(of: closing) else { return result }
                name = rest[..<end].dropFirst()
                rest = rest[rest.index(after: end)...]
            } else {
                name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" }
                rest = rest[name.endIndex...]
            }
            var place = section
            if let colons = name.firstRange(of: "::") {
                place = String(name[..<colons.lowerBound])
                name = name[colons.upperBound...]
            }
            result += sections[place]?[String(name)] ?? sections["default"]?[String(name)] ?? ""
        }
        return result
    }

    private static func withoutComment(_ line: String) -> Substring {
        line.prefix { $0 != "#" }
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var rest = Substring(text)
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}
