// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// Who asks: certificate, key and chain, wherever they are.
struct IdentitySettings: Sendable {
    var certificate: String?
    var privateKey: String?
    var intermediates: String?
    var certificateStore: String?
    var certSelector: String?
    var useLatestExpiringCertificate = false
    var passphraseFile: String?
    var passphraseEnv: String?
    var passphraseFd: Int32?
    var pkcs8Password: String?
    var insecurePermissions = false
    var device = DeviceSettings()

    /// Whether it is said which certificate it is about.
    var namesCertificate: Bool { certificate != nil || certificateStore != nil || certSelector != nil }

    /// Whether it is said where the key's passphrase is.
    var namesPassphrase: Bool {
        passphraseFile != nil || passphraseEnv != nil || passphraseFd != nil || pkcs8Password != nil
            || device.tpmKeyPassword != nil
    }

    /// Where the key's passphrase is.
    ///
    /// - Parameter console: Is told of one that everybody can see.
    /// - Returns: What gives it when it is needed.
    /// - Throws: ``UsageError`` when several places are named.
    func passphrase(_ console: Console) throws -> Passphrase {
        let source = try PassphraseSource.choose(
            file: passphraseFile,
            environment: passphraseEnv,
            descriptor: passphraseFd,
            option: "--passphrase"
        )
        let shown = [("--pkcs8-password", pkcs8Password), ("--tpm-key-password", device.tpmKeyPassword)].compactMap {
            (option, value) in value.map { (option, $0) }
        }
        guard let (option, value) = shown.first else { return Passphrase(source) }
        guard source == nil, shown.count == 1 else {
            throw UsageError(
                message: "only one of --passphrase-…, --pkcs8-password and --tpm-key-password can be given"
            )
        }
        console.warning(
            "every user of this machine can read what \(option) gives, in the list of processes; "
                + "use --passphrase-file, --passphrase-env or --passphrase-fd"
        )
        return Passphrase(given: SecretBytes(value.utf8))
    }

    /// Checks that the options go together.
    ///
    /// - Throws: ``UsageError`` saying which do not.
    func check() throws {
        if certificateStore != nil, certificate != nil {
            throw UsageError(message: "only one of --certificate and --certificate-store can be given")
        }
        if certSelector != nil, certificateStore == nil {
            throw UsageError(
                message: "--cert-selector needs --certificate-store FOLDER or --certificate-store pkcs11:…",
                hint:
                    "the certificate stores of Windows and macOS are not here; a directory of PEM files or a token takes "
                    + "their place"
            )
        }
        if useLatestExpiringCertificate, certificateStore == nil {
            throw UsageError(message: "--use-latest-expiring-certificate needs --certificate-store")
        }
        if case .agent = try certificate.map(KeyLocation.init) {
            throw UsageError(
                message: "an SSH agent holds keys and no certificates",
                hint: "name it with --private-key"
            )
        }
        if case .tpm = try certificate.map(KeyLocation.init) {
            throw UsageError(
                message: "a TPM's handle is a key and no certificate",
                hint: "name it with --private-key"
            )
        }
        for (option, value) in [("--intermediates", intermediates)] {
            switch try value.map(KeyLocation.init) {
            case .agent, .tpm: throw UsageError(message: "\(option) takes certificates, and \(value ?? "") is a key")
            default: break
            }
        }
    }
}
