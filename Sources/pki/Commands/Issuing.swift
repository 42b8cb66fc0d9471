// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import SystemSupport

/// A new certificate and its files.
struct IssueReport: ModelReport {
    let issued: IssuedCertificate
    /// A command that the user may want next.
    var next: String?

    var members: JSONMembers {
        let certificate = issued.certificate
        return [
            "certificate": issued.certificatePath,
            "key": issued.keyPath ?? issued.keyAddress,
            "chain": issued.chainPath,
            "subject": certificate.subject.description,
            "subjectAlternativeNames": certificate.subjectAlternativeNames.map(\.description),
            "keyType": certificate.publicKey.algorithm.description,
            "serialNumber": certificate.serialNumber.hexadecimal,
            "notBefore": certificate.notBefore,
            "notAfter": certificate.notAfter,
            "fingerprint": certificate.fingerprint,
            "archived": issued.archivedPaths,
        ]
    }

    var text: String {
        let certificate = issued.certificate
        let names = certificate.subjectAlternativeNames.map(\.description).joined(separator: ", ")
        return labelledLines(
            issued.archivedPaths.map { ("archived", $0) } + [
                ("certificate", issued.certificatePath),
                ("key", issued.keyPath.map { "\($0) (readable by you alone)" } ?? issued.keyAddress),
                ("chain", issued.chainPath),
                ("subject", certificate.subject.description),
                ("names", names.isEmpty ? nil : names),
                ("key type", certificate.publicKey.algorithm.description),
                ("serial", certificate.serialNumber.hexadecimal),
                ("valid until", CivilTime(certificate.notAfter).extended),
                ("next", next),
            ]
        )
    }
}

struct TemplateOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A template in OpenSSL's format. (default: the built-in one; see pki print-template)", valueName: "file"))
    var template: String?

    @Flag(help: "Let the template read other files and environment variables.")
    var trustTemplate = false

    /// Reads the template; `nil` if the user named none.
    func read() throws -> CertificateTemplate? { try TemplateFile.read(template, isTrusted: trustTemplate) }
}
