// SPDX-License-Identifier: Apache-2.0

/// What of a certificate becomes a tag of the session.
///
/// Source: IAM Roles Anywhere User Guide, "Certificate attribute mapping".
struct AttributeMapping: Codable, Hashable, Sendable {
    /// A part of a certificate.
    enum Field: String, Codable, CaseIterable, Sendable {
        case subject = "x509Subject"
        case issuer = "x509Issuer"
        case alternativeName = "x509SAN"
    }

    /// What a profile maps that nobody changed.
    static let defaults = [
        AttributeMapping(field: .issuer, specifiers: ["*"]),
        AttributeMapping(field: .alternativeName, specifiers: ["DNS", "URI", "Name/*"]),
        AttributeMapping(field: .subject, specifiers: ["*"]),
    ]

    var field: Field
    /// `*`, an attribute's name or OID; for alternative names `DNS`, `URI`, `Name/*`, `Name/CN`.
    var specifiers: [String]
}
