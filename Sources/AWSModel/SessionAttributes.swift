// SPDX-License-Identifier: Apache-2.0

package import Certificates

/// The values of a certificate that a profile makes session tags of.
///
/// Source: IAM Roles Anywhere User Guide, "Put attribute mappings".
package struct AttributeMapping: Codable, Hashable, Sendable {
    package enum Field: String, Codable, CaseIterable, Sendable {
        case subject = "x509Subject"
        case issuer = "x509Issuer"
        case alternativeName = "x509SAN"
    }

    /// The mappings of a new profile.
    package static let defaults = [
        AttributeMapping(field: .issuer, specifiers: ["*"]),
        AttributeMapping(field: .alternativeName, specifiers: ["DNS", "URI", "Name/*"]),
        AttributeMapping(field: .subject, specifiers: ["*"]),
    ]

    package var field: Field
    /// `*`, an attribute's name or OID; for alternative names `DNS`, `URI`, `Name/*`, `Name/CN`.
    package var specifiers: [String]

    package init(field: Field, specifiers: [String]) {
        self.field = field
        self.specifiers = specifiers
    }
}

/// A value of a certificate that can become a session tag.
package struct CertificateAttribute: Hashable, Sendable {
    package var field: AttributeMapping.Field
    /// `CN`, `DNS`, `URI`, `Name/CN`.
    package var specifier: String
    /// Repeated attributes of a name are joined with `/`, in their order.
    package var value: String

    /// The key of the tag: `x509Subject/CN`.
    package var key: String { "\(field.rawValue)/\(specifier)" }

    /// Whether AWS makes a tag of the value. It drops others without an error.
    package var isTaggable: Bool { value.unicodeScalars.allSatisfy(Self.isTaggable) }

    /// The attributes of the subject and the issuer, and the first alternative name of each kind, in their order.
    package static func attributes(of certificate: Certificate) -> [CertificateAttribute] {
        var attributes =
            attributes(of: certificate.subject, .subject) + self.attributes(of: certificate.issuer, .issuer)
        var kinds: Set<String> = []
        for name in certificate.subjectAlternativeNames {
            switch name {
            case .dns(let text):
                guard kinds.insert("DNS").inserted else { continue }
                attributes.append(CertificateAttribute(field: .alternativeName, specifier: "DNS", value: text))
            case .uri(let text):
                guard kinds.insert("URI").inserted else { continue }
                attributes.append(CertificateAttribute(field: .alternativeName, specifier: "URI", value: text))
            case .directory(let name):
                guard kinds.insert("Name").inserted else { continue }
                attributes += self.attributes(of: name, .alternativeName, prefix: "Name/")
            default: continue
            }
        }
        return attributes
    }

    private static func attributes(
        of name: DistinguishedName, _ field: AttributeMapping.Field, prefix: String = ""
    ) -> [CertificateAttribute] {
        var attributes: [CertificateAttribute] = []
        for part in name.relativeNames.joined() {
            let specifier = prefix + part.type
            if let index = attributes.firstIndex(where: { $0.specifier == specifier }) {
                attributes[index].value += "/\(part.value)"
            } else {
                attributes.append(CertificateAttribute(field: field, specifier: specifier, value: part.value))
            }
        }
        return attributes
    }

    /// Whether a session tag can hold a character: `[\p{L}\p{Z}\p{N}_.:/=+\-@]`.
    package static func isTaggable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
            .spaceSeparator, .lineSeparator, .paragraphSeparator,
            .decimalNumber, .letterNumber, .otherNumber:
            true
        default: "_.:/=+-@".unicodeScalars.contains(scalar)
        }
    }
}

