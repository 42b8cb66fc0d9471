// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The names of files in a CA's folder.
enum AuthorityFiles {
    /// The certificate of a name.
    static func certificate(of name: String) -> String { "\(name)-cert.pem" }

    /// The key of a name.
    static func key(of name: String) -> String { "\(name)-key.pem" }

    /// Where the key of a CA is, when that is elsewhere.
    static func keyAddress(of name: String) -> String { "\(name)-key.uri" }

    /// The CA certificates between a name and its root.
    static func chain(of name: String) -> String { "\(name)-chain.pem" }

    /// Certificate, key and chain in one PKCS#12 file.
    static func bundle(of name: String) -> String { "\(name).p12" }

    /// What opens that file.
    static func bundlePassphrase(of name: String) -> String { "\(name).p12-passphrase" }

    /// The last certificate revocation list of a CA.
    static func revocationList(of name: String) -> String { "\(name)-crl.pem" }

    /// Whether what the inventory says of a key is no file but an address, such as `pkcs11:object=root`.
    static func isAddress(_ text: String) -> Bool { text.contains(":") }
}

extension Folder.NewFile {
    /// The file that says where the key of a CA is.
    static func keyAddress(_ address: String, of name: String) -> Self {
        let text = "# Where the key of this CA is.\n\(address)\n"
        return .init(name: AuthorityFiles.keyAddress(of: name), contents: SecretBytes(text.utf8), mode: 0o600)
    }
}
