// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials
import SystemSupport

/// A certificate of the program that is running, which the CA issues to it for a time and again before that is over.
package struct OwnCertificate: Sendable {
    /// The proof in the inventory, see ``EnrolmentProof/key``.
    static let proof = "server"

    /// The name in the inventory and of the files, and the common name.
    package var name: String
    package var template: BuiltInTemplate
    /// The alternative names.
    package var names: [GeneralName] = []
    /// In seconds; it ends with the CA's at the latest.
    package var lifetime: Double = 7 * 86_400

    private init(_ name: String, _ template: BuiltInTemplate, names: [GeneralName] = []) {
        (self.name, self.template, self.names) = (name, template, names)
    }

    /// For TLS, with the server's names.
    package static func tls(_ names: [GeneralName]) -> OwnCertificate { .init("serve-ca", .server, names: names) }
    /// For signing OCSP answers.
    package static let ocsp = OwnCertificate("serve-ca-ocsp", .ocsp)
    /// For AWS.
    package static let aws = OwnCertificate("serve-ca-aws", .client)
    /// The names, which no request gets.
    static let reservedNames: Set = [tls([]).name, ocsp.name, aws.name]

    /// Whether a certificate can be used and need not be replaced yet: more than a third of its lifetime is left, or another would
    /// end at the same time, with the CA.
    package func isFresh(_ certificate: Certificate, of authority: CertificateAuthority, at now: Date) -> Bool {
        let end = certificate.notAfter
        return certificate.isValid(at: now)
            && (end >= authority.certificate.notAfter || end.timeIntervalSince(now) > lifetime / 3)
    }
}

extension CertificateAuthority {
    /// The certificate and its key, which lie in the CA's directory, so that a program that starts again has the same. They are
    /// made if there are none that can be used.
    ///
    /// - Parameters:
    ///   - own: What the certificate is.
    ///   - renews: Whether another certificate is issued in any case.
    ///   - now: The time.
    ///   - generator: The random numbers.
    package func certificate(
        _ own: OwnCertificate, renews: Bool = false, now: Date, using generator: inout some RandomNumberGenerator
    ) throws -> (certificate: Certificate, key: PrivateKey) {
        if !renews, let known = try kept(own, now: now) { return known }
        var request = ClientRequest(template: try own.template.template, name: own.name)
        request.isServers = true
        request.nameIsCommonName = true
        request.keyType = .ecP256
        request.subjectAlternativeNames = own.names
        request.archivesExisting = true
        request.lifetime = .until(min(now.addingTimeInterval(own.lifetime), certificate.notAfter))
        try checkIsNotRevoked()
        let prepared = try prepare(request, Self.random(for: request, using: &generator), now: now)
        let issued = try inventory.change(now: now) { change in
            let issued = try prepared.commit(to: &change)
            // So that pki renew --all leaves it to the program, as what hosts have to them.
            try change.records.recordEnrolment(
                OwnCertificate.proof, issued.certificate.publicKey.digest,
                fingerprint: Digest.sha256.hash(issued.certificate.derEncoded))
            return issued
        }
        guard case .made(let file) = prepared.key else {
            throw AuthorityError(.invalidRequest, "the certificate \(own.name) has no key of its own")
        }
        return (issued.certificate, try PrivateKey(reading: file.contents, passphrase: nil))
    }

    /// What was made before, if it is fresh and was not revoked; `nil` also if its key was removed or encrypted.
    private func kept(_ own: OwnCertificate, now: Date) throws -> (certificate: Certificate, key: PrivateKey)? {
        guard let entry = try inventory.current(own.name), entry.revocation == nil,
            try entry.profile == own.template.template.profile, entry.issuerKey == certificate.publicKey.digest
        else { return nil }
        let certificate = try inventory.certificate(of: entry)
        guard own.isFresh(certificate, of: self, at: now),
            own.names.isEmpty || Set(certificate.subjectAlternativeNames) == Set(own.names),
            let key = try? Self.readKey(of: own.name, in: directory, passphrase: { nil }),
            key.publicKey == certificate.publicKey
        else { return nil }
        return (certificate, key)
    }
}
