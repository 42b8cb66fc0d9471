// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

extension InspectedFile {
    /// Reads a source.
    ///
    /// - Parameters:
    ///   - source: Where it is, as ``KeyLocation`` reads it: a file, `-`, `env:NAME`, `fd:N`, certificates in a token, or a
    ///     key in a TPM or an agent.
    ///   - passphrase: Opens encrypted keys and containers.
    ///   - opener: Finds what is in devices.
    /// - Throws: An `ExplainedError` naming the source.
    init(reading source: String, passphrase: SecretBytes?, opener: KeyOpener) throws {
        let place = try KeyLocation(source)
        switch place {
        case .pkcs11:
            let certificates = try opener.allCertificates(at: place)
            guard !certificates.isEmpty else {
                throw InputError(message: "there is no certificate at \(printable(source))")
            }
            self.init(name: source, form: "pkcs11", objects: certificates.map(InspectedObject.certificate))
        case .tpm, .agent:
            let form = if case .tpm = place { "tpm" } else { "agent" }
            let key = InspectedKey(form: form, isEnclosed: true, publicKey: try opener.key(at: place).publicKey)
            self.init(name: source, form: form, objects: [.privateKey(key)])
        default:
            guard let contents = try place.read()?.bytes else {
                throw UsageError(message: "\(printable(source)) cannot be read")
            }
            do {
                try self.init(contents, name: source, passphrase: passphrase)
            } catch {
                throw InputError(message: "\(printable(source)): \(error.message)", hint: error.hint)
            }
        }
    }

    /// Looks into the contents of a source.
    ///
    /// - Parameters:
    ///   - contents: PEM, DER or PKCS#12.
    ///   - name: What the source is called.
    ///   - passphrase: Opens encrypted keys and containers.
    /// - Throws: ``CertificateError`` when the contents cannot be read, or the passphrase opens none of it. An encrypted
    ///   key without a passphrase is no error.
    init(_ contents: SecretBytes, name: String, passphrase: SecretBytes?) throws(CertificateError) {
        let container = try Container(reading: contents, passphrase: passphrase)
        self.name = name
        form = container.form.rawValue
        objects = try container.objects.map { (object) throws(CertificateError) in
            switch object {
            case .certificate(let certificate): .certificate(certificate)
            case .certificateRequest(let request): .certificateRequest(request)
            case .revocationList(let list): .revocationList(list)
            case .publicKey(let key): .publicKey(key)
            case .privateKey(let key):
                .privateKey(try InspectedKey(key, in: container.form, passphrase: passphrase))
            case .unknown(let label): .unknown(label: label)
            }
        }
    }
}

extension InspectedKey {
    /// Looks at a private key, and lets it go.
    fileprivate init(
        _ key: EncodedPrivateKey,
        in container: Container.Form,
        passphrase: SecretBytes?
    ) throws(CertificateError) {
        form = key.form.rawValue
        encryption = key.encryption
        isEnclosed = container == .pkcs12
        do {
            publicKey = try key.key(passphrase: passphrase).publicKey
        } catch {
            if passphrase != nil, error.code == .wrongPassphrase { throw error }
            problem = error.message
        }
    }
}
