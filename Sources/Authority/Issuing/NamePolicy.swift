// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// Which names a certificate may have. The same rules hold for a command, a batch and a renewal.
enum NamePolicy {
    /// The most alternative names of one certificate, unless somebody says otherwise: no machine has that many, and a list
    /// of certificates can still be read.
    static let mostNames = 100

    /// Refuses text that a reader may take for another name.
    static func checkText(_ subject: DistinguishedName, _ names: [GeneralName] = []) throws(AuthorityError) {
        for attribute in subject.relativeNames.joined() {
            try check(attribute.value, of: attribute.type)
        }
        for name in names {
            switch name {
            case .dns(let text): try check(text, of: "the DNS name")
            case .uri(let text): try check(text, of: "the URI")
            case .email(let text): try check(text, of: "the email address")
            case .directory(let other): if other != subject { try checkText(other) }
            case .ip, .other: break
            }
        }
    }

    private static func check(_ text: String, of part: String) throws(AuthorityError) {
        guard let objection = NameText.objection(to: text) else { return }
        throw AuthorityError(
            .policy, "\(part) \"\(terminalSafe(text))\" can be taken for another: it \(objection)",
            hint: "write it in the letters of one script, or insist with --insecure-names")
    }

    /// Refuses names that CAs on the way to the root may not certify, more strictly than RFC 5280: a CA that permits some
    /// names by kind may certify no others, and a common name that reads as a host's, an address or a mailbox counts as one.
    static func checkConstraints(
        _ subject: DistinguishedName, _ names: [GeneralName], below authorities: [Certificate]
    ) throws(AuthorityError) {
        let constraining = authorities.filter { $0.nameConstraints != nil }
        guard !constraining.isEmpty else { return }
        // The subject again says nothing new; where it is constrained itself, the path is verified.
        let said = names.filter { $0 != .directory(subject) }.map { (name: $0, shown: "\($0)") }
        let meant = subject.relativeNames.joined().compactMap { attribute in
            meaning(of: attribute).map { (name: $0, shown: "\(attribute.type)=\(attribute.value)") }
        }
        for authority in constraining {
            for (name, shown) in said + meant {
                guard let objection = authority.nameConstraints?.objection(to: name) else { continue }
                throw AuthorityError(
                    .policy,
                    "the CA \(printable("\(authority.subject)")) may not issue a certificate for \(printable(shown)): "
                        + printable(objection),
                    hint: "leave the name out, or issue it from another CA: pki tree shows them")
            }
        }
    }

    /// What a part of a subject is taken for by those who look no further.
    private static func meaning(of attribute: DistinguishedName.Attribute) -> GeneralName? {
        if attribute.type == "emailAddress" { return .email(attribute.value) }
        guard attribute.type == "CN" else { return nil }
        let schemes = [
            "http", "https", "ftp", "ldap", "ldaps", "urn", "spiffe", "mailto", "file", "javascript", "data",
        ]
        let lower = attribute.value.lowercased()
        if schemes.contains(where: { lower.hasPrefix("\($0):") }) { return .uri(attribute.value) }
        let text = attribute.value.contains("://") ? attribute.value : withoutPort(attribute.value)
        if let address = try? GeneralName.ipAddress(text) { return address }
        if text.contains("://") { return .uri(text) }
        if text.utf8.contains(UInt8(ascii: "@")), let mailbox = try? GeneralName.mailbox(text) { return mailbox }
        return looksLikeHost(text) ? .dns(text.lowercased()) : nil
    }

    /// A host or an address as people write one in a URL, without a port, a path and the brackets of an IPv6 address.
    private static func withoutPort(_ text: String) -> String {
        var host = text.prefix { $0 != "/" }
        if host.first == "[", let end = host.firstIndex(of: "]") { return String(host[..<end].dropFirst()) }
        if let colon = host.lastIndex(of: ":"), host.firstIndex(of: ":") == colon,
            !host[colon...].dropFirst().isEmpty, host[colon...].dropFirst().allSatisfy(\.isNumber)
        {
            host = host[..<colon]
        }
        return String(host)
    }

    /// Whether a common name has the form of a host's with a domain, be it one that no DNS would take.
    private static func looksLikeHost(_ text: String) -> Bool {
        let labels = text.split(separator: ".", omittingEmptySubsequences: true)
        if text.lowercased() == "localhost" { return true }
        guard labels.count > 1, let last = labels.last, !last.allSatisfy(\.isNumber) else { return false }
        return labels.joined().unicodeScalars.allSatisfy { scalar in
            scalar.properties.isAlphabetic || scalar.properties.numericType != nil
                || "-_*".unicodeScalars.contains(scalar)
        }
    }

    /// Refuses more alternative names than the limit.
    static func checkCount(_ count: Int, atMost limit: Int, of name: String) throws(AuthorityError) {
        guard count > limit else { return }
        throw AuthorityError(
            .policy, "\(printable(name)) would have \(count) alternative names, and \(limit) are the most",
            hint: "leave some out, or allow them: --max-names \(count)")
    }

