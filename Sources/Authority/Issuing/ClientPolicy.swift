// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The rules for certificates of every template.
enum ClientPolicy {
    /// Checks a request before a key is created.
    static func check(_ request: ClientRequest) throws(AuthorityError) {
        try EntryName.checkNew(request.name, isServers: request.isServers)
        guard let certificateRequest = request.certificateRequest else { return }
        if request.keyType != nil {
            throw AuthorityError(
                .invalidRequest, "a certificate request has its own key; no key type can be chosen")
        }
        if request.passphrase != nil {
            throw AuthorityError(
                .invalidRequest, "a certificate request has its own key; there is no key file to encrypt")
        }
        if request.bundle != nil {
            throw AuthorityError(
                .invalidRequest,
                "a certificate request has its own key; there is no key for a PKCS#12 file",
                hint: "create the file where the key is: openssl pkcs12 -export -inkey KEY -in CERTIFICATE")
        }
        try check(certificateRequest.publicKey, in: certificateRequest.name)
    }

    /// Refuses weak keys of certificate requests.
    static func check(_ key: PublicKey, in name: String) throws(AuthorityError) {
        switch key.algorithm {
        case .rsa(let bits) where (2048...8192).contains(bits): return
        case .ec("prime256v1"), .ec("secp384r1"), .ec("secp521r1"), .mlDSA: return
        default:
            throw AuthorityError(
                .policy, "the key in \(name), \(key.algorithm), is not allowed",
                hint: "use RSA with 2048 to 8192 bits, P-256, P-384, P-521 or ML-DSA")
        }
    }

    /// Decides about the names of a certificate. Names of the certificate request are used only if they are accepted.
    static func review(_ request: ClientRequest) throws -> RequestReview {
        var review = RequestReview(subject: try subject(of: request), names: [])
        if let certificateRequest = request.certificateRequest {
            try checkExtensions(of: certificateRequest, request.template, &review)
            reportSubject(of: certificateRequest, request, &review)
        }
        let given = unique(request.subjectAlternativeNames)
        let own =
            try given.isEmpty && !request.template.hasSubjectAlternativeName
            ? [defaultName(of: request, subject: review.subject)] : given
        review.names = own
        if let certificateRequest = request.certificateRequest {
            let requested = try checked(certificateRequest, request, subject: review.subject)
            let others = requested.filter { !own.contains($0) }
            if request.acceptsRequestedNames, !requested.isEmpty {
                review.names = given + requested.filter { !given.contains($0) }
                review.accepted += requested.map { "the name \(shown($0.description))" }
            } else if !others.isEmpty {
                review.notices.append(
                    "\(shown(certificateRequest.name)) also requests \(list(others)), which is left out; use --accept-names to "
                        + "accept it")
            }
        }
        try NamePolicy.checkCount(review.names.count, atMost: request.maximumNames, of: request.name)
        if !request.allowsInsecureNames { try NamePolicy.checkText(review.subject, review.names) }
        if !(review.names.isEmpty && request.template.hasSubjectAlternativeName) {
            try request.template.requiredNames.check(review.names, of: request)
        }
        return review
    }

    /// The subject that was given, the accepted one of the request, or the template's with the name as common name.
    private static func subject(of request: ClientRequest) throws -> DistinguishedName {
        var subject = request.subject
        if subject == nil, request.acceptsRequestedSubject, let requested = request.certificateRequest?.subject,
            !requested.isEmpty
        {
            // Encoded again, which checks the bounds of RFC 5280 and uses its string types.
            subject = try DistinguishedName(relativeNames: requested.relativeNames)
        } else if subject == nil, request.certificateRequest == nil || request.nameIsCommonName {
            let template = request.template.subject
            subject = request.nameIsCommonName ? try template.replacingCommonName(with: request.name) : template
        } else if subject == nil, let certificateRequest = request.certificateRequest {
            throw AuthorityError(
                .invalidRequest,
                "the certificate for \(shown(certificateRequest.name)) has no name",
                hint: "give one with --name NAME, or accept the request's with --accept-subject")
        }
        guard let subject, !subject.isEmpty else {
            throw AuthorityError(
                .invalidRequest, "the certificate has no subject, which IAM Roles Anywhere requires",
                hint: "give one: --subject \"CN=\(request.name)\"")
        }
        return subject
    }

    private static func reportSubject(
        of certificateRequest: CertificateRequest, _ request: ClientRequest, _ review: inout RequestReview
    ) {
        let requested = certificateRequest.subject
        guard !requested.isEmpty else { return }
        let text = shown(requested.description)
        if request.acceptsRequestedSubject, request.subject == nil {
            review.accepted.append("the subject \(text)")
        } else if requested.relativeNames != review.subject.relativeNames {
            review.notices.append(
                "\(shown(certificateRequest.name)) requests the subject \(text); the certificate has "
                    + shown(review.subject.description))
        }
    }

