// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The rules for CA certificates that hold whatever the template says.
enum AuthorityPolicy {
    /// Checks what a template made.
    ///
    /// - Parameters:
    ///   - certificate: The certificate, not written yet.
    ///   - template: Where its extensions came from.
    /// - Throws: ``AuthorityError`` when it is not a CA's.
    static func check(_ certificate: Certificate, from template: CertificateTemplate) throws(AuthorityError) {
        guard certificate.isCA, certificate.keyUsage?.contains(.keyCertSign) == true else {
            throw AuthorityError(
                .policy,
                "\(template.name) does not make a CA: its certificate would not allow signing others",
                hint: "it needs basicConstraints = critical, CA:TRUE and keyUsage = critical, keyCertSign, cRLSign"
            )
        }
    }
}
