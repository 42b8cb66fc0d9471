// SPDX-License-Identifier: Apache-2.0

/// Rules on CRLs.
enum RevocationListRule {
    static let version = ValidationRule.error("crl-version", "RFC 5280 §5.1.2.1", .lists)
        .says("A CRL is of version 2.")
        .fix("issue one with a number and an authority key")
    static let noNumber = ValidationRule.error("crl-number-absent", "RFC 5280 §5.2.3", .lists)
        .says("A CRL has a number.")
        .fix("issue one with crlNumber, which grows")
    static let numberLength = ValidationRule.error("crl-number-length", "RFC 5280 §5.2.3", .lists)
        .says("A CRL's number has at most 20 octets.")
        .fix("start again with a lower number")
    static let numberNegative = ValidationRule.error("crl-number-negative", "RFC 5280 §5.2.3", .lists)
        .says("A CRL's number is not negative.")
        .fix("start at 1")
    static let noAuthorityKey = ValidationRule.error("crl-authority-key-identifier-absent", "RFC 5280 §5.2.1", .lists)
        .says("A CRL has an authorityKeyIdentifier.")
        .fix("issue one with authorityKeyIdentifier = keyid:always")
    static let noNextUpdate = ValidationRule.error("crl-next-update-absent", "RFC 5280 §5.1.2.5", .lists)
        .says("A CRL has a nextUpdate.")
        .fix("issue one with nextUpdate: without it an old CRL cannot be distinguished from the current one")
    static let updateOrder = ValidationRule.error("crl-update-order", "RFC 5280 §5.1.2.5", .lists)
        .says("The nextUpdate is later than the thisUpdate.")
        .fix("issue one whose nextUpdate is later than its thisUpdate")
    static let emptyList = ValidationRule.error("crl-revoked-empty", "RFC 5280 §5.1.2.6", .lists)
        .says("The field revokedCertificates is left out when no certificate is revoked.")
        .fix("issue one without revokedCertificates")
    static let entrySerial = ValidationRule.error("crl-entry-serial", "RFC 5280 §5.1.2.6, §4.1.2.2", .lists)
        .says("The serial number of an entry is positive and has at most 20 octets.")
        .fix("take the entry out: no certificate has such a number")
    static let entryDuplicate = ValidationRule.error("crl-entry-duplicate", "RFC 5280 §5.1.2.6", .lists)
        .says("A certificate has one entry.")
        .fix("take the later entry out: programs differ in which one they use")
    static let entryFuture = ValidationRule.warning("crl-entry-future", "RFC 5280 §5.1.2.6", .lists)
        .says("A certificate was revoked before the CRL was made.")
        .fix("set the clock and issue the CRL again")
    static let reasonInvalid = ValidationRule.error("crl-reason-invalid", "RFC 5280 §5.3.1", .lists)
        .says("A reason is 0 to 6 or 8 to 10.")
        .fix("write one of these reasons, or none")
    static let reasonRemove = ValidationRule.error("crl-reason-remove", "RFC 5280 §5.3.1", .lists)
        .says("removeFromCRL occurs only in a delta CRL.")
        .fix("leave the entry out: a certificate without an entry is not revoked")
    static let reasonUnspecified = ValidationRule.warning("crl-reason-unspecified", "RFC 5280 §5.3.1", .lists)
        .says("A reason that is not known is left out.")
        .fix("leave the reason out")
    static let distributionPoint = ValidationRule.notice("crl-issuing-distribution-point", "RFC 5280 §5.2.5", .lists)
        .says("A CRL with an issuingDistributionPoint covers only some certificates of its issuer.")
        .fix("issue a complete CRL for programs that do not know the extension")
    static let delta = ValidationRule.notice("crl-delta", "RFC 5280 §5.2.4", .lists)
        .says("A delta CRL is useless without the complete CRL before it.")
        .fix("give the complete CRL")

    static let all: [ValidationRule] = [
        version, noNumber, numberLength, numberNegative, noAuthorityKey, noNextUpdate, updateOrder, emptyList,
        entrySerial, entryDuplicate, entryFuture, reasonInvalid, reasonRemove, reasonUnspecified, distributionPoint,
        delta,
    ]
}

/// Rules on a certificate or a CRL and the certificate of its issuer.
enum IssuerRule {
    static let signature = ValidationRule.error("signature-wrong-key", "RFC 5280 §6.1.3", .paths)
        .says("The issuer's key made the signature.")
        .fix("find the certificate of the issuer's right key, or have it issued again: it may have been changed")
    static let notCA = ValidationRule.error("issuer-not-ca", "RFC 5280 §6.1.4", .paths)
        .says("The issuer is a CA.")
        .fix("have it issued by a CA: only a CA may issue certificates")
    static let keyUsage = ValidationRule.error("issuer-key-usage", "RFC 5280 §6.1.4", .paths)
        .says("The key usage of the issuer has keyCertSign.")
        .fix("have it issued by a CA whose key usage has keyCertSign")
    static let listUsage = ValidationRule.error("crl-issuer-key-usage", "RFC 5280 §6.3.3", .paths)
        .says("The key usage of a CRL's issuer has cRLSign.")
        .fix("issue the CA's certificate again with keyUsage = critical, keyCertSign, cRLSign")
    static let keyIdentifier = ValidationRule.error(
        "authority-key-identifier-mismatch",
        "RFC 5280 §4.2.1.1, §5.2.1",
        .paths
    )
    .says("The authorityKeyIdentifier is the subjectKeyIdentifier of the issuer.")
    .fix("find the certificate of the issuer that has this identifier, or have it issued again")
    static let nameEncoding = ValidationRule.warning("issuer-name-encoding", "RFC 5280 §4.1.2.4, §7.1", .paths)
        .says("The issuer's name is the subject of its certificate, byte for byte.")
        .fix("have it issued again by software that copies the name: some programs compare bytes")
    static let validity = ValidationRule.warning("validity-outside-issuer", "RFC 5280 §6.1.3", .paths)
        .says("A certificate does not expire after its issuer's.")
        .fix("have the CA's certificate renewed before it expires")

