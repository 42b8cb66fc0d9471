// SPDX-License-Identifier: Apache-2.0

/// Rules on alternative names, and on the names that a CA may certify.
enum AlternativeNameRule: String, RuleGroup {
    case empty = "alternative-names-empty"
    case critical = "alternative-names-critical"
    case notCritical = "alternative-names-not-critical"
    case dns = "alternative-name-dns"
    case uri = "alternative-name-uri"
    case email = "alternative-name-email"
    case ip = "alternative-name-ip"
    case wildcard = "alternative-name-wildcard"
    case underscore = "alternative-name-underscore"
    case duplicate = "alternative-name-duplicate"
    case server = "server-names"
    case constraintsNotCA = "name-constraints-not-ca"
    case constraintsCritical = "name-constraints-critical"
    case constraintsEmpty = "name-constraints-empty"
    case constraintsDistance = "name-constraints-distance"
    case constraintsBase = "name-constraints-base"
    case constraintsDot = "name-constraints-leading-dot"

    var entry: RuleEntry {
        switch self {
        case .empty:
            .init(
                .error,
                "RFC 5280 §4.2.1.6",
                "There is at least one alternative name in the extension.",
                "name one, or leave the extension out"
            )
        case .critical:
            .init(
                .error,
                "RFC 5280 §4.2.1.6",
                "Alternative names are critical where the subject is empty.",
                "issue one with subjectAltName = critical, …"
            )
        case .notCritical:
            .init(
                .warning,
                "RFC 5280 §4.2.1.6",
                "Alternative names are not critical where there is a subject.",
                "issue one whose subjectAltName is not critical"
            )
        case .dns:
            .init(
                .error,
                "RFC 5280 §4.2.1.6, RFC 1034 §3.5",
                "A DNS name is one: letters, digits and hyphens, and a * as its whole first label at the most.",
                "write the name as it stands in the DNS, without a dot at the end"
            )
        case .uri:
            .init(
                .error,
                "RFC 5280 §4.2.1.6, RFC 3986",
                "A URI is absolute, with a scheme.",
                "write it with its scheme, for example spiffe://example.org/web"
            )
        case .email:
            .init(
                .error,
                "RFC 5280 §4.2.1.6, RFC 5321 §4.1.2",
                "An email address is local@host, and nothing around it.",
                "write the address alone"
            )
        case .ip:
            .init(
                .error,
                "RFC 5280 §4.2.1.6",
                "An IP address has 4 octets or 16.",
                "write the address alone, without a mask"
            )
        case .wildcard:
            .init(
                .notice,
                "RFC 9525 §6.3",
                "A wildcard stands for every name of one label: whoever has the key is all of them.",
                "name the hosts, where there are few"
            )
        case .underscore:
            .init(
                .warning,
                "RFC 1034 §3.5",
                "A host name has no underscore.",
                "give the host a name without one: some programs refuse it"
            )
        case .duplicate:
            .init(.warning, "RFC 5280 §4.2.1.6", "No alternative name stands twice.", "name each once")
        case .server:
            .init(
                .error,
                "RFC 9525 §2, §6.1",
                "A server's certificate has a DNS name or an IP address as an alternative name.",
                "issue one with the server's name: the common name is not looked at"
            )
        case .constraintsNotCA:
            .init(
                .error,
                "RFC 5280 §4.2.1.10",
                "Name constraints stand only in a CA's certificate.",
                "leave the extension out"
            )
        case .constraintsCritical:
            .init(
                .error,
                "RFC 5280 §4.2.1.10",
                "Name constraints are critical.",
                "issue one with nameConstraints = critical, …"
            )
        case .constraintsEmpty:
            .init(
                .error,
                "RFC 5280 §4.2.1.10",
                "Name constraints have a permitted or an excluded subtree.",
                "name a subtree, or leave the extension out"
            )
        case .constraintsDistance:
            .init(
                .error,
                "RFC 5280 §4.2.1.10",
                "A subtree of names has no minimum and no maximum.",
                "leave them out"
            )
        case .constraintsBase:
            .init(
                .error,
                "RFC 5280 §4.2.1.10",
                "The base of a subtree is a name of its kind; of addresses, an address and a mask that is a prefix.",
                "write the base as dns:example.com, ip:10.0.0.0/8, uri:.example.com or email:example.com"
            )
        case .constraintsDot:
            .init(
                .warning,
                "RFC 5280 §4.2.1.10",
                "The domain of a subtree has no leading dot: it covers all below it without.",
                "leave the dot out: some programs refuse it, others do not let the domain itself pass"
            )
        }
    }
}
