// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import RolesAnywhere
import SystemSupport

/// The locations of certificate, key and chain.
struct IdentityOptions: ParsableArguments, Sendable {
    @Option(
        help: .value(
            "location",
            """
            The client certificate: a file in PEM, DER or PKCS#12, which may also hold chain and key; or - for standard \
            input, env:NAME, fd:N, or a pkcs11: URI (RFC 7512). (default: PKI_CERTIFICATE)
            """), completion: .file())
    var certificate: String?

    @Option(
        help: .value(
            "location",
            """
            The private key: a file with PKCS#8, PKCS#1, SEC1, PKCS#12 or TSS2 PRIVATE KEY, encrypted or not; or -, \
            env:NAME, fd:N, a pkcs11: URI, handle:0x81… for a TPM, ssh-agent:SHA256:… for an agent. (default: \
            PKI_PRIVATE_KEY, else the key with the certificate, else NAME-key.pem beside NAME-cert.pem)
            """), completion: .file())
    var privateKey: String?

    @Option(
        help: .value(
            "location",
            """
            Intermediate CA certificates, in any order; a root among them is left out. (default: PKI_INTERMEDIATES, else \
            those with the certificate, and NAME-chain.pem beside NAME-cert.pem)
            """), completion: .file())
    var intermediates: String?

    @Option(
        help: .value(
            "location",
            """
            Choose the certificate from this directory of PEM files or token (pkcs11:…), by --cert-selector. (default: \
            PKI_CERTIFICATE_STORE)
            """), completion: .file())
    var certificateStore: String?

    @Option(
        help: .value(
            "selector",
            """
            Which certificate of the store: Key=x509Subject,Value=CN=web-1; after a blank, more of x509Issuer, x509Serial \
            (hex), x509Fingerprint (SHA-256); or file://PATH with [{"Key":"…","Value":"…"}]. (default: PKI_CERT_SELECTOR)
            """)
    )
    var certSelector: String?

    @Flag(help: "Of several matching certificates, use the one that expires last.")
    var useLatestExpiringCertificate = false

    @OptionGroup var passphrase: PassphraseOptions<ClientKeyRole>

    @Flag(help: "Use a key file that other users can read.")
    var insecurePermissions = false

    @OptionGroup var device: DeviceOptions

    @Option(help: ArgumentHelp("The passphrase itself, which every user of this machine can see.", visibility: .hidden))
    var pkcs8Password: String?

    @Option(help: ArgumentHelp("A certificate store of Windows.", visibility: .hidden))
    var systemStoreName: String?

    func validate() throws {
        if let systemStoreName, systemStoreName.uppercased() != "MY" {
            throw ValidationError(
                "--system-store-name is for Windows; here certificates are chosen with --certificate-store and --cert-selector"
            )
        }
    }

    var namesCertificate: Bool { certificate != nil || certificateStore != nil || certSelector != nil }

    var namesPassphrase: Bool {
        passphrase.isGiven || pkcs8Password != nil || device.tpmKeyPassword != nil
    }

    /// The key's passphrase when it is needed; warns of one on the command line, which every user can see.
    ///
    /// - Throws: ``UsageError`` if there are several.
    func secret(_ console: Console) throws -> Passphrase {
        let source = try passphrase.source()
        let shown = [("--pkcs8-password", pkcs8Password), ("--tpm-key-password", device.tpmKeyPassword)].compactMap {
            (option, value) in value.map { (option, $0) }
        }
        guard let (option, value) = shown.first else { return Passphrase(source) }
        guard source == nil, shown.count == 1 else {
            throw UsageError(
                message: "only one of --passphrase-…, --pkcs8-password and --tpm-key-password can be given")
        }
        console.warning(
            "the value of \(option) is visible to all users in the list of processes; "
                + "use --passphrase-file, --passphrase-env or --passphrase-fd")
        return Passphrase(given: SecretBytes(value.utf8))
    }

