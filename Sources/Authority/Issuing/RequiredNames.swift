// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// Which alternative names a profile wants: `names` in `[ pki ]`.
enum RequiredNames: String, CaseIterable {
    /// Any.
    case any
    /// At least one DNS name or IP address.
    case host
    /// Exactly one URI, a SPIFFE ID.
    case spiffe

    /// Checks names.
    ///
    /// - Parameters:
    ///   - names: The alternative names.
    ///   - request: What is asked for, for the message.
    /// - Throws: ``AuthorityError`` naming what is missing.
    func check(_ names: [GeneralName], of request: ClientRequest) throws(AuthorityError) {
        switch self {
        case .any: return
        case .host:
            let hasHost = names.contains { name in
                switch name {
                case .dns, .ip: true
                default: false
                }
            }
            guard !hasHost else { return }
            throw AuthorityError(
                .policy,
                "the profile \(request.template.profile) needs a DNS name or an IP address, and \(request.name) has none",
                hint: "give one with --dns or --ip"
            )
        case .spiffe:
            let identifiers = names.compactMap { name in
                if case .uri(let text) = name { text } else { nil }
            }
            guard identifiers.count == 1, let identifier = identifiers.first else {
                throw AuthorityError(
                    .policy,
                    "the profile \(request.template.profile) needs exactly one URI, a SPIFFE ID, and \(request.name) has \(identifiers.count)",
                    hint: "give it with --uri spiffe://example.org/\(request.name)"
                )
            }
            guard let why = Self.objection(toIdentifier: identifier) else { return }
            throw AuthorityError(
                .policy,
                "\(identifier) is not a SPIFFE ID: \(why)",
                hint: "it has the form spiffe://TRUST-DOMAIN/PATH, such as spiffe://example.org/web"
            )
        }
    }

    /// What is wrong with a SPIFFE ID (the SPIFFE-ID standard, §2); nothing when it is one.
    private static func objection(toIdentifier text: String) -> String? {
        guard text.hasPrefix("spiffe://") else { return "it does not begin with spiffe://" }
        guard text.utf8.count <= 2048 else { return "it has more than 2048 bytes" }
        let parts = text.dropFirst("spiffe://".count).split(separator: "/", omittingEmptySubsequences: false)
        guard let domain = parts.first, !domain.isEmpty, domain.utf8.count <= 255 else {
            return "it has no trust domain"
        }
        guard domain.utf8.allSatisfy({ isLetterOrDigit($0) && !isUpperCase($0) || "._-".utf8.contains($0) }) else {
            return "a trust domain holds a to z, digits, \".\", \"_\" and \"-\" alone"
        }
        for segment in parts.dropFirst() {
            guard !segment.isEmpty, segment != ".", segment != ".." else {
                return "a part of its path is empty, \".\" or \"..\""
            }
            guard segment.utf8.allSatisfy({ isLetterOrDigit($0) || "._-".utf8.contains($0) }) else {
                return "a path holds letters, digits, \".\", \"_\" and \"-\" alone"
            }
        }
        return nil
    }

    private static func isLetterOrDigit(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: isUpperCase(octet)
        }
    }

    private static func isUpperCase(_ octet: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(octet) }
}

extension CertificateTemplate {
    /// Which alternative names the profile wants.
    var requiredNames: RequiredNames {
        get throws(AuthorityError) {
            guard let text = settings["names"] else { return .any }
            guard let rule = RequiredNames(rawValue: text) else {
                throw AuthorityError(
                    .invalidRequest,
                    "\(name): names = \(text) is not a rule for alternative names",
                    hint: "the rules are \(RequiredNames.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            return rule
        }
    }
}