/// The tags that a session gets from a certificate.
package struct SessionTags: Sendable {
    /// The tags by their keys, `x509Subject/CN`.
    package private(set) var values: [String: String] = [:]

    /// The keys of mapped attributes that AWS drops for a character in their value.
    package private(set) var dropped: [String] = []

    package init(_ attributes: [CertificateAttribute], by mappings: [AttributeMapping]) {
        for attribute in attributes where Self.isMapped(attribute, mappings) {
            if attribute.isTaggable {
                values[attribute.key] = attribute.value
            } else {
                dropped.append(attribute.key)
            }
        }
    }

    private static func isMapped(_ attribute: CertificateAttribute, _ mappings: [AttributeMapping]) -> Bool {
        mappings.contains { mapping in
            mapping.field == attribute.field
                && mapping.specifiers.contains { specifier in
                    specifier == attribute.specifier || specifier == "*" && attribute.field != .alternativeName
                        || specifier == "Name/*" && attribute.specifier.hasPrefix("Name/")
                }
        }
    }

    /// The tags and the dropped keys on one line.
    package var words: String {
        let made = values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
        guard !dropped.isEmpty else { return made.isEmpty ? "none" : made }
        let lost = "dropped for a character in the value: \(dropped.joined(separator: ", "))"
        return made.isEmpty ? lost : "\(made); \(lost)"
    }
}

/// The tags and names that a session of a certificate gets from a new profile.
///
/// Source: IAM Roles Anywhere User Guide, "Trust model".
package struct SessionPreview: Sendable {
    package struct Tag: Hashable, Sendable {
        /// The key behind `aws:PrincipalTag/`.
        package let key: String
        package let value: String
    }

    /// A value of the certificate that becomes no tag.
    package struct DroppedValue: Hashable, Sendable {
        package enum Reason: String, Sendable {
            /// A character that tags cannot hold.
            case character
            /// Only the first alternative name of a kind becomes a tag.
            case notFirst
            /// Alternative names of this kind become no tags.
            case kind
        }

        /// The key that the tag would have.
        package let key: String
        package let value: String
        package let reason: Reason
    }

    /// The tags, sorted by their keys.
    package let tags: [Tag]
    /// In the order of the certificate.
    package let dropped: [DroppedValue]
    package let sourceIdentity: String
    /// The session's name when the request gives none.
    package let sessionName: String

    /// Derives what a session of a client certificate gets. It does not check whether AWS accepts the certificate.
    package init(_ certificate: Certificate) {
        let attributes = CertificateAttribute.attributes(of: certificate)
        let made = SessionTags(attributes, by: AttributeMapping.defaults)
        tags = made.values.sorted { $0.key < $1.key }.map { Tag(key: $0.key, value: $0.value) }
        var dropped = attributes.filter { made.dropped.contains($0.key) }
            .map { DroppedValue(key: $0.key, value: $0.value, reason: .character) }
        var kinds: Set<String> = []
        for name in certificate.subjectAlternativeNames {
            let (kind, value, isMapped) = Self.parts(of: name)
            let isFirst = kinds.insert(kind).inserted
            if isMapped && isFirst { continue }
            let reason: DroppedValue.Reason = isMapped ? .notFirst : .kind
            dropped.append(DroppedValue(key: "x509SAN/\(kind)", value: value, reason: reason))
        }
        self.dropped = dropped
        sourceIdentity = Self.sourceIdentity(of: certificate)
        sessionName = Self.sessionName(of: certificate)
    }

    /// The `SourceIdentity` of a certificate's sessions: `CN=` and the common name up to 61 characters, the common name
    /// alone for longer ones, `ID=` and the serial number in hexadecimal without a common name.
    package static func sourceIdentity(of certificate: Certificate) -> String {
        certificate.subject.commonName.map { $0.count <= 61 ? "CN=\($0)" : $0 }
            ?? "ID=\(certificate.serialNumber.hexadecimal)"
    }

    /// The name of a certificate's sessions when the request gives none.
    package static func sessionName(of certificate: Certificate) -> String { certificate.serialNumber.hexadecimal }

    private static func parts(of name: GeneralName) -> (kind: String, value: String, isMapped: Bool) {
        switch name {
        case .dns(let text): ("DNS", text, true)
        case .uri(let text): ("URI", text, true)
        case .directory(let name): ("Name", "\(name)", true)
        case .email(let text): ("email", text, false)
        case .ip: ("IP", String("\(name)".dropFirst("IP:".count)), false)
        case .other(let kind): (kind, "", false)
        }
    }
}
