// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// What a command that issues answers.
struct IssueReport: Report {
    /// The path of the certificate.
    var certificate: String
    /// The path of the key, or its address in a token, a TPM or an agent; nothing when it is the requester's.
    var key: String?
    /// Whether the key stands in a file.
    private var keyIsFile: Bool
    /// The path of the CA certificates above it, when there are any but the root.
    var chain: String?
    /// The subject as in RFC 4514.
    var subject: String
    /// The alternative names, with their kinds.
    var subjectAlternativeNames: [String]
    /// The kind of key.
    var keyType: String
    /// The serial number in hexadecimal.
    var serialNumber: String
    /// The first moment of validity.
    var notBefore: Date
    /// The last moment of validity.
    var notAfter: Date
    /// SHA-256 of the certificate, in hexadecimal.
    var fingerprint: String
    /// Where files that were in the way went.
    var archived: [String]
    /// The command that a user is likely to want next.
    private var next: String?

    private enum CodingKeys: CodingKey {
        case certificate, key, chain, subject, subjectAlternativeNames, keyType, serialNumber, notBefore, notAfter,
            fingerprint
        case archived
    }

    /// Describes an issued certificate.
    ///
    /// - Parameters:
    ///   - issued: The certificate and its files.
    ///   - next: The command that a user is likely to want next.
    init(_ issued: IssuedCertificate, next: String?) {
        certificate = issued.certificatePath
        key = issued.keyPath ?? issued.keyAddress
        keyIsFile = issued.keyPath != nil
        chain = issued.chainPath
        subject = issued.certificate.subject.description
        subjectAlternativeNames = issued.certificate.subjectAlternativeNames.map(\.description)
        keyType = issued.certificate.publicKey.algorithm.description
        serialNumber = issued.certificate.serialNumber.hexadecimal
        notBefore = issued.certificate.notBefore
        notAfter = issued.certificate.notAfter
        fingerprint = issued.certificate.fingerprint
        archived = issued.archivedPaths
        self.next = next
    }

    var text: String {
        var lines = archived.map { "archived     \($0)" }
        lines.append("certificate  \(certificate)")
        if let key { lines.append("key          \(key)\(keyIsFile ? " (readable by you alone)" : "")") }
        if let chain { lines.append("chain        \(chain)") }
        lines.append("subject      \(subject)")
        if !subjectAlternativeNames.isEmpty {
            lines.append("names        \(subjectAlternativeNames.joined(separator: ", "))")
        }
        lines.append("key type     \(keyType)")
        lines.append("serial       \(serialNumber)")
        lines.append("valid until  \(CivilTime(notAfter).extended)")
        if let next { lines.append("next         \(next)") }
        return lines.joined(separator: "\n")
    }
}
