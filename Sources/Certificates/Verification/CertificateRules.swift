// SPDX-License-Identifier: Apache-2.0

/// Rules on the encoding of certificates and CRLs.
enum EncodingRule {
    static let der = ValidationRule.error("der-encoding", "X.690 §10, §11", .both)
        .says("The signed part is in DER: lengths definite and as short as possible, sets in order.")
        .fix("have it issued again by software that writes DER")
    static let defaultValue = ValidationRule.error("der-default", "X.690 §11.5", .both)
        .says("A value that is the default is left out.")
        .fix("have it issued again by software that writes DER")
    static let version = ValidationRule.error("version", "RFC 5280 §4.1.2.1")
        .says("A certificate is of version 3, without which it has no extensions.")
        .fix("issue one of version 3, as everything that writes extensions does")
    static let uniqueIdentifiers = ValidationRule.error("unique-identifiers", "RFC 5280 §4.1.2.8")
        .says("There are no unique identifiers of issuer or subject.")
        .fix("issue one without them")
    static let serialZero = ValidationRule.error("serial-zero", "RFC 5280 §4.1.2.2")
        .says("A serial number is not zero.")
        .fix("issue one with a random serial number")
    static let serialNegative = ValidationRule.error("serial-negative", "RFC 5280 §4.1.2.2")
        .says("A serial number is positive.")
        .fix("issue one whose serial number has the first bit clear")
    static let serialLength = ValidationRule.error("serial-length", "RFC 5280 §4.1.2.2")
        .says("A serial number has at most 20 octets.")
        .fix("issue one with a serial number of 159 bits or fewer")
    static let algorithmsDiffer = ValidationRule.error("signature-algorithms-differ", "RFC 5280 §4.1.1.2")
        .says("The signature's algorithm is the same under the signature and beside it.")
        .fix("do not use it: it may have been changed; have it issued again")
    static let algorithmParameters = ValidationRule.error("signature-parameters", "RFC 4055 §5, RFC 5758 §3.2", .both)
        .says("The parameters of an RSA signature's algorithm are NULL, those of an ECDSA signature's are left out.")
        .fix("have it issued again by software that keeps to the algorithm's own RFC")
    static let weakSignature = ValidationRule.error("signature-weak", "RFC 6194, RFC 6151", .both)
        .says("The signature's hash is SHA-256 or stronger.")
        .fix("have it issued again with SHA-256 or stronger")
    static let noExtensions = ValidationRule.error("extensions-empty", "RFC 5280 §4.1.2.9", .both)
        .says("The field extensions is left out when there are none.")
        .fix("issue one with extensions, or with none")
    static let duplicateExtension = ValidationRule.error("extension-duplicate", "RFC 5280 §4.2", .both)
        .says("No extension occurs twice.")
        .fix("issue one in which it occurs once")
    static let unknownCritical = ValidationRule.error("extension-unknown-critical", "RFC 5280 §4.2", .both)
        .says("A critical extension is one that RFC 5280 defines.")
        .fix("leave it out, or mark it as not critical")
    static let malformedExtension = ValidationRule.error("extension-malformed", "RFC 5280 §4.2", .both)
        .says("The value of an extension can be read.")
        .fix("issue one in which the extension is as its RFC has it")
    static let mustBeCritical = ValidationRule.error("extension-must-be-critical", "RFC 5280 §4.2.1, §5.2", .both)
        .says("Extensions that restrict a CA or a CRL are critical, such as policyConstraints and deltaCRLIndicator.")
        .fix("mark the extension as critical")
    static let mustNotBeCritical = ValidationRule.error(
        "extension-must-not-be-critical", "RFC 5280 §4.2.1, §4.2.2, §5.2, §5.3", .both
    )
    .says("Extensions that only inform are not critical, such as key identifiers, cRLNumber and authorityInfoAccess.")
    .fix("mark the extension as not critical")
    static let policiesDuplicate = ValidationRule.error("policies-duplicate", "RFC 5280 §4.2.1.4")
        .says("No certificate policy occurs twice.")
        .fix("name each policy once")

