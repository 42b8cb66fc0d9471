// SPDX-License-Identifier: Apache-2.0

/// Rules on how a certificate or a list is put together.
enum EncodingRule: String, RuleGroup {
    case der = "der-encoding"
    case defaultValue = "der-default"
    case version
    case uniqueIdentifiers = "unique-identifiers"
    case serialZero = "serial-zero"
    case serialNegative = "serial-negative"
    case serialLength = "serial-length"
    case algorithmsDiffer = "signature-algorithms-differ"
    case algorithmParameters = "signature-parameters"
    case weakSignature = "signature-weak"
    case noExtensions = "extensions-empty"
    case duplicateExtension = "extension-duplicate"
    case unknownCritical = "extension-unknown-critical"
    case malformedExtension = "extension-malformed"
    case mustBeCritical = "extension-must-be-critical"
    case mustNotBeCritical = "extension-must-not-be-critical"
    case policiesDuplicate = "policies-duplicate"

    private static let both: [ValidationRule.Scope] = [.certificate, .revocationList]

    var entry: RuleEntry {
        switch self {
        case .der:
            .init(
                .error,
                "X.690 §10, §11",
                "What is signed is in DER: lengths definite and as short as they can be, sets in order.",
                "have it issued again by software that writes DER",
                scopes: Self.both
            )
        case .defaultValue:
            .init(
                .error,
                "X.690 §11.5",
                "A value that is the default is left out.",
                "have it issued again by software that writes DER",
                scopes: Self.both
            )
        case .version:
            .init(
                .error,
                "RFC 5280 §4.1.2.1",
                "A certificate is of version 3, without which it has no extensions.",
                "issue one of version 3, as everything that writes extensions does"
            )
        case .uniqueIdentifiers:
            .init(
                .error,
                "RFC 5280 §4.1.2.8",
                "There are no unique identifiers of issuer or subject.",
                "issue one without them"
            )
        case .serialZero:
            .init(.error, "RFC 5280 §4.1.2.2", "A serial number is not zero.", "issue one with a random serial number")
        case .serialNegative:
            .init(
                .error,
                "RFC 5280 §4.1.2.2",
                "A serial number is positive.",
                "issue one whose serial number has the first bit clear"
            )
        case .serialLength:
            .init(
                .error,
                "RFC 5280 §4.1.2.2",
                "A serial number has at most 20 octets.",
                "issue one with a serial number of 159 bits or fewer"
            )
        case .algorithmsDiffer:
            .init(
                .error,
                "RFC 5280 §4.1.1.2",
                "The signature's algorithm is the same under the signature and beside it.",
                "do not use it: somebody may have changed it; have it issued again"
            )
        case .algorithmParameters:
            .init(
                .error,
                "RFC 4055 §5, RFC 5758 §3.2",
                "The parameters of an RSA signature's algorithm are NULL, those of an ECDSA signature's are left out.",
                "have it issued again by software that keeps to the algorithm's own RFC",
                scopes: Self.both
            )
        case .weakSignature:
            .init(
                .error,
                "RFC 6194, RFC 6151",
                "The signature's hash is SHA-256 or stronger.",
                "have it issued again with SHA-256 or stronger",
                scopes: Self.both
            )
        case .noExtensions:
            .init(
                .error,
                "RFC 5280 §4.1.2.9",
                "The list of extensions is left out when there are none.",
                "issue one with extensions, or with none",
                scopes: Self.both
            )
        case .duplicateExtension:
            .init(
                .error,
                "RFC 5280 §4.2",
                "No extension stands twice.",
                "issue one in which it stands once",
                scopes: Self.both
            )
        case .unknownCritical:
            .init(
                .error,
                "RFC 5280 §4.2",
                "A critical extension is one that everybody knows.",
                "leave it out, or mark it as not critical",
                scopes: Self.both
            )
        case .malformedExtension:
            .init(
                .error,
                "RFC 5280 §4.2",
                "The value of an extension can be read.",
                "issue one in which the extension is as its RFC has it",
                scopes: Self.both
            )
        case .mustBeCritical:
            .init(
                .error,
                "RFC 5280 §4.2.1, §5.2",
                "What narrows a CA or a list is critical: policyConstraints, inhibitAnyPolicy, deltaCRLIndicator and the like.",
                "mark the extension as critical",
                scopes: Self.both
            )
        case .mustNotBeCritical:
            .init(
                .error,
                "RFC 5280 §4.2.1, §4.2.2, §5.2, §5.3",
                "What only helps is not critical: key identifiers, cRLNumber, authorityInfoAccess and the like.",
                "mark the extension as not critical",
                scopes: Self.both
            )
        case .policiesDuplicate:
            .init(
                .error,
                "RFC 5280 §4.2.1.4",
                "No certificate policy stands twice.",
                "name each policy once"
            )
        }
    }
}
