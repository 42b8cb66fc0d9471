// SPDX-License-Identifier: Apache-2.0

import Certificates

/// Where the software that made a directory puts things.
struct ImportLayout {
    let kind: ImportedCA.Kind

    /// The directory that is meant, below the one that was named; empty for that one itself.
    let directory: String

    /// Paths where the CA's own certificate may be, the likeliest first.
    let authorities: [String]

    /// What the configuration file of `openssl ca` says.
    var configuration: OpenSSLConfiguration?

    /// Tells whose layout a directory has.
    ///
    /// - Parameters:
    ///   - paths: The paths of the files in it.
    ///   - read: Reads a small file of text; nothing when that cannot be done.
    init(_ paths: [String], read: (String) -> String?) {
        let present = Set(paths)
        func has(_ directory: String, _ name: String) -> Bool { present.contains(Self.join(directory, name)) }
        func holds(_ directory: String) -> Bool { paths.contains { $0.hasPrefix(directory + "/") } }
        if has("", "root-cert.pem") || has("", "inventory.sqlite") || paths.contains(where: Self.isArchivedRoot) {
            let archived = paths.filter(Self.isArchivedRoot).sorted(by: >)
            self.init(kind: .pki, directory: "", authorities: ["root-cert.pem"] + archived)
            return
        }
        for directory in ["", "pki"] where has(directory, "ca.crt") {
            let isItsOwn = ["openssl-easyrsa.cnf", "safessl-easyrsa.cnf", "vars", "vars.example"].contains {
                has(directory, $0) || has("", $0)
            }
            guard isItsOwn || holds(Self.join(directory, "issued")) || holds(Self.join(directory, "certs_by_serial"))
            else {
                continue
            }
            self.init(kind: .easyRSA, directory: directory, authorities: ["ca.crt"])
            return
        }
        if has("", "rootCA.pem") {
            self.init(kind: .mkcert, directory: "", authorities: ["rootCA.pem"])
            return
        }
        for path in ["certs/root_ca.crt", "root_ca.crt", "certs/intermediate_ca.crt"] where has("", path) {
            self.init(kind: .step, directory: "", authorities: [path])
            return
        }
        for path in paths where !path.contains("/") && (path.hasSuffix(".cnf") || path.hasSuffix(".conf")) {
            guard let text = read(path), let found = OpenSSLConfiguration(text) else { continue }
            let certificates = found.candidates(for: .certificate)
            self.init(kind: .openSSL, directory: "", authorities: certificates + Self.openSSLAuthorities)
            configuration = found
            return
        }
        for directory in ["", "demoCA"] where has(directory, "index.txt") {
            self.init(kind: .openSSL, directory: directory, authorities: Self.openSSLAuthorities)
            return
        }
        self.init(kind: .plain, directory: "", authorities: [])
    }

    private init(kind: ImportedCA.Kind, directory: String, authorities: [String]) {
        (self.kind, self.directory, self.authorities) = (kind, directory, authorities)
    }

    private static let openSSLAuthorities = [
        "cacert.pem", "ca.crt", "ca.pem", "ca-cert.pem", "ca.cert.pem", "certs/ca.cert.pem", "certs/cacert.pem",
        "certs/ca.crt", "certs/ca.pem", "demoCA/cacert.pem", "private/ca.crt",
    ]

    private static func isArchivedRoot(_ path: String) -> Bool { path.hasPrefix("archive/root-cert-") }

    private static func join(_ directory: String, _ name: String) -> String {
        directory.isEmpty ? name : "\(directory)/\(name)"
    }
}
