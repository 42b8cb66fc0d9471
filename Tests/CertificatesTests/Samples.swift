// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Testing

/// What the suites make certificates from.
enum Samples {
    static let now = Date(timeIntervalSince1970: 1_780_000_000)

    static let rootText = """
        [ req ]
        prompt = no
        distinguished_name = dn
        x509_extensions = ca
        [ dn ]
        CN = Root
        [ ca ]
        basicConstraints = critical, CA:TRUE, pathlen:1
        keyUsage = critical, keyCertSign, cRLSign, digitalSignature
        """

    static let clientText = """
        [ v3 ]
        basicConstraints = CA:FALSE
        keyUsage = digitalSignature, keyEncipherment, keyAgreement
        extendedKeyUsage = clientAuth
        """

    static func template(_ text: String) throws -> CertificateTemplate {
        try CertificateTemplate(reading: Array(text.utf8), name: "sample.conf")
    }

    /// Parameters for a certificate that is valid for a day around ``now``.
    static func parameters(
        _ subject: String, key: PublicKey, template text: String, serial: [UInt8] = [7]
    ) throws -> CertificateParameters {
        CertificateParameters(
            serialNumber: SerialNumber(serial), subject: try DistinguishedName(subject), publicKey: key,
            notBefore: now.addingTimeInterval(-300), notAfter: now.addingTimeInterval(86400),
            template: try template(text))
    }

    static func root(_ key: PrivateKey, subject: String = "CN=Root,O=Ünïcode") throws -> Certificate {
        try parameters(subject, key: key.publicKey, template: rootText).selfSigned(by: key)
    }
}
