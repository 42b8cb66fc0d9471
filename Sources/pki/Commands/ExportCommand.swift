// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import Glibc
import SystemSupport

/// `pki export`
struct ExportCommand: ParsableCommand {
    /// What an identity becomes.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        /// PKCS#12 with key, certificate and chain; also a keystore for Java.
        case pkcs12
        /// A Secret of the type kubernetes.io/tls.
        case kubernetesSecret = "kubernetes-secret"
        /// The same for a CA, and the issuer of cert-manager that uses it.
        case certManagerIssuer = "cert-manager-issuer"
        /// PKCS#12 with the root alone, which Java trusts.
        case javaTruststore = "java-truststore"

        /// Whether the file is encrypted under a passphrase, and not text.
        var isArchive: Bool { self == .pkcs12 || self == .javaTruststore }
    }

    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a key and its certificates in the form that other programs take.",
        discussion: """
            NAME is what the files in the CA's directory begin with: root for the CA itself. The new file is readable by you \
            alone, and never takes the place of another without --force.

            pkcs12 is for Windows, macOS, browsers, and for Java as a keystore. java-truststore has only the root, for \
            programs that are to accept NAME. Of the forms for Kubernetes the key is not encrypted.

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

    @Argument(help: "Whose files to export: web-1, or root.")
    var name: String

    @Option(name: .long, help: ArgumentHelp("The CA's directory.", valueName: "directory"))
    var directory = CADirectoryArgument.standard

    @Option(
        name: .long,
        help: ArgumentHelp(
            "pkcs12, java-truststore, kubernetes-secret or cert-manager-issuer.",
            valueName: "form"
        )
    )
    var format: Format

    @Option(name: .long, help: ArgumentHelp("The new file; - for standard output.", valueName: "file"))
    var output: String

    @Flag(name: .long, help: "Replace files of the same names.")
    var force = false

    @OptionGroup var exportPassphrase: ExportPassphraseOptions

    @Flag(
        name: .long,
        help: "Triple DES and SHA-1, for macOS, Java before 8u301 and Windows before 2019, which read nothing else."
    )
    var legacy = false

    @Option(
        name: .long,
        help: ArgumentHelp("The namespace of the Secret. (default: kubectl's, or cert-manager)", valueName: "name")
    )
    var namespace: String?

    @Option(
        name: .long,
        help: ArgumentHelp("What Secret and issuer are called. (default: made of NAME)", valueName: "name")
    )
    var secretName: String?

    @Flag(name: .long, help: "A ClusterIssuer instead of an Issuer.")
    var cluster = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Open the key with the first line of this file. (default: ask on the terminal)",
            valueName: "file"
        )
    )
    var passphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var passphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var passphraseFd: Int32?

    func run() throws {
        try checkOptions()
        let source = try PassphraseSource.choose(
            file: passphraseFile,
            environment: passphraseEnv,
            descriptor: passphraseFd,
            option: "--passphrase"
        )
        let passphrase = Passphrase(source)
        try passphrase.check()
        for path in [output, exportPassphrase.generatePassphrase ?? "-"] where path != "-" {
            try AtomicFile.check(path, replaces: force)
        }
        let identity = try StoredIdentity(name: name, in: directory)
        let manifest = format.isArchive ? nil : try manifest()
        try manifest?.check(identity)
        func key() throws -> PrivateKey {
            try identity.key { try passphrase.read("passphrase of the key of \(name)") }
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
        for notice in identity.notices(at: .now) + manifestNotices(identity) { Console.standard.warning(notice) }
        if output == "-" {
            try Console.standard.write(contents)
            try AtomicFile.write([passphraseFile].compactMap(\.self), replaces: force)
            return
        }
        // The passphrase first: a file that nothing opens is of no use, and an unused passphrase does no harm.
        let file = AtomicFile(path: output, contents: contents)
        try AtomicFile.write([passphraseFile, file].compactMap(\.self), replaces: force)
        try Console.standard.print(
            ExportReport(file: output, passphrase: passphraseFile?.path, next: next),
            as: .text
        )
    }

    /// Refuses options that the form has no use for: who gives one expects something of it.
    private func checkOptions() throws {
        if format.isArchive {
            guard namespace == nil, secretName == nil else {
                throw UsageError(message: "--namespace and --secret-name are for the forms of Kubernetes")
            }
            guard exportPassphrase.isGiven else { return _ = try exportPassphrase.passphrase() }
            guard output != "-" || isatty(STDOUT_FILENO) == 0 else {
                throw UsageError(message: "\(format.rawValue) is not text, and standard output is a terminal")
            }
            if let path = exportPassphrase.generatePassphrase, path == output || path == "-" {
                throw UsageError(message: "--generate-passphrase needs a file of its own")
            }
        } else {
            guard !exportPassphrase.isGiven, !legacy else {
                throw UsageError(
                    message: "\(format.rawValue) is not encrypted: it takes neither passphrase nor --legacy"
                )
            }
        }
        guard !cluster || format == .certManagerIssuer else {
            throw UsageError(message: "--cluster is for --format cert-manager-issuer")
        }
    }

    /// Java decrypts nothing under a passphrase that is not ASCII, and says that it is wrong.
    private func checkForJava(_ passphrase: SecretBytes) throws {
        guard unsafe passphrase.withUnsafeBytes({ unsafe $0.contains { $0 >= 0x80 } }) else { return }
        guard format == .javaTruststore else {
            return Console.standard.warning("Java will not open the file: the passphrase is not ASCII")
        }
        throw InputError(
            message: "Java would not open the file: the passphrase is not ASCII",
            hint: "choose another, or have one made: --generate-passphrase FILE"
        )
    }

    private func manifest() throws -> KubernetesManifest {
        KubernetesManifest(
            purpose: format == .kubernetesSecret ? .tls : cluster ? .clusterIssuer : .issuer,
            name: try secretName.map { name throws(AuthorityError) in try KubernetesName(name) }
                ?? KubernetesName(madeOf: name),
            namespace: try namespace.map { name throws(AuthorityError) in try KubernetesName(namespace: name) }
        )
    }

    /// What whoever sends a key to a cluster should know.
    private func manifestNotices(_ identity: StoredIdentity) -> [String] {
        guard format == .certManagerIssuer, identity.certificate == identity.root else { return [] }
        return [
            "whoever can read the Secret has the key of the root, which nothing but a new root undoes: an intermediate CA "
                + "is the safer choice"
        ]
    }

    /// The command that shows or uses the new file.
    private var next: String {
        switch format {
        case .pkcs12: "openssl pkcs12 -info -noout -in \(Quoting.shell(output))"
        case .javaTruststore: "keytool -list -keystore \(Quoting.shell(output))"
        case .kubernetesSecret, .certManagerIssuer: "kubectl apply -f \(Quoting.shell(output))"
        }
    }
}
