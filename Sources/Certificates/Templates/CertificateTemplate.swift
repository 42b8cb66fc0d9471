// SPDX-License-Identifier: Apache-2.0

/// A certificate template in the format of OpenSSL's configuration files (config(5), x509v3_config(5)).
///
/// The subject comes from the section that `distinguished_name` in `[ req ]` names, else from
/// `[ req_distinguished_name ]`; the extensions from the section that `x509_extensions` in `[ req ]` names, else from
/// `[ v3 ]`. The section `[ pki ]` holds settings of this project, which OpenSSL passes over. libcrypto reads all of it,
/// so files made for `openssl req` and `openssl x509 -extfile` work as they are.
public struct CertificateTemplate: Hashable, Sendable {
    /// A line of a section.
    struct Entry: Hashable, Sendable {
        var name: String
        var value: String
    }

    /// What the template is called in messages, usually its path.
    public let name: String

    /// The text, which libcrypto reads again whenever extensions are made from it.
    package let text: [UInt8]

    /// The subject; empty when the template has none.
    public let subject: DistinguishedName

    /// The settings of the section `[ pki ]`.
    public let settings: [String: String]

    /// The lines of the extension section.
    let extensionEntries: [Entry]

    /// Whether the template wants the subject key identifier that is always written: the hash of the key.
    var hashesSubjectKey: Bool {
        extensionEntries.contains { $0.name == "subjectKeyIdentifier" && $0.value.hasSuffix("hash") }
    }

    /// Whether the template names the subject's alternative names itself.
    public var hasSubjectAlternativeName: Bool { extensionEntries.contains { $0.name == "subjectAltName" } }
}
