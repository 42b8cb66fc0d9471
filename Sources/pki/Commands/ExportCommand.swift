// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct ExportCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case pkcs12
        case kubernetesSecret = "kubernetes-secret"
        case certManagerIssuer = "cert-manager-issuer"
        case javaTruststore = "java-truststore"

        /// Whether the file is PKCS#12, which is not text and encrypted under a passphrase.
        var isArchive: Bool { self == .pkcs12 || self == .javaTruststore }
    }

    static let configuration = CommandConfiguration(
        commandName: "export",
        _superCommandName: "pki",
        abstract: "Export a key and its certificates for other programs.",
        discussion: """
            NAME is the name of a certificate in the CA's directory; root is the CA itself. The new file is readable by you \
            alone, and replaces an existing file only with --force.

            pkcs12 is for Windows, macOS, browsers, and for Java as a keystore. java-truststore has only the root, for Java \
            programs that verify NAME. kubernetes-secret is a Secret of type kubernetes.io/tls; cert-manager-issuer adds an \
            issuer to the Secret of a CA. Their keys are not encrypted.

            For example:

              pki export web-1 --format pkcs12 --output web-1.p12 \\
                --generate-passphrase web-1.pass
              pki export web-1 --format pkcs12 --legacy --output web-1.p12 \\
                --export-passphrase-file pass
              pki export root --format java-truststore --output trust.p12 \\
                --generate-passphrase trust.pass
              pki export web-1 --format kubernetes-secret --output - \\
                --namespace shop | kubectl apply -f -
              pki export issuing --format cert-manager-issuer --cluster \\
                --output issuer.yaml
            """
    )

    @Argument(help: "The name of the certificate, such as web-1 or root.", completion: .known(.certificateNames))
    var name: String

    @OptionGroup var directory: DirectoryOption

    @Option(name: .format, help: .value("format", "Export format; required."))
    var givenFormat: Format?

    @OptionGroup var quiet: QuietOption

    /// The format, which `run()` requires first.
    private var format: Format { givenFormat ?? .pkcs12 }

    @Option(help: .value("file", "Write to this file; - is standard output."), completion: .file())
    var output: String

    @Flag(help: "Replace existing files.")
    var force = false

    @OptionGroup var exportPassphrase: ExportPassphraseOptions

    @Flag(help: "Use Triple DES and SHA-1, for macOS, Java before 8u301 and Windows before 2019.")
    var legacy = false

    @Option(help: .value("name", "The Secret's namespace. (default: kubectl's, or cert-manager)"))
    var namespace: String?

    @Option(help: .value("name", "The name of the Secret and the issuer. (default: from NAME)"))
    var secretName: String?

    @Flag(help: "With cert-manager-issuer: write a ClusterIssuer instead of an Issuer.")
    var cluster = false

    @OptionGroup var keyPassphrase: PassphraseOptions<StoredKeyRole>

    func run() throws {
        _ = try UsageError.require(givenFormat, "--format")
        try checkOptions()
        let passphrase = try keyPassphrase.passphrase()
        for path in [output, exportPassphrase.generatePassphrase ?? "-"] where path != "-" {
            try AtomicFile.check(path, replaces: force)
        }
        let identity = try StoredIdentity(name: name, in: directory.path)
        let manifest = format.isArchive ? nil : try manifest()
        try manifest?.check(identity)
        func key() throws -> PrivateKey {
            try identity.key(passphrase: passphrase.tries("passphrase of the key of \(name)"))
        }
        var passphraseFile: AtomicFile?
        let contents: SecretBytes
        if let manifest {
            contents = try manifest.text(of: identity, key: key())
        } else {
            let encryption: PKCS12Archive.Encryption = legacy ? .legacy : .modern
            let archive =
                try format == .javaTruststore
                ? identity.truststore(encryption: encryption) : identity.archive(with: key(), encryption: encryption)
            let secret: SecretBytes
            (secret, passphraseFile) = try exportPassphrase.passphrase()
            try checkForJava(secret)
            contents = try archive.encoded(passphrase: secret)
        }
        for notice in try identity.notices(at: .now) + manifestNotices(identity) { Console.standard.warning(notice) }
        if output == "-" {
            try Console.standard.write(contents)
            try AtomicFile.write([passphraseFile].compactMap(\.self), replaces: force)
            return
        }
        // The passphrase is written first: without it the file is useless.
        let file = AtomicFile(path: output, contents: contents)
        try AtomicFile.write([passphraseFile, file].compactMap(\.self), replaces: force)
        let isPrivate = " (readable by you alone)"
        let lines = labelledLines([
            ("file", output + isPrivate), ("passphrase", passphraseFile.map { $0.path + isPrivate }), ("next", next),
        ])
        try Console.standard.write(lines + "\n")
    }

    /// Refuses options that the format does not use.
    private func checkOptions() throws {
        if format.isArchive {
            guard namespace == nil, secretName == nil else {
                throw UsageError(message: "--namespace and --secret-name are for Kubernetes formats only")
            }
            guard exportPassphrase.isGiven else { return _ = try exportPassphrase.passphrase() }
            guard output != "-" || !Terminal.isTerminal(StandardStream.output) else {
                throw UsageError(message: "\(format.rawValue) is not text and cannot be written to a terminal")
            }
            if let path = exportPassphrase.generatePassphrase, path == output || path == "-" {
                throw UsageError(message: "--generate-passphrase needs a different file")
            }
        } else {
            guard !exportPassphrase.isGiven, !legacy else {
                throw UsageError(
                    message: "\(format.rawValue) is not encrypted: passphrase options and --legacy have no effect")
            }
        }
        guard !cluster || format == .certManagerIssuer else {
            throw UsageError(message: "--cluster requires --format cert-manager-issuer")
        }
    }

    /// Java rejects passphrases that are not ASCII as wrong.
    private func checkForJava(_ passphrase: SecretBytes) throws {
        guard unsafe passphrase.withUnsafeBytes({ unsafe $0.contains { $0 >= 0x80 } }) else { return }
        guard format == .javaTruststore else {
            return Console.standard.warning("Java cannot open the file: the passphrase is not ASCII")
        }
        throw InputError(
            message: "Java could not open the file: the passphrase is not ASCII",
            hint: "choose another, or generate one: --generate-passphrase FILE")
    }

    private func manifest() throws -> KubernetesManifest {
        KubernetesManifest(
            purpose: format == .kubernetesSecret ? .tls : cluster ? .clusterIssuer : .issuer,
            name: try secretName.map { name throws(AuthorityError) in try KubernetesName(name) }
                ?? KubernetesName(madeOf: name),
            namespace: try namespace.map { name throws(AuthorityError) in try KubernetesName(namespace: name) }
        )
    }

    private func manifestNotices(_ identity: StoredIdentity) -> [String] {
        guard format == .certManagerIssuer, identity.certificate == identity.root else { return [] }
        return [
            "the Secret holds the root's key, and only a new root recovers from its disclosure: prefer an intermediate CA"
        ]
    }

    /// A command that shows or uses the new file.
    private var next: String {
        switch format {
        case .pkcs12: "openssl pkcs12 -info -noout -in \(Quoting.shell(output))"
        case .javaTruststore: "keytool -list -keystore \(Quoting.shell(output))"
        case .kubernetesSecret, .certManagerIssuer: "kubectl apply -f \(Quoting.shell(output))"
        }
    }
}
