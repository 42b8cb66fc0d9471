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
        let bytes = try InputFile.read(source)
        name = source
        do {
            (form, objects) = try Self.objects(in: SecretBytes(bytes), passphrase: passphrase)
        } catch let error as CertificateError {
            throw InputError(message: "\(printable(source)): \(error.message)", remedy: error.remedy)
        }
    }

    private static func objects(
        in file: SecretBytes,
        passphrase: SecretBytes?
    ) throws -> (form: String, objects: [InspectedObject]) {
        let bytes = unsafe file.withUnsafeBytes { unsafe Array($0) }
        if bytes.first == 0x30 {
            if let found = try? Certificate(derEncoded: bytes) { return ("der", [.certificate(found)]) }
            if let found = try? CertificateRevocationList(derEncoded: bytes) {
                return ("der", [.revocationList(found)])
            }
            if let found = try? CertificateRequest(unproven: bytes, name: "") {
                return ("der", [.certificateRequest(found)])
            }
            if let found = try? PublicKey(derEncoded: bytes) { return ("der", [.publicKey(found)]) }
        }
        var objects: [InspectedObject] = []
        for document in try PEMDocument.documents(in: bytes) {
            switch document.label {
            case "CERTIFICATE": objects.append(.certificate(try Certificate(derEncoded: document.bytes)))
            case "X509 CRL":
                objects.append(.revocationList(try CertificateRevocationList(derEncoded: document.bytes)))
            case "CERTIFICATE REQUEST":
                objects.append(.certificateRequest(try CertificateRequest(unproven: document.bytes, name: "")))
            case "PUBLIC KEY": objects.append(.publicKey(try PublicKey(derEncoded: document.bytes)))
            case "PRIVATE KEY":
                let key = try PrivateKey(reading: SecretBytes(document.bytes))
                objects.append(.privateKey(InspectedKey(form: "pkcs8", publicKey: key.publicKey)))
            default: objects.append(.unknown(label: document.label))
            }
        }
        return ("pem", objects)
    }
}