    /// Throws ``UsageError`` for options that exclude or require one another.
    func check() throws {
        if certificateStore != nil, certificate != nil {
            throw UsageError(message: "only one of --certificate and --certificate-store can be given")
        }
        if certSelector != nil, certificateStore == nil {
            throw UsageError(
                message: "--cert-selector requires --certificate-store with a directory or a pkcs11: URI",
                hint:
                    "certificate stores of Windows and macOS are not supported; use a directory of PEM files or a token"
            )
        }
        if useLatestExpiringCertificate, certificateStore == nil {
            throw UsageError(message: "--use-latest-expiring-certificate requires --certificate-store")
        }
        let wrong: String? =
            switch try certificate.map(KeyLocation.init) {
            case .agent: "an SSH agent holds keys, not certificates"
            case .tpm: "a TPM handle is a key, not a certificate"
            default: nil
            }
        if let wrong { throw UsageError(message: wrong, hint: "name it with --private-key") }
        switch try intermediates.map(KeyLocation.init) {
        case .agent, .tpm:
            throw UsageError(message: "--intermediates takes certificates, and \(intermediates ?? "") is a key")
        default: break
        }
    }

    /// Where certificate, key and chain are, and what names the certificate in the cache without opening it. What can be
    /// read only once is read.
    func source(_ passphrase: Passphrase) throws -> (IdentitySource, cacheName: @Sendable () throws -> String) {
        try check()
        let opener = KeyOpener(device, passphrase: passphrase)
        var source: IdentitySource
        let cacheName: @Sendable () throws -> String
        if let store = try CertificateStore(self, opener: opener, passphrase: passphrase) {
            let key = try privateKey.map { try opener.keySource(at: KeyLocation($0), beside: .file("")) }
            source = IdentitySource(certificate: store.certificates, key: key ?? store.key)
            let words = [certificateStore, certSelector, "\(useLatestExpiringCertificate)"]
            cacheName = { words.map { $0 ?? "" }.joined(separator: "\n") }
        } else {
            let place = try KeyLocation(certificate ?? "")
            let certificates = try opener.certificateSource(at: place)
            let key = try privateKey.map { try KeyLocation($0) }
            source = IdentitySource(certificate: certificates, key: try opener.keySource(at: key, beside: place))
            cacheName = {
                switch certificates {
                case .file(let path): hexadecimal(contentDigest(try InputFile.read(path)))
                case .contents(let bytes, _):
                    unsafe bytes.withUnsafeBytes { unsafe hexadecimal(contentDigest(Array($0))) }
                case .found(let name, _, _): name
                }
            }
        }
        source.intermediates = try intermediates.map { try opener.certificateSource(at: KeyLocation($0)) }
        source.allowsInsecurePermissions = insecurePermissions
        // aws_signing_helper uses what it is given.
        source.usesFilesBeside = !SigningHelper.isMeant(by: CommandLine.arguments)
        source.openTPMKey = { try opener.tpmKey(in: $0, name: $1) }
        return (source, cacheName)
    }

    /// The key alone, for which no certificate is needed where a key is named.
    func key(_ console: Console) throws -> any SigningKey {
        guard privateKey != nil || namesCertificate else { throw UsageError.missing("--private-key") }
        let passphrase = try secret(console)
        guard let privateKey, certificateStore == nil else {
            return try source(passphrase).0.read(passphrase: passphrase.tries("passphrase of the private key")).key
        }
        let opener = KeyOpener(device, passphrase: passphrase)
        var certificates: [Certificate] = []
        if let certificate { certificates = try opener.certificates(at: KeyLocation(certificate)) }
        let place = try KeyLocation(privateKey)
        do {
            return try opener.key(at: place, for: certificates, insecurePermissions ? .anyone : .ownerOnly)
        } catch let error as FileError {
            throw RolesAnywhereError(error)
        }
    }
}
