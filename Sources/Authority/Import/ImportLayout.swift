// SPDX-License-Identifier: Apache-2.0

import Certificates

/// The arrangement of files by the software that created a directory.
struct ImportLayout {
    let kind: ImportedCA.Kind
    /// The CA's directory, relative to the one that was given.
    var directory = ""
    /// Paths of the CA's own certificate, the most likely first.
    var authorities: [String] = []
    /// The configuration file of `openssl ca`.
    var configuration: OpenSSLConfiguration?

    /// Identifies a layout. A pattern that ends in `*` is a prefix of paths.
    private struct Rule {
        let kind: ImportedCA.Kind
        var directories = [""]
        /// One of these exists.
        let markers: [String]
        /// One of these exists too; names without a directory also count next to the CA's directory.
        var evidence: [String] = []
        var authorities: [String]
    }

    private static let rules = [
        Rule(
            kind: .pki, markers: ["root-cert.pem", "inventory.sqlite", "archive/root-cert-*"],
            authorities: ["root-cert.pem", "archive/root-cert-*"]),
        Rule(
            kind: .easyRSA, directories: ["", "pki"], markers: ["ca.crt"],
            evidence: [
                "openssl-easyrsa.cnf", "safessl-easyrsa.cnf", "vars", "vars.example", "issued/*", "certs_by_serial/*",
            ], authorities: ["ca.crt"]),
        Rule(kind: .mkcert, markers: ["rootCA.pem"], authorities: ["rootCA.pem"]),
        Rule(kind: .step, markers: step, authorities: step),
        // A configuration file of openssl takes precedence over this rule.
        Rule(kind: .openSSL, directories: ["", "demoCA"], markers: ["index.txt"], authorities: openSSL),
    ]

    private static let step = ["certs/root_ca.crt", "root_ca.crt", "certs/intermediate_ca.crt"]
    private static let openSSL = [
        "cacert.pem", "ca.crt", "ca.pem", "ca-cert.pem", "ca.cert.pem", "certs/ca.cert.pem", "certs/cacert.pem",
        "certs/ca.crt", "certs/ca.pem", "demoCA/cacert.pem", "private/ca.crt",
    ]

    /// Identifies the layout of a directory.
    init(of scan: ImportScan) {
        let paths = scan.files.map(\.path)
        let present = Set(paths)
        func matches(_ pattern: String, in directory: String) -> [String] {
            let path = directory.isEmpty ? pattern : "\(directory)/\(pattern)"
            guard path.hasSuffix("*") else { return present.contains(path) ? [path] : [] }
            return paths.filter { $0.hasPrefix(path.dropLast()) }.sorted(by: >)
        }
        func holds(_ pattern: String, in directory: String) -> Bool { !matches(pattern, in: directory).isEmpty }
        for rule in Self.rules {
            if rule.kind == .openSSL {
                for path in paths where !path.contains("/") && (path.hasSuffix(".cnf") || path.hasSuffix(".conf")) {
                    let configuration = scan.text(of: path, limit: 1 << 20).flatMap { OpenSSLConfiguration($0) }
                    guard let configuration else { continue }
                    self.init(kind: .openSSL, configuration: configuration)
                    authorities = configuration.candidates(for: .certificate) + Self.openSSL
                    return
                }
            }
            for directory in rule.directories where rule.markers.contains(where: { holds($0, in: directory) }) {
                let isEvident = rule.evidence.contains {
                    holds($0, in: directory) || !$0.contains("/") && holds($0, in: "")
                }
                guard rule.evidence.isEmpty || isEvident else { continue }
                self.init(kind: rule.kind, directory: directory)
                // Relative to the CA's directory, which is scanned next.
                authorities = rule.authorities.flatMap { $0.hasSuffix("*") ? matches($0, in: directory) : [$0] }
                return
            }
        }
        self.init(kind: .plain)
    }

    private init(kind: ImportedCA.Kind, directory: String = "", configuration: OpenSSLConfiguration? = nil) {
        (self.kind, self.directory, self.configuration) = (kind, directory, configuration)
    }

    /// The numbers that `openssl` uses next, from the files next to a CA's indexes and its certificate. The
    /// configuration file describes the root.
    func nextNumbers(
        in scan: ImportScan, beside indexes: [String], of certificateFile: String, isRoot: Bool
    ) -> (serial: SerialNumber?, list: SerialNumber?) {
        guard kind == .openSSL || kind == .easyRSA || kind == .plain else { return (nil, nil) }
        let directories = indexes.map { String($0[..<($0.lastIndex(of: "/").map($0.index(after:)) ?? $0.startIndex)]) }
        func number(in file: String) -> SerialNumber? {
            scan.text(of: file, limit: 4096).flatMap { SerialNumber(hexadecimal: $0) }
        }
        func number(_ setting: OpenSSLConfiguration.Setting, _ name: String) -> SerialNumber? {
            let configured = isRoot ? configuration?.candidates(for: setting) ?? [] : []
            return (configured + directories.map { $0 + name }).lazy.compactMap { number(in: $0) }.first
        }
        var serial = number(.serial, "serial")
        if serial == nil, let dot = certificateFile.lastIndex(of: ".") {
            // `openssl x509 -CA` stores the last number that it used.
            serial = number(in: "\(certificateFile[..<dot]).srl")?.successor
        }
        return (serial, number(.revocationListNumber, "crlnumber"))
    }
}

/// The paths of a CA's files in a configuration file of `openssl ca`.
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

    /// The setting `dir`.
    let directory: String?
    /// The paths with variables replaced.
    let paths: [Setting: String]

    /// Reads a file; `nil` if it has no section of a CA.
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
            let plain = Self.trimmed(line.prefix { $0 != "#" })
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

    /// The possible paths of a file, the most likely first: relative to the directory that is read, or absolute.
    ///
    /// The directory may have been copied, or `dir` may be relative to where `openssl` was run, so a path below `dir`
    /// is first searched in the directory that is read.
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

    /// The paths outside of the directory that is read.
    func elsewhere(than scan: ImportScan) -> [String] {
        let settings: [Setting] = [.certificate, .privateKey, .database, .newCertificates, .revocationList]
        return settings.compactMap { setting in
            let candidates = candidates(for: setting)
            let isHere = candidates.contains { path in
                scan.files.contains { $0.path == path || $0.path.hasPrefix(path + "/") }
            }
            return isHere ? nil : candidates.first { $0.hasPrefix("/") }
        }
    }

    /// Replaces `$name`, `${name}`, `$(name)` and `${section::name}`.
    private static func expanded(_ text: String, _ sections: [String: [String: String]], _ section: String) -> String {
        var result = ""
        var rest = text[...]
        // Values are not expanded again, and their length is limited.
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

    private static func trimmed(_ text: some StringProtocol) -> String {
        var rest = Substring(text)
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}