    static let all: [ValidationRule] = [
        der, defaultValue, version, uniqueIdentifiers, serialZero, serialNegative, serialLength, algorithmsDiffer,
        algorithmParameters, weakSignature, noExtensions, duplicateExtension, unknownCritical, malformedExtension,
        mustBeCritical, mustNotBeCritical, policiesDuplicate,
    ]
}

/// Rules on times.
enum TimeRule {
    static let order = ValidationRule.error("validity-order", "RFC 5280 §4.1.2.5")
        .says("A certificate's notBefore is before its notAfter.")
        .fix("issue one whose notAfter is later than its notBefore")
    static let form = ValidationRule.error("time-form", "RFC 5280 §4.1.2.5, §5.1.2.4", .both)
        .says("A time before 2050 is written as UTCTime, a later one as GeneralizedTime.")
        .fix("have it issued again by software that knows the rule")
    static let seconds = ValidationRule.error("time-seconds", "RFC 5280 §4.1.2.5.1, §4.1.2.5.2", .both)
        .says("A time is written with its seconds.")
        .fix("have it issued again by software that writes seconds")
    static let zone = ValidationRule.error("time-zone", "RFC 5280 §4.1.2.5.1, §4.1.2.5.2", .both)
        .says("A time is in UTC and ends in Z.")
        .fix("have it issued again by software that writes UTC")
    static let fraction = ValidationRule.error("time-fraction", "RFC 5280 §4.1.2.5.2", .both)
        .says("A time has no fraction of a second.")
        .fix("have it issued again by software that writes whole seconds")

    static let all: [ValidationRule] = [order, form, seconds, zone, fraction]
}

/// Rules on the certified key.
enum KeyRule {
    static let shortRSA = ValidationRule.error("key-rsa-short", "NIST SP 800-131A §3")
        .says("An RSA key has 2048 bits or more.")
        .fix("make a key of 2048 bits or more, and a new certificate")
    static let evenModulus = ValidationRule.error("key-rsa-modulus", "RFC 8017 §3.1")
        .says("The modulus of an RSA key is odd.")
        .fix("make a new key with sound software")
    static let exponent = ValidationRule.error("key-rsa-exponent", "RFC 8017 §3.1")
        .says("The public exponent of an RSA key is odd and at least 3.")
        .fix("make a new key with sound software")
    static let smallExponent = ValidationRule.warning("key-rsa-exponent-small", "FIPS 186-5 §A.1.1")
        .says("The public exponent of an RSA key is 65537 or more.")
        .fix("make a new key, with the exponent 65537")
    static let explicitCurve = ValidationRule.error("key-curve-explicit", "RFC 5480 §2.1.1")
        .says("An elliptic curve is named, not given by its parameters.")
        .fix("make the key with a named curve, such as P-256")
    static let curve = ValidationRule.warning("key-curve", "RFC 5480 §2.1.1.1, FIPS 186-5 §6.1")
        .says("An elliptic curve is P-256, P-384 or P-521, which all software reads.")
        .fix("make a key on P-256")
    static let compressedPoint = ValidationRule.warning("key-point-compressed", "RFC 5480 §2.2")
        .says("The point of an elliptic curve is uncompressed, which all software reads.")
        .fix("write the key with its point uncompressed")
    static let algorithm = ValidationRule.warning("key-algorithm", "RFC 3279, RFC 5480, RFC 8410, RFC 9881")
        .says("The key is for RSA, an elliptic curve, EdDSA or ML-DSA.")
        .fix("make a key of one of these kinds")

    static let all: [ValidationRule] = [
        shortRSA, evenModulus, exponent, smallExponent, explicitCurve, curve, compressedPoint, algorithm,
    ]
}