    static let all: [ValidationRule] = [signature, notCA, keyUsage, listUsage, keyIdentifier, nameEncoding, validity]
}

/// Rules on a whole path.
enum PathRule {
    static let incomplete = ValidationRule.error("path-incomplete", "RFC 5280 §6.1", .paths)
        .says("A path leads to a trusted certificate.")
        .fix("name the missing certificate with --intermediates, or its root with --bundle")
    static let untrustedRoot = ValidationRule.error("path-untrusted-root", "RFC 5280 §6.1", .paths)
        .says("The root at the end of a path is a trusted one.")
        .fix("name the root with --bundle, if you trust it")
    static let selfSigned = ValidationRule.error("path-self-signed", "RFC 5280 §6.1", .paths)
        .says("A self-signed certificate is trusted only when it is in the bundle.")
        .fix("have the certificate issued by a CA of the bundle")
    static let expired = ValidationRule.error("validity-expired", "RFC 5280 §6.1.3", .paths)
        .says("Every certificate of a path is still valid.")
        .fix("have it renewed; check this machine's clock")
    static let notYetValid = ValidationRule.error("validity-not-yet", "RFC 5280 §6.1.3", .paths)
        .says("No certificate of a path is valid only later.")
        .fix("wait, or set this machine's clock")
    static let length = ValidationRule.error("path-length-exceeded", "RFC 5280 §4.2.1.9, §6.1.4", .paths)
        .says("No CA has more CAs below it than its path length allows.")
        .fix("issue it from a CA nearer to the root, or have the CA certified with a greater path length")
    static let permitted = ValidationRule.error("name-constraints-permitted", "RFC 5280 §4.2.1.10", .paths)
        .says("Every name lies in a subtree that the CAs above permit.")
        .fix("have it issued with other names, or by a CA that may certify these")
    static let excluded = ValidationRule.error("name-constraints-excluded", "RFC 5280 §4.2.1.10", .paths)
        .says("No name lies in a subtree that a CA above excludes.")
        .fix("have it issued with other names, or by a CA that may certify these")
    static let constraintsUnsupported = ValidationRule.error(
        "name-constraints-unsupported",
        "RFC 5280 §4.2.1.10",
        .paths
    )
    .says("Name constraints are of kinds that can be applied.")
    .fix("use dns, ip, uri, email and directory names without minimum and maximum")
    static let strict = ValidationRule.error("path-strict", "RFC 5280 §6.1", .paths)
        .says("libcrypto's strict verification finds no error.")
        .fix("have it issued again as RFC 5280 requires")
    static let purposeKeyUsage = ValidationRule.error("purpose-key-usage", "RFC 5280 §4.2.1.3", .paths)
        .says("The key usage, where there is one, allows what the purpose needs.")
        .fix("issue one with keyUsage = critical, digitalSignature")
    static let purposeCA = ValidationRule.error("purpose-ca-usage", "RFC 5280 §4.2.1.12", .paths)
        .says("The extended key usage of a CA, where there is one, has the purpose of the certificates below it.")
        .fix("have it issued by a CA that may issue for the purpose")
    static let hostname = ValidationRule.error("hostname-mismatch", "RFC 9525 §6", .paths)
        .says("The host's name is among the alternative names.")
        .fix("issue one with the name as an alternative name, or ask for a name that it has")
    static let revoked = ValidationRule.error("revoked", "RFC 5280 §6.3.3", .paths)
        .says("No certificate of the path is revoked.")
        .fix("have a new one issued, with a new key")
    static let onHold = ValidationRule.error("revoked-hold", "RFC 5280 §5.3.1", .paths)
        .says("No certificate of the path is on hold.")
        .fix("have the CA release it, and give the CRL that it issues then")
    static let notCovered = ValidationRule.warning("revocation-unknown", "RFC 5280 §6.3", .paths)
        .says("A CRL covers every certificate below the trusted one.")
        .fix("give the CRL of its issuer with --crl")
    static let listExpired = ValidationRule.error("crl-expired", "RFC 5280 §6.3.3", .paths)
        .says("A CRL's nextUpdate has not passed.")
        .fix("give the issuer's new CRL: only that has later revocations")
    static let listFuture = ValidationRule.error("crl-not-yet", "RFC 5280 §6.3.3", .paths)
        .says("A CRL's thisUpdate has passed.")
        .fix("set this machine's clock")
    static let listIssuer = ValidationRule.error("crl-issuer-unknown", "RFC 5280 §6.3.3", .paths)
        .says("The issuer of a CRL is in the path.")
        .fix("leave the CRL out, or name the issuer's certificate with --intermediates or --bundle")
    static let listUnusable = ValidationRule.error("crl-unusable", "RFC 5280 §5.2", .paths)
        .says("A CRL has no critical extension that changes its meaning.")
        .fix("give a complete CRL that covers every certificate of its issuer")

    static let all: [ValidationRule] = [
        incomplete, untrustedRoot, selfSigned, expired, notYetValid, length, permitted, excluded,
        constraintsUnsupported, strict, purposeKeyUsage, purposeCA, hostname, revoked, onHold, notCovered, listExpired,
        listFuture, listIssuer, listUnusable,
    ]
}
