// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// A manifest for `kubectl apply`: an identity as a Secret, and for a CA the issuer of cert-manager that uses it.
public struct KubernetesManifest: Sendable {
    /// What the Secret is made for.
    public enum Purpose: Sendable {
        /// A server or a client: only the Secret.
        case tls
        /// cert-manager's `Issuer`, in the namespace of the Secret.
        case issuer
        /// cert-manager's `ClusterIssuer`, whose Secrets are in a namespace of cert-manager's own.
        case clusterIssuer
    }

    /// What the Secret is made for.
    public var purpose: Purpose

    /// The name of the Secret, and of the issuer.
    public var name: KubernetesName

    /// Where the Secret goes; nothing leaves it to `kubectl`.
    public var namespace: KubernetesName?

    /// Where cert-manager looks for the Secrets of a `ClusterIssuer`, unless it was told otherwise.
    private static let clusterNamespace = "cert-manager"

    /// Makes a manifest.
    ///
    /// - Parameters:
    ///   - purpose: What the Secret is made for.
    ///   - name: The name of the Secret, and of the issuer.
    ///   - namespace: Where the Secret goes; nothing leaves it to `kubectl`, or takes `cert-manager` for a `ClusterIssuer`.
    public init(purpose: Purpose, name: KubernetesName, namespace: KubernetesName? = nil) {
        self.purpose = purpose
        self.name = name
        self.namespace = namespace
    }

    /// Refuses an identity that cannot serve the purpose, before its key is asked for.
    ///
    /// - Parameter identity: The identity.
    /// - Throws: ``AuthorityError`` when an issuer is wanted and the identity is not a CA.
    public func check(_ identity: StoredIdentity) throws(AuthorityError) {
        guard purpose == .tls || identity.isAuthority else {
            throw AuthorityError(
                .policy,
                "\(printable(identity.name)) cannot be an issuer: it is not a CA, and no certificate that it signed would be "
                    + "accepted",
                hint: "export root or an intermediate CA; a client goes into --format kubernetes-secret"
            )
        }
    }

    /// The text, in YAML: the Secret, with the key as PKCS#8, and the issuer.
    ///
    /// - Parameters:
    ///   - identity: The identity. `tls.crt` holds its certificate and the intermediates, `ca.crt` the roots.
    ///   - key: Its key.
    /// - Returns: The text, which ends in a newline. The key in it is not encrypted.
    /// - Throws: ``AuthorityError`` when an issuer is wanted and the identity is not a CA, or `CertificateError` when the key
    ///   cannot be written.
    public func text(of identity: StoredIdentity, key: PrivateKey) throws -> SecretBytes {
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

    /// A name in quotation marks, in which `1e3` and `on` are text.
    private func quoted(_ name: KubernetesName) -> String { Quoting.yaml(name.description) }
}
