// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import SystemSupport

/// A manifest for `kubectl apply`: an identity as a Secret, and for a CA the issuer of cert-manager that uses it.
package struct KubernetesManifest: Sendable {
    package enum Purpose: Sendable {
        /// Only the Secret, for a server or a client.
        case tls
        /// cert-manager's `Issuer`, in the namespace of the Secret.
        case issuer
        /// cert-manager's `ClusterIssuer`, whose Secrets are in the namespace of cert-manager.
        case clusterIssuer
    }

    package var purpose: Purpose
    /// The name of the Secret, and of the issuer.
    package var name: KubernetesName
    /// The namespace of the Secret; `nil` leaves it to `kubectl`.
    package var namespace: KubernetesName?
    /// The default namespace in which cert-manager looks for the Secrets of a `ClusterIssuer`.
    private static let clusterNamespace = "cert-manager"

    package init(purpose: Purpose, name: KubernetesName, namespace: KubernetesName? = nil) {
        self.purpose = purpose
        self.name = name
        self.namespace = namespace
    }

    /// Refuses an identity that does not fit the purpose. Call this before the key is opened.
    package func check(_ identity: StoredIdentity) throws(AuthorityError) {
        guard purpose == .tls || identity.isAuthority else {
            throw AuthorityError(
                .policy, "\(printable(identity.name)) is not a CA; a cert-manager issuer must be one",
                hint: "export root or an intermediate CA, or use --format kubernetes-secret")
        }
    }

    /// The text, in YAML: the Secret, with the key as PKCS#8, and the issuer.
    package func text(of identity: StoredIdentity, key: PrivateKey) throws -> SecretBytes {
        try check(identity)
        let chain = ([identity.certificate] + identity.intermediates).map(\.pemEncoded).joined()
        let roots = identity.trustedRoots.map(\.pemEncoded).joined()
        var text = SecretText()
        text.append("apiVersion: v1\nkind: Secret\n")
        text.append(metadata(namespace: secretNamespace))
        text.append("type: kubernetes.io/tls\ndata:\n")
        for (name, contents) in [
            ("tls.crt", SecretBytes(chain.utf8)), ("tls.key", try key.pemEncoded()),
            ("ca.crt", SecretBytes(roots.utf8)),
        ] {
            text.append("  \(name): \"")
            text.append(base64: contents)
            text.append("\"\n")
        }
        if purpose != .tls {
            text.append("---\napiVersion: cert-manager.io/v1\n")
            text.append("kind: \(purpose == .clusterIssuer ? "ClusterIssuer" : "Issuer")\n")
            text.append(metadata(namespace: purpose == .clusterIssuer ? nil : namespace?.description))
            text.append("spec:\n  ca:\n    secretName: \(quoted(name))\n")
        }
        return text.bytes
    }

    private var secretNamespace: String? {
        namespace?.description ?? (purpose == .clusterIssuer ? Self.clusterNamespace : nil)
    }

    private func metadata(namespace: String?) -> String {
        let place = namespace.map { "  namespace: \(Quoting.yaml($0))\n" } ?? ""
        return "metadata:\n  name: \(quoted(name))\n\(place)"
    }

    /// A name in quotation marks, so that `1e3` and `on` are text.
    private func quoted(_ name: KubernetesName) -> String { Quoting.yaml(name.description) }
}

/// The name of an object in Kubernetes: a DNS subdomain (RFC 1123).
package struct KubernetesName: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ name: String) throws(AuthorityError) {
        guard name.utf8.count <= 253, Self.isSubdomain(name) else {
            throw AuthorityError(
                .invalidRequest, "\"\(printable(name))\" cannot be the name of an object in Kubernetes",
                hint: "use 1 to 253 of a-z, 0-9, - and ., with a letter or digit at both ends of each part")
        }
        description = name
    }

    /// Creates the name of a namespace, which has one part and at most 63 characters.
    package init(namespace: String) throws(AuthorityError) {
        guard namespace.utf8.count <= 63, Self.isSubdomain(namespace), !namespace.contains(".") else {
            throw AuthorityError(
                .invalidRequest, "\"\(printable(namespace))\" cannot be a namespace of Kubernetes",
                hint: "use 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends")
        }
        description = namespace
    }

    /// Creates a name from that of files: in lower case, with `-` for characters that are not allowed.
    package init(madeOf name: String) throws(AuthorityError) {
        let allowed = name.lowercased().unicodeScalars.map { scalar -> Character in
            scalar == "." || Self.isAllowed(scalar) ? Character(scalar) : "-"
        }
        var parts: [Substring] = []
        for var part in String(allowed).split(separator: ".") {
            while part.first == "-" { part.removeFirst() }
            while part.last == "-" { part.removeLast() }
            if !part.isEmpty { parts.append(part) }
        }
        do {
            try self.init(parts.joined(separator: "."))
        } catch {
            throw AuthorityError(
                .invalidRequest, "\"\(printable(name))\" cannot be turned into the name of an object in Kubernetes",
                hint: "give a name: --secret-name NAME")
        }
    }

    private static func isSubdomain(_ name: String) -> Bool {
        !name.isEmpty
            && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part.first != "-" && part.last != "-" && part.unicodeScalars.allSatisfy(isAllowed)
            }
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "-"
    }
}
