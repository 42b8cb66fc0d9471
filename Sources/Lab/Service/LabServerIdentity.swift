// SPDX-License-Identifier: Apache-2.0

package import Certificates
import FoundationEssentials
package import HTTPServer
import SystemSupport

/// The certificate that the lab shows under TLS, and the CA that issued it. Both live as long as the lab.
package struct LabServerIdentity: Sendable {
    /// The CA's certificate in PEM, which clients trust.
    package let certificateAuthority: String

    package let identity: TLSIdentity

    /// Issues a server certificate for this machine by a CA that is made for it and then forgotten.
    ///
    /// - Parameters:
    ///   - authorityTemplate: `templates/lab-ca.conf`.
    ///   - serverTemplate: `templates/lab-server.conf`.
    ///   - names: Names to certify instead of the template's; none keeps those.
    ///   - environment: Time and random bytes.
    package init(
        authorityTemplate: CertificateTemplate, serverTemplate: CertificateTemplate, names: [GeneralName] = [],
        in environment: LabEnvironment
    ) throws(LabError) {
        do {
            let now = environment.now()
            let start = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down) - 300)
            let end = start.addingTimeInterval(30 * 86_400)
            let authorityKey = try PrivateKey(generating: .ecP256)
            let authority = try CertificateParameters(
                serialNumber: Self.serialNumber(environment), subject: authorityTemplate.subject,
                publicKey: authorityKey.publicKey, notBefore: start, notAfter: end, template: authorityTemplate
            ).selfSigned(by: authorityKey)
            let key = try PrivateKey(generating: .ecP256)
            let server = try CertificateParameters(
                serialNumber: Self.serialNumber(environment), subject: serverTemplate.subject, publicKey: key.publicKey,
                notBefore: start, notAfter: end, template: serverTemplate, subjectAlternativeNames: names
            ).signed(by: authorityKey, issuer: authority)
            let privateKey = try key.pemEncoded()
            certificateAuthority = authority.pemEncoded
            identity = try TLSIdentity(
                certificateChain: Array(server.pemEncoded.utf8),
                privateKey: unsafe privateKey.withUnsafeBytes { unsafe Array($0) }
            )
        } catch {
            throw LabError(.invalidIdentity, "the lab's server certificate cannot be made: \(error)")
        }
    }

    private static func serialNumber(_ environment: LabEnvironment) -> SerialNumber {
        var bytes = environment.randomBytes(20)
        // Positive, and never zero: 159 random bits (RFC 5280 §4.1.2.2).
        if let first = bytes.first { bytes[0] = first & 0x7f | 0x01 }
        return SerialNumber(bytes)
    }
}