/// Rules on the names of issuer and subject.
enum NameRule {
    static let issuerEmpty = ValidationRule.error("issuer-empty", "RFC 5280 §4.1.2.4, §5.1.2.3", .both)
        .says("The issuer has a name.")
        .fix("issue it from a CA whose certificate has a subject")
    static let subjectEmpty = ValidationRule.error("subject-empty", "RFC 5280 §4.1.2.6")
        .says("The subject of a CA's certificate is not empty.")
        .fix("issue one with a subject")
    static let unnamed = ValidationRule.error("subject-unnamed", "RFC 5280 §4.1.2.6")
        .says("A certificate has a subject, or alternative names.")
        .fix("issue one with a common name or an alternative name")
    static let relativeName = ValidationRule.error("name-rdn", "X.501 §9.3", .both)
        .says("A relative distinguished name has one attribute or more, each of another type.")
        .fix("write each attribute as a relative distinguished name of its own")
    static let valueEmpty = ValidationRule.error("name-value-empty", "RFC 5280 Appendix A.1", .both)
        .says("No value in a name is empty.")
        .fix("leave the attribute out")
    static let valueLength = ValidationRule.error("name-value-length", "RFC 5280 Appendix A.1", .both)
        .says("A value in a name is not longer than its bound: 64 characters for CN, O and OU, 128 for L and ST.")
        .fix("shorten the value; a long name of a machine goes into an alternative name")
    static let characters = ValidationRule.error("name-value-characters", "X.680 §41, RFC 5280 §4.1.2.4", .both)
        .says("A value in a name has the characters of its string type, and no control characters.")
        .fix("write the value as a UTF8String, without control characters")
    static let blanks = ValidationRule.warning("name-value-blanks", "RFC 4518 §2.6.1", .both)
        .says("A value in a name neither begins nor ends with a blank, nor has two in a row.")
        .fix("take the blanks out: some programs ignore them when they compare names")
    static let stringType = ValidationRule.warning("name-string-type", "RFC 5280 §4.1.2.4", .both)
        .says("A value in a name is a UTF8String or a PrintableString.")
        .fix("write the value as a UTF8String; for a CA that exists already, leave it")
    static let syntax = ValidationRule.error("name-attribute-syntax", "RFC 5280 Appendix A.1", .both)
        .says("An attribute of a name has its own type: DC and email an IA5String, serialNumber a PrintableString.")
        .fix("write the attribute in its own type")
    static let country = ValidationRule.error("name-country", "RFC 5280 Appendix A.1", .both)
        .says("A country is a PrintableString of two letters (ISO 3166).")
        .fix("write the code of the country, such as DE")

    static let all: [ValidationRule] = [
        issuerEmpty, subjectEmpty, unnamed, relativeName, valueEmpty, valueLength, characters, blanks, stringType,
        syntax, country,
    ]
}