    /// Why a name that a request asks for is not taken unseen; `nil` for an ordinary one.
    static func oddity(of name: GeneralName, subject: DistinguishedName) -> String? {
        switch name {
        case .dns(let text):
            let labels = text.split(separator: ".")
            return labels.first == "*" && labels.count < 3 ? "it matches every host of a whole domain" : nil
        case .uri(let text):
            let scheme = text.prefix { $0 != ":" }.lowercased()
            return ["spiffe", "https", "http", "urn", "tag", "ldap", "ldaps"].contains(scheme)
                ? nil : "the scheme \(printable(scheme, limit: 40)) is not one of names"
        case .directory(let other): return other == subject ? nil : "it is another subject"
        case .ip, .email, .other: return nil
        }
    }
}

/// The grammar of the names under which a directory holds certificates. Every name that comes from an option, a batch or
/// another directory is checked here before it becomes a part of a file's name.
enum EntryName {
    /// Refuses what cannot be the name of anything in a directory.
    static func check(_ name: String) throws(AuthorityError) {
        guard (1...64).contains(name.utf8.count) else { throw refusal(of: name, "it must have 1 to 64 characters") }
        guard name.utf8.allSatisfy({ $0.isASCIILetterOrDigit || "._@-".utf8.contains($0) }) else {
            throw refusal(of: name, "it may hold the letters a to z and A to Z, digits, \".\", \"_\", \"@\" and \"-\"")
        }
        guard !name.hasPrefix("."), !name.hasPrefix("-") else {
            throw refusal(of: name, "it must not begin with \".\" or \"-\"")
        }
    }

    /// Refuses what cannot become the name of a new certificate: the CA's own names, and those that read as files of the
    /// directory do.
    static func checkNew(_ name: String) throws(AuthorityError) {
        try check(name)
        guard !CertificateAuthority.reservedNames.contains(name) else {
            throw refusal(of: name, "\(AuthorityFiles.certificate(of: name)) is a file of the CA's own")
        }
        // Some file systems do not tell letters by their case.
        let plain = name.lowercased()
        guard !plain.hasPrefix(Inventory.fileName), plain != "archive",
            !["-cert", "-chain", "-crl", "-cert.pem", "-key.pem", "-key.uri", "-chain.pem", "-crl.pem"]
                .contains(where: plain.hasSuffix)
        else {
            throw refusal(of: name, "files of the CA's directory are called so")
        }
    }

    private static func refusal(of name: String, _ why: String) -> AuthorityError {
        AuthorityError(.invalidRequest, "the name \"\(printable(name, limit: 100))\" is not allowed: \(why)")
    }
}

/// Which alternative names a profile requires: `names` in `[ pki ]`.
enum RequiredNames: String, CaseIterable {
    /// Any.
    case any
    /// At least one DNS name or IP address.
    case host
    /// Exactly one URI, a SPIFFE ID.
    case spiffe

    /// Checks names.
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
                hint: "give one with --dns or --ip")
        case .spiffe:
            let identifiers = names.compactMap { name in
                if case .uri(let text) = name { text } else { nil }
            }
            guard identifiers.count == 1, let identifier = identifiers.first else {
                throw AuthorityError(
                    .policy,
                    "the profile \(request.template.profile) needs exactly one URI, a SPIFFE ID, and \(request.name) has \(identifiers.count)",
                    hint: "give it with --uri spiffe://example.org/\(request.name)")
            }
            guard let why = Self.objection(toIdentifier: identifier) else { return }
            throw AuthorityError(
                .policy, "\(identifier) is not a SPIFFE ID: \(why)",
                hint: "it has the form spiffe://TRUST-DOMAIN/PATH, such as spiffe://example.org/web")
        }
    }

    /// What is wrong with a SPIFFE ID (the SPIFFE-ID standard, §2); `nil` when it is one.
    private static func objection(toIdentifier text: String) -> String? {
        guard text.hasPrefix("spiffe://") else { return "it does not begin with spiffe://" }
        guard text.utf8.count <= 2048 else { return "it has more than 2048 bytes" }
        let parts = text.dropFirst("spiffe://".count).split(separator: "/", omittingEmptySubsequences: false)
        guard let domain = parts.first, !domain.isEmpty, domain.utf8.count <= 255 else {
            return "it has no trust domain"
        }
        guard
            domain.utf8.allSatisfy({
                $0.isASCIILetterOrDigit && !(0x41...0x5a).contains($0) || "._-".utf8.contains($0)
            })
        else {
            return "a trust domain holds a to z, digits, \".\", \"_\" and \"-\" alone"
        }
        for segment in parts.dropFirst() {
            guard !segment.isEmpty, segment != ".", segment != ".." else {
                return "a part of its path is empty, \".\" or \"..\""
            }
            guard segment.utf8.allSatisfy({ $0.isASCIILetterOrDigit || "._-".utf8.contains($0) }) else {
                return "a path holds letters, digits, \".\", \"_\" and \"-\" alone"
            }
        }
        return nil
    }
}
