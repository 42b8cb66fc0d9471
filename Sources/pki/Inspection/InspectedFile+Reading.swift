// SPDX-License-Identifier: Apache-2.0

import Certificates

extension InspectedFile {
    /// Reads a source.
    ///
    /// - Parameters:
    ///   - source: A file.
    ///   - passphrase: Opens encrypted keys and containers.
    /// - Throws: ``InputError`` naming the source.
    init(reading source: String, passphrase: SecretBytes?) throws {
        do {
            try self.init(try Self.contents(of: source), name: source, passphrase: passphrase)
        } catch let error as CertificateError {
            throw InputError(message: "\(printable(source)): \(error.message)", remedy: error.remedy)
        }
    }

    private static func contents(of source: String) throws -> SecretBytes { SecretBytes(try InputFile.read(source)) }

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
        isInPKCS12 = container == .pkcs12
        do {
            publicKey = try key.key(passphrase: passphrase).publicKey
        } catch {
            if passphrase != nil, error.code == .wrongPassphrase { throw error }
            problem = error.message
        }
    }
}