/// Rules on key usages, constraints and key identifiers.
enum UsageRule {
    static let notCA = ValidationRule.error("ca-basic-constraints", "RFC 5280 §4.2.1.9")
        .says("A CA's certificate has basicConstraints with CA:TRUE.")
        .fix("issue one with basicConstraints = critical, CA:TRUE")
    static let isCA = ValidationRule.error("leaf-basic-constraints", "RFC 5280 §4.2.1.9")
        .says("The certificate of a client or a server is not a CA's.")
        .fix("issue one with basicConstraints = CA:FALSE, or without")
    static let constraintsCritical = ValidationRule.error("basic-constraints-critical", "RFC 5280 §4.2.1.9")
        .says("The basicConstraints of a CA are critical.")
        .fix("issue one with basicConstraints = critical, CA:TRUE")
    static let pathLength = ValidationRule.error("path-length-without-ca", "RFC 5280 §4.2.1.9")
        .says("Only a CA's certificate has a path length.")
        .fix("leave the path length out")
    static let caKeyUsage = ValidationRule.error("ca-key-usage", "RFC 5280 §4.2.1.3")
        .says("A CA's certificate has a key usage.")
        .fix("issue one with keyUsage = critical, keyCertSign, cRLSign")
    static let caKeyUsageCritical = ValidationRule.warning("ca-key-usage-critical", "RFC 5280 §4.2.1.3")
        .says("The key usage of a CA is critical.")
        .fix("issue one with keyUsage = critical, keyCertSign, cRLSign")
    static let caCertSign = ValidationRule.error("ca-cert-sign", "RFC 5280 §4.2.1.3, §4.2.1.9")
        .says("The key usage of a CA has keyCertSign.")
        .fix("issue one with keyUsage = critical, keyCertSign, cRLSign")
    static let caListSign = ValidationRule.notice("ca-crl-sign", "RFC 5280 §4.2.1.3")
        .says("The key usage of a CA has cRLSign, without which it cannot sign a CRL.")
        .fix("issue one with keyUsage = critical, keyCertSign, cRLSign")
    static let certSign = ValidationRule.error("key-usage-cert-sign", "RFC 5280 §4.2.1.3")
        .says("Only a CA has the key usage keyCertSign.")
        .fix("leave keyCertSign out")
    static let usageEmpty = ValidationRule.error("key-usage-empty", "RFC 5280 §4.2.1.3")
        .says("A key usage has at least one use.")
        .fix("name the uses, such as digitalSignature, or leave the extension out")
    static let impossible = ValidationRule.error("key-usage-impossible", "RFC 3279 §2.3.1, RFC 8813 §3, RFC 9881 §5")
        .says("A key usage has only what the key can do: keyEncipherment is for RSA, keyAgreement for elliptic curves.")
        .fix("leave out what the key cannot do")
    static let onlyBits = ValidationRule.warning("key-usage-only", "RFC 5280 §4.2.1.3")
        .says("encipherOnly and decipherOnly go with keyAgreement, and not with each other.")
        .fix("leave them out, or add keyAgreement")
    static let extendedEmpty = ValidationRule.error("extended-key-usage-empty", "RFC 5280 §4.2.1.12")
        .says("An extended key usage has at least one use.")
        .fix("name the uses, such as clientAuth, or leave the extension out")
    static let extendedAny = ValidationRule.notice("extended-key-usage-any", "RFC 5280 §4.2.1.12")
        .says("anyExtendedKeyUsage allows every use, and some programs do not know it.")
        .fix("name the uses, such as clientAuth")
    static let extendedDuplicate = ValidationRule.warning("extended-key-usage-duplicate", "RFC 5280 §4.2.1.12")
        .says("No extended key usage occurs twice.")
        .fix("name each use once")
    static let extendedInconsistent = ValidationRule.error("extended-key-usage-inconsistent", "RFC 5280 §4.2.1.12")
        .says("Key usage and extended key usage have a use in common.")
        .fix("add digitalSignature to the key usage")
    static let client = ValidationRule.error("client-usage", "RFC 5280 §4.2.1.12")
        .says("An extended key usage of a client has clientAuth.")
        .fix("issue one with extendedKeyUsage = clientAuth")
    static let server = ValidationRule.error("server-usage", "RFC 5280 §4.2.1.12")
        .says("An extended key usage of a server has serverAuth.")
        .fix("issue one with extendedKeyUsage = serverAuth")
    static let subjectKey = ValidationRule.error("ca-subject-key-identifier", "RFC 5280 §4.2.1.2")
        .says("A CA's certificate has a subjectKeyIdentifier.")
        .fix("issue one with subjectKeyIdentifier = hash")
    static let noAuthorityKey = ValidationRule.error("authority-key-identifier-absent", "RFC 5280 §4.2.1.1")
        .says("A certificate that another issued has an authorityKeyIdentifier.")
        .fix("issue one with authorityKeyIdentifier = keyid:always")
    static let authorityKeyWithoutKey = ValidationRule.error(
        "authority-key-identifier-keyid", "RFC 5280 §4.2.1.1, §5.2.1", .both
    )
    .says("An authorityKeyIdentifier names the key.")
    .fix("issue one with authorityKeyIdentifier = keyid:always")
    static let authorityKeyIssuer = ValidationRule.warning(
        "authority-key-identifier-issuer", "RFC 5280 §4.2.1.1", .both
    )
    .says("An authorityKeyIdentifier names the key alone: a new certificate of the CA would break one that names more.")
    .fix("issue one with authorityKeyIdentifier = keyid:always, without issuer")

    static let all: [ValidationRule] = [
        notCA, isCA, constraintsCritical, pathLength, caKeyUsage, caKeyUsageCritical, caCertSign, caListSign, certSign,
        usageEmpty, impossible, onlyBits, extendedEmpty, extendedAny, extendedDuplicate, extendedInconsistent, client,
        server, subjectKey, noAuthorityKey, authorityKeyWithoutKey, authorityKeyIssuer,
    ]
}

