// SPDX-License-Identifier: Apache-2.0

public import Certificates

/// The files that an identity is read from, as one snapshot.
///
/// Files that change while they are being read, as they do in a rotation, are read again, so that a new certificate is
/// never paired with an old key by chance.
public struct IdentityFiles: Hashable, Sendable {
    /// The certificate, or a full chain in any order, or those and the key.
    public var certificate: String

    /// The private key; nothing when it stands in the certificate's file.
    public var privateKey: String?

    /// More certificates; nothing when there are none or they stand in the certificate's file.
    public var intermediates: String?

    /// Whether a private key is read from a file that others than its owner may read.
    public var allowsInsecurePermissions: Bool

    /// Names the files.
    ///
    /// - Parameters:
    ///   - certificate: The certificate, or a full chain in any order, or those and the key.
    ///   - privateKey: The private key; nothing when it stands in the certificate's file.
    ///   - intermediates: More certificates.
    ///   - allowsInsecurePermissions: Whether a private key is read from a file that others than its owner may read.
    public init(
        certificate: String,
        privateKey: String? = nil,
        intermediates: String? = nil,
        allowsInsecurePermissions: Bool = false
    ) {
        self.certificate = certificate
        self.privateKey = privateKey
        self.intermediates = intermediates
        self.allowsInsecurePermissions = allowsInsecurePermissions
    }

    /// How often files that keep changing are read.
    private static let attempts = 5

    /// Reads the identity.
    ///
    /// - Parameter passphrase: Opens an encrypted key.
    /// - Returns: An identity whose parts belong together. Whether the service will take it is for
    ///   ``Identity/check(at:)`` to say.
    /// - Throws: ``RolesAnywhereError`` naming the file and the rule.
    public func read(passphrase: SecretBytes? = nil) throws -> Identity {
        try readStamped(passphrase: passphrase).identity
    }

    /// Reads the identity, and what tells whether its files have changed since.
    func readStamped(passphrase: SecretBytes?) throws -> (identity: Identity, stamps: IdentityStamps) {
        var attempt = 1
        while true {
            let snapshot = try Snapshot(of: self)
            do {
                let identity = try snapshot.identity(from: self, passphrase: passphrase)
                if snapshot.isCurrent || attempt == Self.attempts { return (identity, snapshot.stamps) }
            } catch {
                if snapshot.isCurrent || attempt == Self.attempts { throw error }
            }
            attempt += 1
        }
    }

    /// The contents of the files at one time.
    private struct Snapshot {
        let certificate: FileContents
        let privateKey: FileContents
        let intermediates: FileContents?

        init(of files: IdentityFiles) throws(RolesAnywhereError) {
            if let path = files.privateKey, path != files.certificate {
                privateKey = try FileContents(ofSecret: path, anyPermissions: files.allowsInsecurePermissions)
                certificate = try FileContents(of: files.certificate)
            } else {
                privateKey = try FileContents(
                    ofSecret: files.certificate,
                    anyPermissions: files.allowsInsecurePermissions
                )
                certificate = privateKey
            }
            intermediates = try files.intermediates.map { path throws(RolesAnywhereError) in try FileContents(of: path)
            }
        }

        /// Whether the files are still the same ones, unchanged.
        var isCurrent: Bool { stamps.areCurrent }

        var stamps: IdentityStamps {
            IdentityStamps(
                files: [certificate, privateKey, intermediates].compactMap(\.self).map { ($0.path, $0.stamp) }
            )
        }

        func identity(from files: IdentityFiles, passphrase: SecretBytes?) throws -> Identity {
            let key = try privateKey.parsed { (bytes) throws(CertificateError) in
                try PrivateKey(reading: bytes, passphrase: passphrase)
            }
            var heap = try certificate.certificates()
            if let intermediates {
                let more = try intermediates.certificates()
                guard !more.isEmpty else { throw Self.empty(intermediates.path) }
                heap += more
            }
            if files.privateKey != nil, certificate.path != privateKey.path {
                heap += (try? privateKey.certificates()) ?? []
            }
            guard !heap.isEmpty else { throw Self.empty(certificate.path) }
            do {
                var identity = try Identity(key: key, certificates: heap)
                identity.source = certificate.path
                return identity
            } catch {
                throw RolesAnywhereError(
                    error.code,
                    "\"\(printable(certificate.path))\" and \"\(printable(privateKey.path))\": \(error.message)",
                    remedy: error.remedy
                )
            }
        }

        private static func empty(_ path: String) -> RolesAnywhereError {
            RolesAnywhereError(
                .unusableIdentity,
                "there is no certificate in \"\(printable(path))\"",
                remedy: "a certificate begins with -----BEGIN CERTIFICATE-----, or is one in DER"
            )
        }
    }
}
