// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// What a certificate must say so that its bearer may take a role.
///
/// IAM Roles Anywhere makes session tags of a certificate, and a trust policy asks for them as `aws:PrincipalTag/…` (AWS,
/// *IAM Roles Anywhere User Guide*, "Trust model").
public struct CertificateCondition: Hashable, Sendable {
    /// A part of a certificate.
    public enum Field: String, CaseIterable, Sendable {
        /// The subject's common name.
        case subjectCommonName = "x509Subject/CN"
        /// The subject's organizational unit; several are joined with `/`.
        case subjectOrganizationalUnit = "x509Subject/OU"
        /// The subject's organization.
        case subjectOrganization = "x509Subject/O"
        /// The issuer's common name.
        case issuerCommonName = "x509Issuer/CN"
        /// The first alternative name that is a DNS name.
        case dnsName = "x509SAN/DNS"
        /// The first alternative name that is a URI.
        case uniformResourceIdentifier = "x509SAN/URI"
    }

    /// The part.
    public let field: Field

    /// What it may be: one of these. `*` stands for any characters, `?` for one.
    public let values: [String]

    /// Makes a condition.
    ///
    /// - Parameters:
    ///   - field: The part of the certificate.
    ///   - values: What it may be, one or more. `*` and `?` are always wildcards: AWS makes no tag of a value that holds one,
    ///     so no certificate with such a name could ever be meant.
    /// - Throws: ``TrustAnchorError`` for a value of which AWS would make no tag, which no certificate could then fulfil.
    public init(_ field: Field, _ values: [String]) throws(TrustAnchorError) {
        guard !values.isEmpty else {
            throw TrustAnchorError(.condition, "the condition on \(field.rawValue) has no value")
        }
        for value in values { try Self.check(value, field) }
        self.field = field
        self.values = values
    }

    /// Makes the condition that only certificates of the same name fulfil: of the common name, or of the first DNS name or
    /// URI where there is none.
    ///
    /// - Parameter certificate: A client's certificate.
    /// - Throws: ``TrustAnchorError`` when the certificate has no name of which AWS makes a tag.
    public init(naming certificate: Certificate) throws(TrustAnchorError) {
        // AWS joins several in their order.
        let names = certificate.subject.relativeNames.joined().filter { $0.type == "CN" }.map(\.value)
        if !names.isEmpty {
            try self.init(exactly: names.joined(separator: "/"), .subjectCommonName)
            return
        }
        for name in certificate.subjectAlternativeNames {
            switch name {
            case .dns(let text):
                try self.init(exactly: text, .dnsName)
                return
            case .uri(let text):
                try self.init(exactly: text, .uniformResourceIdentifier)
                return
            default: continue
            }
        }
        throw TrustAnchorError(
            .condition,
            "\(certificate.subject) has no common name, no DNS name and no URI by which a policy could know it",
            hint: "issue another: pki issue-client --name NAME"
        )
    }

    private init(exactly value: String, _ field: Field) throws(TrustAnchorError) {
        guard !value.contains("*"), !value.contains("?") else {
            throw TrustAnchorError(
                .condition,
                "AWS makes no session tag of \"\(value)\": \"*\" and \"?\" are not allowed in one",
                hint: "choose a condition on another part of the certificate"
            )
        }
        try self.init(field, [value])
    }

    /// The operator that compares: `StringLike` as soon as one value has a wildcard.
    var comparison: String { values.contains { $0.contains("*") || $0.contains("?") } ? "StringLike" : "StringEquals" }

    private static func check(_ value: String, _ field: Field) throws(TrustAnchorError) {
        guard !value.isEmpty else { throw TrustAnchorError(.condition, "a value of \(field.rawValue) is empty") }
        guard !value.allSatisfy({ $0 == "*" || $0 == "?" }) else {
            throw TrustAnchorError(
                .condition,
                "\"\(value)\" for \(field.rawValue) is no condition: it says nothing about who may take the role",
                hint: "name at least a part of the name, or say --any-certificate if that is meant"
            )
        }
        guard value.unicodeScalars.allSatisfy({ isTaggable($0) || $0 == "*" || $0 == "?" }) else {
            throw TrustAnchorError(
                .condition,
                "AWS drops \"\(value)\" without a word when it makes session tags: only letters, digits, blanks and "
                    + "_.:/=+-@ are kept, so no certificate could fulfil the condition",
                hint:
                    "use * or ? in the place of the other characters only if the certificate does not have them either"
            )
        }
    }

    /// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`
    private static func isTaggable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .spaceSeparator,
            .lineSeparator, .paragraphSeparator, .decimalNumber, .letterNumber, .otherNumber:
            true
        default: "_.:/=+-@".unicodeScalars.contains(scalar)
        }
    }
}
