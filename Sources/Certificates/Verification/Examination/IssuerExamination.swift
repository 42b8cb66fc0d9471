// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension FindingList {
    /// Examines a certificate beside the one of its issuer.
    mutating func examine(_ certificate: Certificate, issuedBy issuer: Certificate) {
        if !issuer.hasSigned(certificate) {
            add(IssuerRule.signature, "is not signed by the key of \(issuer.shownSubject)")
        }
        if !issuer.isCA {
            add(IssuerRule.notCA, "is issued by \(issuer.shownSubject), which is not a CA")
        } else if issuer.keyUsage?.contains(.keyCertSign) == false {
            add(IssuerRule.keyUsage, "is issued by \(issuer.shownSubject), whose key usage lacks keyCertSign")
        }
        examine(issuer: certificate.issuer, keyIdentifier: certificate.authorityKeyIdentifier, issuer)
        if certificate.notAfter > issuer.notAfter {
            add(
                IssuerRule.validity,
                "is valid until \(CivilTime(certificate.notAfter).extended), longer than its issuer, "
                    + CivilTime(issuer.notAfter).extended
            )
        }
    }

    /// Examines a list beside the certificate of its issuer.
    mutating func examine(_ list: CertificateRevocationList, issuedBy issuer: Certificate) {
        if !list.isSigned(by: issuer) {
            add(IssuerRule.signature, "is not signed by the key of \(issuer.shownSubject)")
        }
        if issuer.keyUsage?.contains(.crlSign) == false {
            add(IssuerRule.listUsage, "is issued by \(issuer.shownSubject), whose key usage lacks cRLSign")
        }
        examine(issuer: list.issuer, keyIdentifier: list.authorityKeyIdentifier, issuer)
    }

    private mutating func examine(issuer name: DistinguishedName, keyIdentifier: [UInt8]?, _ issuer: Certificate) {
        if let named = keyIdentifier, let own = issuer.subjectKeyIdentifier, named != own {
            add(
                IssuerRule.keyIdentifier,
                "names the issuer's key \(hexadecimal(named.prefix(32))), and that of \(issuer.shownSubject) is "
                    + hexadecimal(own.prefix(32))
            )
        }
        if name != issuer.subject, name.isEqual(to: issuer.subject) {
            add(IssuerRule.nameEncoding, "writes the name of its issuer in other bytes than \(issuer.shownSubject)")
        }
    }
}

extension Certificate {
    /// The subject, or the serial number of one without, fit for a message.
    var shownSubject: String {
        subject.isEmpty ? "serial number \(serialNumber)" : printable(subject.description, limit: 200)
    }
}

extension DistinguishedName {
    /// Whether two names count as one (RFC 5280 §7.1): however they are encoded, in any case, with any blanks.
    package func isEqual(to other: DistinguishedName) -> Bool {
        if self == other { return true }
        func folded(_ names: [[Attribute]]) -> [Set<Attribute>] {
            names.map { set in
                Set(
                    set.map {
                        Attribute(
                            type: $0.type,
                            value: $0.value.lowercased().split(separator: " ").joined(separator: " ")
                        )
                    }
                )
            }
        }
        return folded(relativeNames) == folded(other.relativeNames)
    }
}
