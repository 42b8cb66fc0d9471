// SPDX-License-Identifier: Apache-2.0

import Certificates

/// Where the software that made a folder puts things.
struct ImportLayout {
    let kind: ImportedCA.Kind

    /// The folder that is meant, below the one that was named; empty for that one itself.
    let folder: String

    /// Paths where the CA's own certificate may be, the likeliest first.
    let authorities: [String]

    /// What the configuration file of `openssl ca` says.
    var configuration: OpenSSLConfiguration?

    /// Tells whose layout a folder has.
    ///
    /// - Parameters:
    ///   - paths: The paths of the files in it.
    ///   - read: Reads a small file of text; nothing when that cannot be done.
    init(_ paths: [String], read: (String) -> String?) {
        let present = Set(paths)
        func has(_ folder: String, _ name: String) -> Bool { present.contains(Self.join(folder, name)) }
        func holds(_ folder: String) -> Bool { paths.contains { $0.hasPrefix(folder + "/") } }
        if has("", "root-cert.pem") || has("", "inventory.sqlite") || paths.contains(where: Self.isArchivedRoot) {
            let archived = paths.filter(Self.isArchivedRoot).sorted(by: >)
            self.init(kind: .pki, folder: "", authorities: ["root-cert.pem"] + archived)
            return
        }
        for folder in ["", "pki"] where has(folder, "ca.crt") {
            let isItsOwn = ["openssl-easyrsa.cnf", "safessl-easyrsa.cnf", "vars", "vars.example"].contains {
                has(folder, $0) || has("", $0)
            }
            guard isItsOwn || holds(Self.join(folder, "issued")) || holds(Self.join(folder, "certs_by_serial")) else {
                continue
            }
            self.init(kind: .easyRSA, folder: folder, authorities: ["ca.crt"])
            return
        }
        if has("", "rootCA.pem") {
            self.init(kind: .mkcert, folder: "", authorities: ["rootCA.pem"])
            return
        }
        for path in ["certs/root_ca.crt", "root_ca.crt", "certs/intermediate_ca.crt"] where has("", path) {
            self.init(kind: .step, folder: "", authorities: [path])
            return
        }
        for path in paths where !path.contains("/") && (path.hasSuffix(".cnf") || path.hasSuffix(".conf")) {
            guard let text = read(path), let found = OpenSSLConfiguration(text) else { continue }
            let certificates = found.candidates(for: .certificate)
            self.init(kind: .openSSL, folder: "", authorities: certificates + Self.openSSLAuthorities)
            configuration = found
            return
        }
        for folder in ["", "demoCA"] where has(folder, "index.txt") {
            self.init(kind: .openSSL, folder: folder, authorities: Self.openSSLAuthorities)
            return
        }
        self.init(kind: .plain, folder: "", authorities: [])
    }

    private init(kind: ImportedCA.Kind, folder: String, authorities: [String]) {
        (self.kind, self.folder, self.authorities) = (kind, folder, authorities)
    }

    private static let openSSLAuthorities = [
        "cacert.pem", "ca.crt", "ca.pem", "ca-cert.pem", "ca.cert.pem", "certs/ca.cert.pem", "certs/cacert.pem",
        "certs/ca.crt", "certs/ca.pem", "demoCA/cacert.pem", "private/ca.crt",
    ]

    private static func isArchivedRoot(_ path: String) -> Bool { path.hasPrefix("archive/root-cert-") }

    private static func join(_ folder: String, _ name: String) -> String { folder.isEmpty ? name : "\(folder)/\(name)" }
}
