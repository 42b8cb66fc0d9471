// SPDX-License-Identifier: Apache-2.0

/// Rules on the names of issuer and subject.
enum NameRule: String, RuleGroup {
    case issuerEmpty = "issuer-empty"
    case subjectEmpty = "subject-empty"
    case unnamed = "subject-unnamed"
    case relativeName = "name-rdn"
    case valueEmpty = "name-value-empty"
    case valueLength = "name-value-length"
    case characters = "name-value-characters"
    case blanks = "name-value-blanks"
    case stringType = "name-string-type"
    case syntax = "name-attribute-syntax"
    case country = "name-country"

    static let scopes: [ValidationRule.Scope] = [.certificate, .revocationList]

    var entry: RuleEntry {
        switch self {
        case .issuerEmpty:
            .init(
                .error,
                "RFC 5280 §4.1.2.4, §5.1.2.3",
                "The issuer has a name.",
                "issue it from a CA whose certificate has a subject"
            )
        case .subjectEmpty:
            .init(
                .error,
                "RFC 5280 §4.1.2.6",
                "The subject of a CA's certificate is not empty.",
                "issue one with a subject",
                scopes: [.certificate]
            )
        case .unnamed:
            .init(
                .error,
                "RFC 5280 §4.1.2.6",
                "A certificate has a subject, or alternative names.",
                "issue one with a common name or an alternative name",
                scopes: [.certificate]
            )
        case .relativeName:
            .init(
                .error,
                "X.501 §9.3",
                "A relative distinguished name has one attribute or more, each of another type.",
                "write each attribute as a relative distinguished name of its own"
            )
        case .valueEmpty:
            .init(
                .error,
                "RFC 5280 Appendix A.1",
                "No value in a name is empty.",
                "leave the attribute out"
            )
        case .valueLength:
            .init(
                .error,
                "RFC 5280 Appendix A.1",
                "A value in a name is not longer than its bound: 64 characters for CN, O and OU, 128 for L and ST.",
                "shorten the value; a long name of a machine goes into an alternative name"
            )
        case .characters:
            .init(
                .error,
                "X.680 §41, RFC 5280 §4.1.2.4",
                "A value in a name has the characters of its string type, and none that control a terminal.",
                "write the value as a UTF8String, without control characters"
            )
        case .blanks:
            .init(
                .warning,
                "RFC 4518 §2.6.1",
                "A value in a name neither begins nor ends with a blank, nor has two in a row.",
                "take the blanks out: two names that differ in them are one to some and two to others"
            )
        case .stringType:
            .init(
                .warning,
                "RFC 5280 §4.1.2.4",
                "A value in a name is a UTF8String or a PrintableString.",
                "write the value as a UTF8String; for a CA that exists already, leave it"
            )
        case .syntax:
            .init(
                .error,
                "RFC 5280 Appendix A.1",
                "An attribute of a name has its own type: DC and email an IA5String, serialNumber a PrintableString.",
                "write the attribute in its own type"
            )
        case .country:
            .init(
                .error,
                "RFC 5280 Appendix A.1",
                "A country is a PrintableString of two letters (ISO 3166).",
                "write the code of the country, such as DE"
            )
        }
    }
}
