// SPDX-License-Identifier: Apache-2.0

import Certificates

/// A part of a certificate that can become a tag of a session.
struct CertificateAttribute: Hashable, Sendable {
    var field: AttributeMapping.Field
    /// `CN`, `DNS`, `URI`, `Name/CN`.
    var specifier: String
    /// Repeated attributes of a name are joined with `/`, in their order.
    var value: String

    /// The key of the tag: `x509Subject/CN`.
    var key: String { "\(field.rawValue)/\(specifier)" }

    /// Whether the service makes a tag of the value; others it drops without a word.
    var isTaggable: Bool { value.unicodeScalars.allSatisfy(Self.isAllowed) }

    /// The attributes of a certificate: its subject's, its issuer's, and the first alternative name of each kind.
    ///
    /// - Parameter certificate: A client's certificate.
    /// - Returns: The attributes in the order in which they stand.
    static func attributes(of certificate: Certificate) -> [CertificateAttribute] {
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
        of name: DistinguishedName,
        _ field: AttributeMapping.Field,
        prefix: String = ""
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

    /// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", " ", "_", ".", ":", "/", "=", "+", "-", "@": return true
            default: return false
            }
        }
        return switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
            .spaceSeparator, .lineSeparator, .paragraphSeparator,
            .decimalNumber, .letterNumber, .otherNumber:
            true
        default: false
        }
    }
}

/// The tags that a session gets of a certificate.
struct SessionTags: Sendable {
    /// The tags by their keys, `x509Subject/CN`.
    private(set) var values: [String: String] = [:]

    /// The keys of attributes that were mapped and dropped for a character in their value.
    private(set) var dropped: [String] = []

    /// Maps attributes.
    ///
    /// - Parameters:
    ///   - attributes: A certificate's.
    ///   - mappings: A profile's.
    init(_ attributes: [CertificateAttribute], by mappings: [AttributeMapping]) {
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

    /// What was made, for the trace.
    var words: String {
        let made = values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
        guard !dropped.isEmpty else { return made.isEmpty ? "none" : made }
        let lost = "dropped for a character in the value: \(dropped.joined(separator: ", "))"
        return made.isEmpty ? lost : "\(made); \(lost)"
    }
}
