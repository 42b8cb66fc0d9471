// SPDX-License-Identifier: Apache-2.0

/// Rules on lists of revoked certificates.
enum RevocationListRule: String, RuleGroup {
    case version = "crl-version"
    case noNumber = "crl-number-absent"
    case numberLength = "crl-number-length"
    case numberNegative = "crl-number-negative"
    case noAuthorityKey = "crl-authority-key-identifier-absent"
    case noNextUpdate = "crl-next-update-absent"
    case updateOrder = "crl-update-order"
    case emptyList = "crl-revoked-empty"
    case entrySerial = "crl-entry-serial"
    case entryDuplicate = "crl-entry-duplicate"
    case entryFuture = "crl-entry-future"
    case reasonInvalid = "crl-reason-invalid"
    case reasonRemove = "crl-reason-remove"
    case reasonUnspecified = "crl-reason-unspecified"
    case distributionPoint = "crl-issuing-distribution-point"
    case delta = "crl-delta"

    static let scopes: [ValidationRule.Scope] = [.revocationList]

    var entry: RuleEntry {
        switch self {
        case .version:
            .init(
                .error,
                "RFC 5280 §5.1.2.1",
                "A list is of version 2.",
                "issue one with a number and an authority key"
            )
        case .noNumber:
            .init(.error, "RFC 5280 §5.2.3", "A list has a number.", "issue one with crlNumber, which grows")
        case .numberLength:
            .init(.error, "RFC 5280 §5.2.3", "A list's number has at most 20 octets.", "begin to count anew, lower")
        case .numberNegative:
            .init(.error, "RFC 5280 §5.2.3", "A list's number is not negative.", "begin to count at 1")
        case .noAuthorityKey:
            .init(
                .error,
                "RFC 5280 §5.2.1",
                "A list has an authorityKeyIdentifier.",
                "issue one with authorityKeyIdentifier = keyid:always"
            )
        case .noNextUpdate:
            .init(
                .error,
                "RFC 5280 §5.1.2.5",
                "A list says when the next one comes.",
                "issue one with nextUpdate: without it an old list is as good as a new one"
            )
        case .updateOrder:
            .init(
                .error,
                "RFC 5280 §5.1.2.5",
                "The next list comes after this one.",
                "issue one whose nextUpdate is later than its thisUpdate"
            )
        case .emptyList:
            .init(
                .error,
                "RFC 5280 §5.1.2.6",
                "The list of entries is left out when nothing is revoked.",
                "issue one without revokedCertificates"
            )
        case .entrySerial:
            .init(
                .error,
                "RFC 5280 §5.1.2.6, §4.1.2.2",
                "The serial number of an entry is positive and has at most 20 octets.",
                "take the entry out: no certificate has such a number"
            )
        case .entryDuplicate:
            .init(
                .error,
                "RFC 5280 §5.1.2.6",
                "A certificate has one entry.",
                "take the later entry out: which one counts is not the same to everybody"
            )
        case .entryFuture:
            .init(
                .warning,
                "RFC 5280 §5.1.2.6",
                "A certificate was revoked before the list was made.",
                "put the clock right and issue the list again"
            )
        case .reasonInvalid:
            .init(
                .error,
                "RFC 5280 §5.3.1",
                "A reason is 0 to 6 or 8 to 10.",
                "write a reason that there is, or none"
            )
        case .reasonRemove:
            .init(
                .error,
                "RFC 5280 §5.3.1",
                "removeFromCRL stands only in a list of changes.",
                "leave the entry out: what is not in the list is not revoked"
            )
        case .reasonUnspecified:
            .init(
                .warning,
                "RFC 5280 §5.3.1",
                "A reason that is not known is left out.",
                "leave the reason out"
            )
        case .distributionPoint:
            .init(
                .notice,
                "RFC 5280 §5.2.5",
                "A list with an issuingDistributionPoint does not speak of every certificate of its issuer.",
                "issue a complete list for programs that do not know the extension"
            )
        case .delta:
            .init(
                .notice,
                "RFC 5280 §5.2.4",
                "A list of changes says nothing without the complete one before it.",
                "give the complete list"
            )
        }
    }
}
