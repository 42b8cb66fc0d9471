// SPDX-License-Identifier: Apache-2.0

import Certificates

/// The rules for client certificates that hold whatever the template says.
enum ClientPolicy {
    /// Checks what can be checked before a key is made.
    ///
    /// - Parameter request: What is asked for.
    /// - Throws: ``AuthorityError`` naming the rule.
    static func check(_ request: ClientRequest) throws(AuthorityError) {
        try checkName(request.name)
        guard let certificateRequest = request.certificateRequest else { return }
        if request.keyType != nil {
            throw AuthorityError(
                .invalidRequest,
                "a certificate request brings its own key, so no key type can be chosen"
            )
        }
        if request.passphrase != nil {
            throw AuthorityError(
                .invalidRequest,
                "a certificate request brings its own key, so there is no key file to encrypt"
            )
        }
        if request.bundle != nil {
            throw AuthorityError(
                .invalidRequest,
                "a certificate request brings its own key, so there is no key to put into a PKCS#12 file",
                remedy: "leave --pkcs12 out; beside the key: openssl pkcs12 -export -inkey KEY -in CERTIFICATE"
            )
        }
        guard certificateRequest.otherExtensions.isEmpty else {
            throw AuthorityError(
                .policy,
                "\(certificateRequest.name) asks for \(certificateRequest.otherExtensions.joined(separator: ", ")), which only the CA decides",
                remedy: "make the request with nothing but a key, a subject and a subjectAltName"
            )
        }
        try check(certificateRequest.publicKey, in: certificateRequest.name)
    }

    /// A name becomes part of file names: nothing in it may mean something to a file system or a shell.
    static func checkName(_ name: String) throws(AuthorityError) {
        func refuse(_ why: String) -> AuthorityError {
            AuthorityError(.invalidRequest, "the name \"\(name)\" is not allowed: \(why)")
        }
        guard (1...64).contains(name.utf8.count) else { throw refuse("it must have 1 to 64 characters") }
        guard name.utf8.allSatisfy({ isAllowed($0) }) else {
            throw refuse("it may hold the letters a to z and A to Z, digits, \".\", \"_\", \"@\" and \"-\"")
        }
        guard !name.hasPrefix("."), !name.hasPrefix("-") else { throw refuse("it must not begin with \".\" or \"-\"") }
        guard !CertificateAuthority.reservedNames.contains(name) else {
            throw refuse("\(AuthorityFiles.certificate(of: name)) is a file of the CA's own")
        }
    }

    private static func isAllowed(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "._@-".utf8.contains(octet)
        }
    }

    /// A key that somebody else made must be strong enough to certify.
    static func check(_ key: PublicKey, in name: String) throws(AuthorityError) {
        switch key.algorithm {
        case .rsa(let bits) where (2048...8192).contains(bits): return
        case .ec("prime256v1"), .ec("secp384r1"), .ec("secp521r1"), .mlDSA: return
        default:
            throw AuthorityError(
                .policy,
                "the key in \(name), \(key.algorithm), is not certified",
                remedy: "use RSA with 2048 to 8192 bits, P-256, P-384, P-521 or ML-DSA"
            )
        }
    }

    /// The subject: the one given, the request's, or the template's, whose common name a chosen name replaces.
    ///
    /// - Parameter request: What is asked for.
    /// - Returns: A subject that is not empty.
    /// - Throws: ``AuthorityError`` or `CertificateError` naming the rule.
    static func subject(of request: ClientRequest) throws -> DistinguishedName {
        var subject = request.subject
        if subject == nil, let requested = request.certificateRequest?.subject, !requested.isEmpty {
            // Encoded anew: values take the types that RFC 5280 wants, and its bounds are checked.
            subject = try DistinguishedName(relativeNames: requested.relativeNames)
        } else if subject == nil, request.certificateRequest == nil || request.nameIsCommonName {
            let template = request.template.subject
            subject = request.nameIsCommonName ? try template.replacingCommonName(with: request.name) : template
        }
        guard let subject, !subject.isEmpty else {
            throw AuthorityError(
                .invalidRequest,
                "the client certificate has no subject, and IAM Roles Anywhere takes none without",
                remedy: "give one, for example --subject \"CN=\(request.name)\""
            )
        }
        return subject
    }

    /// The alternative names: those given, the request's, the template's, or one made from the name.
    ///
    /// - Parameters:
    ///   - request: What is asked for.
    ///   - subject: The certificate's subject, which serves where the name is no host, address or mailbox.
    /// - Returns: Names to write in place of the template's; none when the template has its own.
    /// - Throws: `CertificateError` naming the name that is malformed, ``AuthorityError`` when the profile wants others.
    static func alternativeNames(of request: ClientRequest, subject: DistinguishedName) throws -> [GeneralName] {
        let given = try givenNames(of: request)
        if given.isEmpty, request.template.hasSubjectAlternativeName { return [] }
        let names = given.isEmpty ? [try defaultName(of: request, subject: subject)] : given
        try request.template.requiredNames.check(names, of: request)
        return names
    }

    private static func givenNames(of request: ClientRequest) throws -> [GeneralName] {
        if !request.subjectAlternativeNames.isEmpty { return unique(request.subjectAlternativeNames) }
        return unique(try request.certificateRequest?.subjectAlternativeNames.map(checked) ?? [])
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
                    .invalidName,
                    "an IP address in the certificate request has \(octets.count) octets"
                )
            }
            return name
        case .directory(let subject): return .directory(try DistinguishedName(relativeNames: subject.relativeNames))
        case .other(let kind):
            throw CertificateError(
                .unsupported,
                "the certificate request asks for an alternative name of the kind \(kind)"
            )
        }
    }

    private static func unique(_ names: [GeneralName]) -> [GeneralName] {
        var seen: Set<GeneralName> = []
        return names.filter { seen.insert($0).inserted }
    }

    /// Checks what a template made.
    ///
    /// - Parameters:
    ///   - certificate: The certificate, not written yet.
    ///   - template: Where its extensions came from.
    /// - Throws: ``AuthorityError`` when it is not a client's.
    static func check(_ certificate: Certificate, from template: CertificateTemplate) throws(AuthorityError) {
        guard !certificate.isCA, certificate.keyUsage?.isDisjoint(with: [.keyCertSign, .crlSign]) ?? true else {
            throw AuthorityError(
                .policy,
                "\(template.name) makes a CA, and a client certificate must not be one",
                remedy: "it needs basicConstraints = CA:FALSE, and a keyUsage without keyCertSign and cRLSign"
            )
        }
        guard certificate.keyUsage?.contains(.digitalSignature) ?? false else {
            throw AuthorityError(
                .policy,
                "\(template.name) makes a certificate that cannot sign requests",
                remedy: "it needs keyUsage = critical, digitalSignature"
            )
        }
    }
}
