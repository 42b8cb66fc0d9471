// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The rules for names in certificates, the same for a command, a batch and a renewal.
enum NamePolicy {
    /// The largest number of alternative names of one certificate by default.
    static let mostNames = 100

    /// Refuses confusable names.
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
            .policy, "\(part) \"\(terminalSafe(text))\" can be confused with another: it \(objection)",
            hint: "use letters of one script, or --insecure-names")
    }

    /// Refuses names that a CA of the path must not certify. This is stricter than RFC 5280: a CA that permits names of
    /// one kind may certify no others of it, and a common name that looks like a host, an address or a mailbox counts
    /// as one.
    static func checkConstraints(
        _ subject: DistinguishedName, _ names: [GeneralName], below authorities: [Certificate]
    ) throws(AuthorityError) {
        let constraining = authorities.filter { $0.nameConstraints != nil }
        guard !constraining.isEmpty else { return }
        // The subject as an alternative name is covered by the verification of the path.
        let said = names.filter { $0 != .directory(subject) }.map { (name: $0, shown: "\($0)") }
        let meant = subject.relativeNames.joined().flatMap { attribute in
            meanings(of: attribute).map { (name: $0, shown: "\(attribute.type)=\(attribute.value)") }
        }
        for authority in constraining {
            for (name, shown) in said + meant {
                guard let objection = authority.nameConstraints?.objection(to: name) else { continue }
                throw AuthorityError(
                    .policy,
                    "the CA \(printable("\(authority.subject)")) may not issue a certificate for \(printable(shown)): "
                        + printable(objection),
                    hint: "leave out the name, or use another CA: pki tree")
            }
        }
    }

    /// The names that software may see in an attribute of a subject: in the whole value, and in each word of it, since
    /// programs cut off blanks, brackets, schemes, ports and paths in different ways.
    private static func meanings(of attribute: DistinguishedName.Attribute) -> [GeneralName] {
        guard attribute.type == "CN" else { return meaning(of: attribute).map { [$0] } ?? [] }
        let words = attribute.value.split { !($0.isLetter || $0.isNumber || ".-_*@".contains($0)) }
        let parts =
            [attribute.value]
            + words.map { word in
                String(word.reversed().drop { $0 == "." }.reversed().drop { $0 == "." })
            }
        let plain = parts.compactMap { meaning(of: .init(type: "CN", value: $0)) }
        return plain + words.compactMap { IPAddress.octets(short: String($0)).map(GeneralName.ip) }
    }

    /// The name that software may see in an attribute of a subject; `nil` for none.
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

    /// The host or address of a URL's authority, without port, path and the brackets of an IPv6 address.
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

    /// Whether a common name looks like a host with a domain, even one that is not allowed in the DNS.
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
            .policy, "\(printable(name)) would have \(count) alternative names; the limit is \(limit)",
            hint: "leave out some, or raise the limit: --max-names \(count)")
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

/// The grammar of names in a CA directory. Every name from an option, a batch or another directory is checked here
/// before it is used in a file name.
enum EntryName {
    /// Refuses names that cannot be in a directory.
    static func check(_ name: String) throws(AuthorityError) {
        guard (1...64).contains(name.utf8.count) else { throw refusal(of: name, "it must have 1 to 64 characters") }
        guard name.utf8.allSatisfy({ $0.isASCIILetterOrDigit || "._@-".utf8.contains($0) }) else {
            throw refusal(of: name, "it may contain ASCII letters, digits, \".\", \"_\", \"@\" and \"-\"")
        }
        guard !name.hasPrefix("."), !name.hasPrefix("-") else {
            throw refusal(of: name, "it must not begin with \".\" or \"-\"")
        }
    }

    /// Refuses names that a new certificate cannot have: those of the CA itself and of its server, and those that look like files
    /// of the directory.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - isServers: Whether it is for a certificate of the server.
    static func checkNew(_ name: String, isServers: Bool = false) throws(AuthorityError) {
        try check(name)
        guard isServers || !CertificateAuthority.isReserved(name) else {
            throw refusal(of: name, "\(AuthorityFiles.certificate(of: name)) is a file of the CA itself")
        }
        // Some file systems ignore case.
        let plain = name.lowercased()
        guard !plain.hasPrefix(Inventory.fileName), plain != "archive",
            !["-cert", "-chain", "-crl", "-cert.pem", "-key.pem", "-key.uri", "-chain.pem", "-crl.pem"]
                .contains(where: plain.hasSuffix)
        else {
            throw refusal(of: name, "files of the CA directory have such names")
        }
    }

    private static func refusal(of name: String, _ why: String) -> AuthorityError {
        AuthorityError(.invalidValue, "the name \"\(printable(name, limit: 100))\" is not allowed: \(why)")
    }
}

/// The alternative names that a profile requires: `names` in `[ pki ]`.
enum RequiredNames: String, CaseIterable {
    case any
    /// At least one DNS name or IP address.
    case host
    /// Exactly one URI, a SPIFFE ID.
    case spiffe

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
                "the profile \(request.template.profile) requires a DNS name or an IP address, but \(request.name) has none",
                hint: "add one: --dns NAME or --ip ADDRESS")
        case .spiffe:
            let identifiers = names.compactMap { name in
                if case .uri(let text) = name { text } else { nil }
            }
            guard identifiers.count == 1, let identifier = identifiers.first else {
                throw AuthorityError(
                    .policy,
                    "the profile \(request.template.profile) requires exactly one URI, a SPIFFE ID, but \(request.name) has \(identifiers.count)",
                    hint: "give it: --uri spiffe://example.org/\(request.name)")
            }
            guard let why = Self.objection(toIdentifier: identifier) else { return }
            throw AuthorityError(
                .policy, "\(identifier) is not a SPIFFE ID: \(why)",
                hint: "use spiffe://TRUST-DOMAIN/PATH, such as spiffe://example.org/web")
        }
    }

    /// The reason why a text is not a SPIFFE ID (the SPIFFE-ID standard, §2); `nil` if it is one.
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
            return "a trust domain may contain only a to z, digits, \".\", \"_\" and \"-\""
        }
        for segment in parts.dropFirst() {
            guard !segment.isEmpty, segment != ".", segment != ".." else {
                return "a part of its path is empty, \".\" or \"..\""
            }
            guard segment.utf8.allSatisfy({ $0.isASCIILetterOrDigit || "._-".utf8.contains($0) }) else {
                return "a path may contain only letters, digits, \".\", \"_\" and \"-\""
            }
        }
        return nil
    }
}
