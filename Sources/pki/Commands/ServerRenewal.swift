// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import EnrolmentClient
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// Which certificate of a host is renewed by a server, and how.
struct ServerRenewalOptions: ParsableArguments {
    @Option(help: .value("url", "Renew at this pki serve-ca: https://HOST:PORT."))
    var server: String?

    @Option(
        help: .value("file", "With --server: the certificate, if it is not NAME-cert.pem in --directory."),
        completion: .file())
    var certificate: String?

    @Option(help: .value("file", "The key of --certificate. (default: NAME-key.pem beside it)"), completion: .file())
    var privateKey: String?

    @Option(
        help: .value("file", "The roots to know the server by. (default: root-cert.pem beside the certificate)"),
        completion: .file())
    var caBundle: String?

    @Flag(help: "With --server: keep the key.")
    var reuseKey = false

    var isGiven: Bool { certificate != nil || privateKey != nil || caBundle != nil || reuseKey }
}

extension RenewCommand {
    /// Renews a certificate of this host by the server that issued it.
    func renew(at server: String) async throws {
        let address = try HTTPURL(server)
        let files =
            if let certificate = host.certificate {
                try IdentityFiles(certificate: certificate, privateKey: host.privateKey)
            } else {
                try IdentityFiles(reference[0], in: directory.path)
            }
        let certificate = try files.certificates()[0]
        guard isDue(from: certificate.notBefore, to: certificate.notAfter) else {
            Console.standard.note("nothing is due")
            if format.value == .json { try Console.standard.print(RenewalReport(renewed: []), as: .json) }
            if exitCode { throw ExitCode(ExitStatus.checkFailed) }
            return
        }
        let roots = try host.caBundle.map { try CertificateFile(reading: $0).requiredCertificates() }
        let passphrase = try caKey.passphraseOptions.passphrase()
        let issued = try HostEnrolment(files).renew(
            at: address, roots: roots, keepsKey: host.reuseKey, keyType: keyType
        ) { try passphrase.read("passphrase of \(printable(files.keyPath))") }
        try Console.standard.print(RenewalReport(renewed: [IssueReport(issued: issued)]), as: format.value)
        if let hook { try await run(hook, name: files.name, issued) }
    }
}