    /// Ignores requested extensions that the certificate has anyway, and refuses others.
    private static func checkExtensions(
        of request: CertificateRequest, _ template: CertificateTemplate, _ review: inout RequestReview
    ) throws {
        guard !request.otherExtensions.isEmpty else { return }
        let (usage, purposes) = try template.usages()
        let asked = RequestedExtensions(of: request, granting: usage, purposes)
        guard asked.refused.isEmpty else {
            throw AuthorityError(
                .policy,
                "\(shown(request.name)) requests \(shown(asked.refused.joined(separator: "; "))), which the profile "
                    + "\(template.profile) does not allow",
                hint: "create the request without it, or use another profile: --profile NAME or --template FILE")
        }
        review.notices.append(
            "\(shown(request.name)) requests \(shown(asked.ignored.joined(separator: ", "))), which the profile determines"
        )
    }

    /// The names in a request, each checked like one of the command line. Unusual names are refused.
    private static func checked(
        _ certificateRequest: CertificateRequest, _ request: ClientRequest, subject: DistinguishedName
    ) throws -> [GeneralName] {
        var names: [GeneralName] = []
        for name in unique(certificateRequest.subjectAlternativeNames) {
            // A name of an unknown kind that is not accepted can be ignored with --insecure-names.
            if case .other = name, request.allowsInsecureNames, !request.acceptsRequestedNames { continue }
            let name = try checked(name)
            if !request.allowsInsecureNames {
                if let oddity = NamePolicy.oddity(of: name, subject: subject) {
                    throw AuthorityError(
                        .policy, "\(shown(certificateRequest.name)) requests \(shown(name.description)): \(oddity)",
                        hint: "create the request without it, or use --insecure-names")
                }
                try NamePolicy.checkText(subject, [name])
            }
            names.append(name)
        }
        return names
    }

    private static func shown(_ text: String) -> String { printable(terminalSafe(text), limit: 300) }

    private static func list(_ names: [GeneralName]) -> String {
        let few = names.prefix(5).map { shown($0.description) }.joined(separator: ", ")
        return names.count > 5 ? "\(few) and \(names.count - 5) more names" : few
    }

    private static func defaultName(of request: ClientRequest, subject: DistinguishedName) throws -> GeneralName {
        let name = request.name
        // Linters reject a single label as a DNS name; for a client the subject is enough.
        let isHost = try name.contains(".") || request.template.requiredNames == .host
        if let address = try? GeneralName.ipAddress(name) { return address }
        if isHost, let host = try? GeneralName.dnsName(name) { return host }
        return (try? .mailbox(name)) ?? .directory(subject)
    }

    /// Checks a name of a request like one of the command line.
    private static func checked(_ name: GeneralName) throws(CertificateError) -> GeneralName {
        switch name {
        case .dns(let text): return try .dnsName(text)
        case .uri(let text): return try .uniformResourceIdentifier(text)
        case .email(let text): return try .mailbox(text)
        case .ip(let octets):
            guard octets.count == 4 || octets.count == 16 else {
                throw CertificateError(
                    .invalidName, "an IP address in the certificate request has \(octets.count) octets, not 4 or 16")
            }
            return name
        case .directory(let subject): return .directory(try DistinguishedName(relativeNames: subject.relativeNames))
        case .other(let kind):
            throw CertificateError(
                .unsupported, "the certificate request has an alternative name of the unsupported kind \(kind)")
        }
    }

    private static func unique(_ names: [GeneralName]) -> [GeneralName] {
        var seen: Set<GeneralName> = []
        return names.filter { seen.insert($0).inserted }
    }

    /// Checks a certificate that a template produced.
    static func check(_ certificate: Certificate, from template: CertificateTemplate) throws(AuthorityError) {
        guard !certificate.isCA, certificate.keyUsage?.isDisjoint(with: [.keyCertSign, .crlSign]) ?? true else {
            throw AuthorityError(
                .policy, "\(template.name) produces a CA, not a client certificate",
                hint: "set basicConstraints = CA:FALSE, and a keyUsage without keyCertSign and cRLSign")
        }
        guard certificate.keyUsage?.contains(.digitalSignature) ?? false else {
            throw AuthorityError(
                .policy, "\(template.name) produces a certificate that cannot sign requests",
                hint: "set keyUsage = critical, digitalSignature")
        }
    }

    /// Checks that a template produced a CA certificate.
    static func checkAuthority(_ certificate: Certificate, from template: CertificateTemplate) throws(AuthorityError) {
        guard certificate.isCA, certificate.keyUsage?.contains(.keyCertSign) == true else {
            throw AuthorityError(
                .policy, "\(template.name) does not produce a CA certificate",
                hint: "set basicConstraints = critical, CA:TRUE and keyUsage = critical, keyCertSign, cRLSign")
        }
    }
}
