// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import FoundationEssentials
import SystemSupport

/// `aws_signing_helper read-certificate-data`
struct ReadCertificateDataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read-certificate-data",
        abstract:
            "Print what requests say of a certificate, or list a store, as in aws_signing_helper.",
        discussion: """
            Of a file: one JSON object. Of a token (--certificate pkcs11:…) or a store (--certificate-store with \
            --cert-selector): a list. pki inspect shows much more.

            For example:

              pki read-certificate-data --certificate web-1-cert.pem
            """
    )

    @OptionGroup var identity: IdentityOptions

    @Flag(name: .long, help: .hidden)
    var debug = false

    func run() throws {
        let console = Console.standard
        try identity.check()
        let passphrase = try identity.secret(console)
        let opener = KeyOpener(identity.device, passphrase: passphrase)
        if let store = try CertificateStore(identity, opener: opener, passphrase: passphrase) {
            return try console.write(Self.list(store.matching()))
        }
        guard let text = identity.certificate else { throw UsageError.missing("--certificate") }
        let place = try KeyLocation(text)
        let certificates = try opener.certificates(at: place)
        if case .pkcs11 = place { return try console.write(Self.list(certificates, address: "\(place)")) }
        guard let certificate = certificates.first else {
            throw InputError(
                message: "there is no certificate in \(place)",
                hint: "a certificate in PEM begins with -----BEGIN CERTIFICATE-----")
        }
        try console.write(Self.data(of: certificate))
    }

    static func data(of certificate: Certificate) -> String {
        let (type, algorithms): (String, [String]) =
            switch certificate.publicKey.algorithm {
            case .rsa: ("RSA", ["RSASHA256", "RSASHA384", "RSASHA512"])
            case .ec: ("EC", ["ECSHA256", "ECSHA384", "ECSHA512"])
            case .mlDSA(let set): ("ML-DSA-\(set)", ["ML-DSA-\(set)"])
            case .other: ("", ["SHA256", "SHA384", "SHA512"])
            }
        let list = algorithms.map { "\"\($0)\"" }.joined(separator: ",")
        let object = JSONText.object([
            ("keyType", .string(type)),
            ("certificateData", .string(Data(certificate.derEncoded).base64EncodedString())),
            ("serialNumber", .string(certificate.serialNumber.decimal)),
        ]).encoded
        return "\(object.dropLast()),\"supportedAlgorithms\":[\(list)]}"
    }

    private static func list(_ certificates: [Certificate], address: String? = nil) -> String {
        guard !certificates.isEmpty else { return "No matching identities\n" }
        var text = "Matching identities\n"
        for (index, certificate) in certificates.enumerated() {
            let serial = certificate.serialNumber.hexadecimal.drop { $0 == "0" }.uppercased()
            text += "\(index + 1)) Hex Fingerprint: \(certificate.sha1Fingerprint)\n"
            text += "Subject: \(printable(certificate.subject.description))\n"
            text += "Issuer: \(printable(certificate.issuer.description))\n"
            text += "Serial Number: \(serial)\n"
            if let address { text += "URI: \(address)\n" }
            text += "\n"
        }
        return text
    }
}
