// SPDX-License-Identifier: Apache-2.0

import Certificates
import RolesAnywhere
import SystemSupport

extension IdentitySettings {
    /// Puts the places of certificate, key and chain together. What can be read only once is read.
    ///
    /// - Parameter passphrase: Opens the key.
    /// - Returns: The source, and what the certificate is known by in the cache, without opening it.
    /// - Throws: ``UsageError`` when places do not go together; what is wrong with one that is read at once.
    func source(_ passphrase: Passphrase) throws -> (IdentitySource, cacheName: @Sendable () throws -> String) {
        try check()
        let opener = KeyOpener(device, passphrase: passphrase)
        var source: IdentitySource
        let cacheName: @Sendable () throws -> String
        if let store = try CertificateStore(self, opener: opener, passphrase: passphrase) {
            let key = try privateKey.map { try opener.key(at: KeyLocation($0), beside: .file("")) }
            source = IdentitySource(certificate: store.certificates, key: key ?? store.key)
            let words = [certificateStore, certSelector, "\(useLatestExpiringCertificate)"]
            cacheName = { words.map { $0 ?? "" }.joined(separator: "\n") }
        } else {
            let place = try KeyLocation(certificate ?? "")
            let certificates = try opener.certificates(at: place)
            let key = try privateKey.map { try KeyLocation($0) }
            source = IdentitySource(certificate: certificates, key: try opener.key(at: key, beside: place))
            cacheName = {
                switch certificates {
                case .file(let path): hexadecimal(Digest.sha256.hash(try InputFile.read(path)))
                case .contents(let bytes, _):
                    unsafe bytes.withUnsafeBytes { unsafe hexadecimal(Digest.sha256.hash(Array($0))) }
                case .found(let name, _, _): name
                }
            }
        }
        source.intermediates = try intermediates.map { try opener.certificates(at: KeyLocation($0)) }
        source.allowsInsecurePermissions = insecurePermissions
        source.openTPMKey = { try opener.tpmKey(in: $0, name: $1) }
        return (source, cacheName)
    }
}
