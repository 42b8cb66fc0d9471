// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials
package import RolesAnywhere
import SystemSupport

/// A certificate that a server issued, after it was checked, with its path to the root.
package struct IssuedPath: Hashable, Sendable {
    package let certificate: Certificate
    /// The CA certificates between the certificate and its root, its issuer first.
    package let chain: [Certificate]
    package let root: Certificate

    /// Takes a path that was checked before; `nil` if these certificates cannot be one.
    init?(checked path: [Certificate]) {
        guard let certificate = path.first, let root = path.last, path.count > 1 else { return nil }
        (self.certificate, self.root, chain) = (certificate, root, Array(path.dropFirst().dropLast()))
    }

    /// From the certificate to the root.
    var path: [Certificate] { [certificate] + chain + [root] }

    /// Checks an answer: a certificate for this key, for these names, and on a valid path to one of the roots.
    ///
    /// - Parameters:
    ///   - offered: The certificates of the answer and of the CA.
    ///   - request: What was asked for.
    ///   - roots: Where the path may end; at the first of them if there are several paths.
    ///   - date: The time at which it must be valid.
    package init(
        among offered: [Certificate], for request: CertificateRequest, roots: [Certificate], at date: Date
    ) throws(RolesAnywhereError) {
        func refusal(_ why: String) -> RolesAnywhereError {
            RolesAnywhereError(.malformedAnswer, "the answer is refused: \(why)", hint: "ask who runs the CA")
        }
        guard let certificate = offered.first(where: { $0.publicKey == request.publicKey }) else {
            throw refusal("it has no certificate for the key of the request")
        }
        guard !certificate.isCA else { throw refusal("the certificate is that of a CA") }
        let (asked, given) = (request.subject.commonName, certificate.subject.commonName)
        guard asked == nil || asked?.lowercased() == given?.lowercased() else {
            throw refusal("the certificate is for \(given.map { printable($0, limit: 64) } ?? "no name")")
        }
        for name in request.subjectAlternativeNames where !certificate.subjectAlternativeNames.contains(name) {
            throw refusal("the certificate does not have the name \(printable("\(name)", limit: 100))")
        }
        let others = offered.filter { $0 != certificate }
        // While the CA's root is being replaced, those who know only the old root need the path to it.
        let first = roots.first { root in
            (try? CertificateVerifier(anchors: [root]).path(for: certificate, intermediates: others, at: date)) != nil
        }
        let path: [Certificate]
        do {
            path = try CertificateVerifier(anchors: first.map { [$0] } ?? roots).path(
                for: certificate, intermediates: others, at: date)
        } catch {
            throw refusal(error.message)
        }
        guard let checked = IssuedPath(checked: path) else { throw refusal("the certificate is the root itself") }
        self = checked
    }
}
