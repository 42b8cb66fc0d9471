// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The rules for certificates that hold whatever the template says.
enum ClientPolicy {
    /// Checks what can be checked before a key is made.
    static func check(_ request: ClientRequest) throws(AuthorityError) {
        try EntryName.checkNew(request.name)
        guard let certificateRequest = request.certificateRequest else { return }
        if request.keyType != nil {
            throw AuthorityError(
                .invalidRequest, "a certificate request brings its own key, so no key type can be chosen")
        }
        if request.passphrase != nil {
            throw AuthorityError(
                .invalidRequest, "a certificate request brings its own key, so there is no key file to encrypt")
        }
        if request.bundle != nil {
            throw AuthorityError(
                .invalidRequest,
                "a certificate request brings its own key, so there is no key to put into a PKCS#12 file",
                hint: "leave --pkcs12 out; beside the key: openssl pkcs12 -export -inkey KEY -in CERTIFICATE")
        }
        try check(certificateRequest.publicKey, in: certificateRequest.name)
    }

    /// A key that somebody else made must be strong enough to certify.
    static func check(_ key: PublicKey, in name: String) throws(AuthorityError) {
        switch key.algorithm {
        case .rsa(let bits) where (2048...8192).contains(bits): return
        case .ec("prime256v1"), .ec("secp384r1"), .ec("secp521r1"), .mlDSA: return
        default:
            throw AuthorityError(
                .policy, "the key in \(name), \(key.algorithm), is not certified",
                hint: "use RSA with 2048 to 8192 bits, P-256, P-384, P-521 or ML-DSA")
        }
    }