/// Rules on alternative names, and on the names that a CA may certify.
enum AlternativeNameRule {
    static let empty = ValidationRule.error("alternative-names-empty", "RFC 5280 §4.2.1.6")
        .says("The extension has at least one alternative name.")
        .fix("name one, or leave the extension out")
    static let critical = ValidationRule.error("alternative-names-critical", "RFC 5280 §4.2.1.6")
        .says("Alternative names are critical where the subject is empty.")
        .fix("issue one with subjectAltName = critical, …")
    static let notCritical = ValidationRule.warning("alternative-names-not-critical", "RFC 5280 §4.2.1.6")
        .says("Alternative names are not critical where there is a subject.")
        .fix("issue one whose subjectAltName is not critical")
    static let dns = ValidationRule.error("alternative-name-dns", "RFC 5280 §4.2.1.6, RFC 1034 §3.5")
        .says("A DNS name has letters, digits and hyphens, and a * only as its whole first label.")
        .fix("write the name as in the DNS, without a dot at the end")
    static let uri = ValidationRule.error("alternative-name-uri", "RFC 5280 §4.2.1.6, RFC 3986")
        .says("A URI is absolute, with a scheme.")
        .fix("write it with its scheme, for example spiffe://example.org/web")
    static let email = ValidationRule.error("alternative-name-email", "RFC 5280 §4.2.1.6, RFC 5321 §4.1.2")
        .says("An email address is local@host, with no text around it.")
        .fix("write the address alone")
    static let ip = ValidationRule.error("alternative-name-ip", "RFC 5280 §4.2.1.6")
        .says("An IP address has 4 octets or 16.")
        .fix("write the address alone, without a mask")
    static let wildcard = ValidationRule.notice("alternative-name-wildcard", "RFC 9525 §6.3")
        .says("A wildcard matches every name of one label: the key can act for all of them.")
        .fix("name the hosts, where there are few")
    static let underscore = ValidationRule.warning("alternative-name-underscore", "RFC 1034 §3.5")
        .says("A host name has no underscore.")
        .fix("give the host a name without one: some programs refuse it")
    static let duplicate = ValidationRule.warning("alternative-name-duplicate", "RFC 5280 §4.2.1.6")
        .says("No alternative name occurs twice.")
        .fix("name each once")
    static let server = ValidationRule.error("server-names", "RFC 9525 §2, §6.1")
        .says("A server's certificate has a DNS name or an IP address as an alternative name.")
        .fix("issue one with the server's name: clients ignore the common name")
    static let constraintsNotCA = ValidationRule.error("name-constraints-not-ca", "RFC 5280 §4.2.1.10")
        .says("Only a CA's certificate has name constraints.")
        .fix("leave the extension out")
    static let constraintsCritical = ValidationRule.error("name-constraints-critical", "RFC 5280 §4.2.1.10")
        .says("Name constraints are critical.")
        .fix("issue one with nameConstraints = critical, …")
    static let constraintsEmpty = ValidationRule.error("name-constraints-empty", "RFC 5280 §4.2.1.10")
        .says("Name constraints have a permitted or an excluded subtree.")
        .fix("name a subtree, or leave the extension out")
    static let constraintsDistance = ValidationRule.error("name-constraints-distance", "RFC 5280 §4.2.1.10")
        .says("A subtree of names has no minimum and no maximum.")
        .fix("leave them out")
    static let constraintsBase = ValidationRule.error("name-constraints-base", "RFC 5280 §4.2.1.10")
        .says("The base of a subtree is a name of its kind; of addresses, an address and a mask that is a prefix.")
        .fix("write the base as dns:example.com, ip:10.0.0.0/8, uri:.example.com or email:example.com")
    static let constraintsDot = ValidationRule.warning("name-constraints-leading-dot", "RFC 5280 §4.2.1.10")
        .says("The domain of a subtree has no leading dot: it covers all below it without.")
        .fix("leave the dot out: some programs refuse it, others then exclude the domain itself")

    static let all: [ValidationRule] = [
        empty, critical, notCritical, dns, uri, email, ip, wildcard, underscore, duplicate, server, constraintsNotCA,
        constraintsCritical, constraintsEmpty, constraintsDistance, constraintsBase, constraintsDot,
    ]
}
