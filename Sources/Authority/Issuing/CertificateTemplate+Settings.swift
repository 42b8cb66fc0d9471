// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

extension CertificateTemplate {
    /// The kind of key: `key_type` in `[ pki ]`, P-256 where a foreign template has none.
    var keyType: KeyType {
        get throws(AuthorityError) {
            guard let text = settings["key_type"] else { return .ecP256 }
            guard let type = KeyType(rawValue: text) else {
                throw AuthorityError(
                    .invalidRequest,
                    "\(name): key_type = \(text) is not a kind of key",
                    hint: "the kinds are \(KeyType.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            return type
        }
    }

    /// The lifetime in days: `days` in `[ pki ]`, a year where a foreign template has none.
    var days: Int {
        get throws(AuthorityError) {
            guard let text = settings["days"] else { return 365 }
            guard let days = Int(text), days >= 1 else {
                throw AuthorityError(.invalidRequest, "\(name): days = \(text) is not a number of days")
            }
            return days
        }
    }

    /// The profile's name: `profile` in `[ pki ]`, or else the name of the file without directories and `.conf`.
    var profile: String {
        if let name = settings["profile"] { return name }
        let file = name.split(separator: "/").last.map(String.init) ?? name
        return file.hasSuffix(".conf") ? String(file.dropLast(".conf".count)) : file
    }
}