    /// Decides about the names of a certificate: what the request says is taken where it was asked for, or is accepted.
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
                    "\(shown(certificateRequest.name)) asks for \(list(others)) too, which was not asked for here and is left "
                        + "out: name it, or take what the request asks for with --accept-names")
            }
        }
        try NamePolicy.checkCount(review.names.count, atMost: request.maximumNames, of: request.name)
        if !request.allowsInsecureNames { try NamePolicy.checkText(review.subject, review.names) }
        if !(review.names.isEmpty && request.template.hasSubjectAlternativeName) {
            try request.template.requiredNames.check(review.names, of: request)
        }
        return review
    }

    /// The subject: the one given, the accepted one of the request, or the template's, whose common name a chosen name
    /// replaces.
    private static func subject(of request: ClientRequest) throws -> DistinguishedName {
        var subject = request.subject
        if subject == nil, request.acceptsRequestedSubject, let requested = request.certificateRequest?.subject,
            !requested.isEmpty
        {
            // Encoded again: values get the types of RFC 5280, and its bounds are checked.
            subject = try DistinguishedName(relativeNames: requested.relativeNames)
        } else if subject == nil, request.certificateRequest == nil || request.nameIsCommonName {
            let template = request.template.subject
            subject = request.nameIsCommonName ? try template.replacingCommonName(with: request.name) : template
        } else if subject == nil, let certificateRequest = request.certificateRequest {
            throw AuthorityError(
                .invalidRequest,
                "no name was given for the certificate of the key in \(shown(certificateRequest.name))",
                hint: "give the name, --name NAME, or take the request's word for it: --accept-subject")
        }
        guard let subject, !subject.isEmpty else {
            throw AuthorityError(
                .invalidRequest, "the client certificate has no subject, and IAM Roles Anywhere takes none without",
                hint: "give one, for example --subject \"CN=\(request.name)\"")
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
                "\(shown(certificateRequest.name)) asks for the subject \(text); the certificate has "
                    + shown(review.subject.description))
        }
    }

    /// Passes over what the certificate has anyway, and refuses what is more.
    private static func checkExtensions(
        of request: CertificateRequest, _ template: CertificateTemplate, _ review: inout RequestReview
    ) throws {
        guard !request.otherExtensions.isEmpty else { return }
        let (usage, purposes) = try template.usages()
        let asked = RequestedExtensions(of: request, granting: usage, purposes)
        guard asked.refused.isEmpty else {
            throw AuthorityError(
                .policy,
                "\(shown(request.name)) asks for \(shown(asked.refused.joined(separator: "; "))), which the profile "
                    + "\(template.profile) does not give",
                hint: "make the request without it, or choose another with --profile or --template")
        }
        review.notices.append(
            "\(shown(request.name)) asks for \(shown(asked.ignored.joined(separator: ", "))): the profile decides about that"
        )
    }

    /// The names in a request, each checked as if it had been given to us. Unusual names are refused.
    private static func checked(
        _ certificateRequest: CertificateRequest, _ request: ClientRequest, subject: DistinguishedName
    ) throws -> [GeneralName] {
        var names: [GeneralName] = []
        for name in unique(certificateRequest.subjectAlternativeNames) {
            // What is not written need not be understood, once somebody has said so.
            if case .other = name, request.allowsInsecureNames, !request.acceptsRequestedNames { continue }
            let name = try checked(name)
            if !request.allowsInsecureNames {
                if let oddity = NamePolicy.oddity(of: name, subject: subject) {
                    throw AuthorityError(
                        .policy, "\(shown(certificateRequest.name)) asks for \(shown(name.description)): \(oddity)",
                        hint: "make the request without it, or insist with --insecure-names")
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
        // A bare label is no domain name to those who lint certificates: for a client the subject says as much.
        let isHost = try name.contains(".") || request.template.requiredNames == .host
        if let address = try? GeneralName.ipAddress(name) { return address }
        if isHost, let host = try? GeneralName.dnsName(name) { return host }
        return (try? .mailbox(name)) ?? .directory(subject)
    }

    /// Checks a name that somebody else wrote as if it had been given to us.
    private static func checked(_ name: GeneralName) throws(CertificateError) -> GeneralName {
        switch name {
        case .dns(let text): return try .dnsName(text)
        case .uri(let text): return try .uniformResourceIdentifier(text)
        case .email(let text): return try .mailbox(text)
        case .ip(let octets):
            guard octets.count == 4 || octets.count == 16 else {
                throw CertificateError(
                    .invalidName, "an IP address in the certificate request has \(octets.count) octets")
            }
            return name
        case .directory(let subject): return .directory(try DistinguishedName(relativeNames: subject.relativeNames))
        case .other(let kind):
            throw CertificateError(
                .unsupported, "the certificate request asks for an alternative name of the kind \(kind)")
        }
    }

    private static func unique(_ names: [GeneralName]) -> [GeneralName] {
        var seen: Set<GeneralName> = []
        return names.filter { seen.insert($0).inserted }
    }

    /// Checks what a template made.
    static func check(_ certificate: Certificate, from template: CertificateTemplate) throws(AuthorityError) {
        guard !certificate.isCA, certificate.keyUsage?.isDisjoint(with: [.keyCertSign, .crlSign]) ?? true else {
            throw AuthorityError(
                .policy, "\(template.name) makes a CA, and a client certificate must not be one",
                hint: "it needs basicConstraints = CA:FALSE, and a keyUsage without keyCertSign and cRLSign")
        }
        guard certificate.keyUsage?.contains(.digitalSignature) ?? false else {
            throw AuthorityError(
                .policy, "\(template.name) makes a certificate that cannot sign requests",
                hint: "it needs keyUsage = critical, digitalSignature")
        }
    }

    /// Checks that a template made a CA's certificate.
    static func checkAuthority(_ certificate: Certificate, from template: CertificateTemplate) throws(AuthorityError) {
        guard certificate.isCA, certificate.keyUsage?.contains(.keyCertSign) == true else {
            throw AuthorityError(
                .policy, "\(template.name) does not make a CA: its certificate would not allow signing others",
                hint: "it needs basicConstraints = critical, CA:TRUE and keyUsage = critical, keyCertSign, cRLSign")
        }
    }
}
