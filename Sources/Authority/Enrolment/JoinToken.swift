// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials
import SystemSupport

/// Permission to ask for certificates over the network, for hosts that have its secret.
///
/// The secret is not here: it is derived from ``identifier`` and a key of the CA's directory, see `TokenSecrets`.
package struct JoinToken: Hashable, Sendable {
    /// The public name: EST's user name, ACME's key identifier.
    package var identifier: String
    /// The names that may be asked for.
    package var names: [NamePattern]
    /// The alternative names that may be asked for, besides the name itself.
    package var alternativeNames: [AlternativeNamePattern]
    /// The template of the certificates.
    package var template: CertificateTemplate
    /// The longest lifetime, in seconds.
    package var lifetime: Double
    /// How many certificates may be issued.
    package var uses: Int
    /// How many were issued.
    package var used = 0
    /// Whether a name that has a valid certificate may get another.
    package var replaces = false
    /// Whether a person approves each request.
    package var needsApproval = false
    /// How a host must prove each name as well, by ACME; `nil` if the token's secret is enough.
    package var challenge: Challenge?
    /// The time of creation.
    package var createdAt: Date
    /// The user who created it.
    package var createdBy: String
    /// The end of its validity.
    package var expiresAt: Date
    /// When it was revoked; `nil` if it was not.
    package var revokedAt: Date?

    package init(
        identifier: String, names: [NamePattern], alternativeNames: [AlternativeNamePattern] = [],
        template: CertificateTemplate, lifetime: Double, uses: Int, createdAt: Date, createdBy: String, expiresAt: Date
    ) {
        self.identifier = identifier
        self.names = names
        self.alternativeNames = alternativeNames
        self.template = template
        self.lifetime = lifetime
        self.uses = uses
        self.createdAt = createdAt
        self.createdBy = createdBy
        self.expiresAt = expiresAt
    }

    /// The kinds of proof (RFC 8555 §8).
    package enum Challenge: String, Sendable, CaseIterable {
        /// A file that the name's host serves.
        case http01 = "http-01"
    }

    /// What a token can be used for at a time.
    package enum Status: String, Sendable, CaseIterable {
        /// It can be used.
        case valid
        /// All its uses are spent.
        case used
        /// Its validity has ended.
        case expired
        /// It was revoked.
        case revoked
    }

    /// Whether its end was recorded when it was used too late: it has expired whatever the clock says.
    package var hasEnded: Bool { expiresAt <= createdAt }

    /// The status at a time.
    package func status(at now: Date) -> Status {
        if revokedAt != nil { return .revoked }
        if hasEnded || now >= expiresAt { return .expired }
        return used < uses ? .valid : .used
    }
}

/// A pattern for names of certificates: `web-1`, `web-*`, `*.example.com`.
///
/// `*` stands for one or more ASCII letters, digits, `-` and `_`, and so never for a dot.
package struct NamePattern: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// Checks a pattern.
    package init(_ text: String) throws(AuthorityError) {
        // A name that the pattern stands for must be one of a file.
        do throws(AuthorityError) { try EntryName.checkNew(text.replacing("*", with: "x")) } catch {
            throw AuthorityError(
                .invalidValue, "the name \"\(text)\" cannot be allowed: \(error.message)", hint: error.hint)
        }
        description = text
    }

    /// Whether a name matches. Case is ignored, as in host names.
    package func matches(_ name: String) -> Bool { Wildcard.matches(description, name) }

    /// Whether only one name matches.
    package var isExact: Bool { !description.contains("*") }
}

/// A pattern for alternative names: `dns:{name}.example.com`, `uri:spiffe://example.com/*`, `ip:10.0.0.7`.
///
/// `{name}` stands for the name of the certificate, `*` for one or more ASCII letters, digits, `-` and `_`.
package struct AlternativeNamePattern: Hashable, Sendable, CustomStringConvertible {
    /// The kinds of alternative names that can be allowed.
    package enum Kind: String, Sendable, CaseIterable { case dns, ip, uri, email }

    package let kind: Kind
    package let value: String

    package var description: String { "\(kind.rawValue):\(value)" }

    /// Checks a pattern.
    package init(_ text: String) throws {
        guard let colon = text.firstIndex(of: ":"), let kind = Kind(rawValue: text[..<colon].lowercased()) else {
            throw AuthorityError(
                .invalidValue, "\"\(text)\" is not an alternative name with its kind",
                hint: "use dns:NAME, ip:ADDRESS, uri:URI or email:ADDRESS; {name} and * may be in it")
        }
        (self.kind, value) = (kind, String(text[text.index(after: colon)...]))
        // What it stands for must be a name of that kind.
        let example = value.replacing("{name}", with: "x").replacing("*", with: "x")
        switch kind {
        case .dns: _ = try GeneralName.dnsName(example)
        case .ip where value == "{name}": break
        case .ip: _ = try GeneralName.ipAddress(value)
        case .uri: _ = try GeneralName.uniformResourceIdentifier(example)
        case .email: _ = try GeneralName.mailbox(example)
        }
    }

    /// Whether an alternative name of the certificate with a name matches.
    package func matches(_ alternativeName: GeneralName, of name: String) -> Bool {
        let wanted = value.replacing("{name}", with: name)
        switch (kind, alternativeName) {
        case (.dns, .dns(let text)), (.email, .email(let text)): return Wildcard.matches(wanted, text)
        // Case matters in a URI.
        case (.uri, .uri(let text)): return Wildcard.matches(wanted, text, ignoresCase: false)
        case (.ip, .ip): return (try? GeneralName.ipAddress(wanted)) == alternativeName
        default: return false
        }
    }
}

/// Compares text with a pattern in which `*` stands for one or more ASCII letters, digits, `-` and `_`.
private enum Wildcard {
    static func matches(_ pattern: String, _ text: String, ignoresCase: Bool = true) -> Bool {
        func octets(_ text: String) -> [UInt8] { Array((ignoresCase ? text.lowercased() : text).utf8) }
        let (pattern, text) = (octets(pattern), octets(text))
        guard text.count <= 512, pattern.count <= 512 else { return false }
        // The positions in the pattern that the text up to here may have reached: no backtracking.
        var reached: Set<Int> = [0]
        for octet in text {
            var next: Set<Int> = []
            for position in reached {
                if position < pattern.count, pattern[position] == star {
                    if isWord(octet) { next.formUnion([position, position + 1]) }
                } else if position < pattern.count, pattern[position] == octet {
                    next.insert(position + 1)
                }
            }
            reached = next
            if reached.isEmpty { return false }
        }
        return reached.contains(pattern.count)
    }

    private static let star = UInt8(ascii: "*")

    private static func isWord(_ octet: UInt8) -> Bool {
        octet.isASCIILetterOrDigit || octet == UInt8(ascii: "-") || octet == UInt8(ascii: "_")
    }
}
