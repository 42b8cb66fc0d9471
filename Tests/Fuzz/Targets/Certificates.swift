// SPDX-License-Identifier: Apache-2.0

@testable import Certificates
import SystemSupport

private let corpus = "Tests/CertificatesTests/Corpus"

extension FuzzTarget {
    static let pem = FuzzTarget("pem", seeds: [corpus]) { bytes in
        guard let documents = try? PEMDocument.documents(in: bytes) else { return }
        for document in documents {
            // What was read can be written, and reads as the same.
            precondition((try? PEMDocument.documents(in: document.text.utf8))?.first?.bytes == document.bytes)
        }
    }

    static let container = FuzzTarget("container", seeds: [corpus]) { bytes in
        let file = SecretBytes(bytes)
        if TPMKeyFile.isIn(file) { _ = try? TPMKeyFile(reading: file) }
        guard let container = try? Container(reading: file) else { return }
        for object in container.objects {
            switch object {
            case .certificate(let certificate): use(certificate)
            case .certificateRequest(let request): use(request)
            case .revocationList(let list): use(list)
            case .publicKey(let key): _ = "\(key.algorithm)"
            case .privateKey(let key):
                _ = key.encryption
                if key.encryption == nil { _ = try? key.key().publicKey.algorithm }
            case .unknown: break
            }
        }
    }

    static let certificate = FuzzTarget("certificate", seeds: [corpus]) { bytes in
        guard let certificate = try? Certificate(derEncoded: bytes) else { return }
        use(certificate)
    }

    static let request = FuzzTarget("request", seeds: [corpus]) { bytes in
        guard let request = try? CertificateRequest(unproven: bytes, name: "request") else { return }
        use(request)
    }

    static let revocationList = FuzzTarget("revocation-list", seeds: [corpus]) { bytes in
        guard let list = try? CertificateRevocationList(derEncoded: bytes) else { return }
        use(list)
    }

    static let ocspRequest = FuzzTarget("ocsp-request") { bytes in
        guard let request = try? OCSPRequest(derEncoded: bytes) else { return }
        precondition((1...OCSPRequest.mostCertificates).contains(request.certificates.count))
        for certificate in request.certificates {
            // What is repeated in the answer is DER, and the number reads as it was written.
            precondition(DER.defect(in: certificate.derEncoded[...]) == nil)
            precondition(
                certificate.derEncoded.suffix(certificate.serialNumber.derEncoded.count)
                    .elementsEqual(certificate.serialNumber.derEncoded))
        }
    }

    static let encodedName = FuzzTarget("encoded-name") { bytes in
        let name = DistinguishedName(derEncoded: bytes)
        _ = "\(name)"
        _ = (name.commonName, name.relativeNames)
        for name in (try? GeneralName.names(in: bytes)) ?? [] { _ = "\(name)" }
        _ = NameConstraints(derEncoded: bytes).map { "\($0.permitted) \($0.excluded)" }
        _ = EncodedCertificate(bytes)
        _ = try? PublicKey(derEncoded: bytes)
    }

    static let name = FuzzTarget("name") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        if let name = try? DistinguishedName(text) {
            // What was read is written in a form that reads as the same.
            precondition((try? DistinguishedName("\(name)")) == name)
        }
        _ = try? GeneralName.dnsName(text)
        _ = try? GeneralName.ipAddress(text)
        _ = try? GeneralName.uniformResourceIdentifier(text)
        _ = try? GeneralName.mailbox(text)
        _ = try? NameConstraints.Subtree(text)
    }

    static let template = FuzzTarget("template", seeds: ["templates"]) { bytes in
        guard let template = try? CertificateTemplate(reading: bytes, name: "template") else { return }
        let extensions = TemplateExtensions(template: template, subject: template.subject, issuer: nil)
        _ = try? extensions.extensions(except: [])
    }
}

/// Asks a certificate for everything that it can say.
private func use(_ certificate: Certificate) {
    _ = "\(certificate.subject) \(certificate.issuer) \(certificate.serialNumber) \(certificate.signatureAlgorithm)"
    _ = (certificate.notBefore, certificate.notAfter, certificate.basicConstraints, certificate.keyUsage)
    _ = (certificate.subjectAlternativeNames, certificate.extendedKeyUsage, certificate.fingerprint)
    for each in certificate.extensions { _ = "\(each) \(each.text ?? "")" }
    _ = CertificateLinter.findings(in: certificate)
    _ = CertificateLinter.findings(in: certificate, issuedBy: certificate)
}

private func use(_ request: CertificateRequest) {
    _ = "\(request.subject) \(request.subjectAlternativeNames) \(request.otherExtensions) \(request.publicKey)"
}

private func use(_ list: CertificateRevocationList) {
    _ = "\(list.issuer) \(list.signatureAlgorithm) \(list.thisUpdate) \(list.unhandledCriticalExtensions)"
    _ = (list.version, list.nextUpdate, list.number, list.authorityKeyIdentifier, list.isDelta)
    for entry in list.entries { _ = list.entry(for: entry.serialNumber)?.reason }
    _ = RevocationListLinter.findings(in: list)
}
