// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// Where an identity comes from: files, things that were read once, or whatever a closure brings from a token or an agent.
///
/// All parts are read as one snapshot. Files that change while they are being read, as they do in a rotation, are read again,
/// so that a new certificate is never paired with an old key by chance.
public struct IdentitySource: Sendable {
    /// Where certificates are.
    public enum Certificates: Sendable {
        /// A file: PEM, DER, PKCS#12 or PKCS#7, with any number of certificates; it may hold the key too.
        case file(String)
        /// The contents of such a file that came from where it can be read only once.
        case contents(SecretBytes, name: String)
        /// Whatever a closure finds.
        ///
        /// - `name`: What it is called in messages.
        /// - `watching`: Files and directories which, when they change, make it worth looking again.
        /// - `read`: Finds the certificates.
        case found(name: String, watching: [String], read: @Sendable () throws -> [Certificate])
    }

    /// Where the private key is.
    public enum Key: Sendable {
        /// In the same place as the certificate.
        case besideCertificate
        /// A file: PEM, DER or PKCS#12, encrypted or not; certificates beside it are used as well.
        case file(String)
        /// The contents of such a file that came from where it can be read only once.
        case contents(SecretBytes, name: String)
        /// Whatever a closure finds for the certificates.
        case found(name: String, open: @Sendable ([Certificate]) throws -> any SigningKey)
    }

    /// The certificate, or a full chain in any order, or those and the key.
    public var certificate: Certificates

    /// The private key.
    public var key: Key

    /// More certificates; nothing when there are none or they stand beside the certificate.
    public var intermediates: Certificates?

    /// Whether a private key is read from a file that others than its owner may read.
    public var allowsInsecurePermissions: Bool

    /// Opens a file whose key is only a reference to one in a TPM, given its contents and its name; without it such a file
    /// is refused.
    public var openTPMKey: (@Sendable (SecretBytes, String) throws -> any SigningKey)?

    /// Names the parts.
    ///
    /// - Parameters:
    ///   - certificate: The certificate, or a full chain in any order, or those and the key.
    ///   - key: The private key.
    ///   - intermediates: More certificates.
    ///   - allowsInsecurePermissions: Whether a private key is read from a file that others than its owner may read.
    public init(
        certificate: Certificates,
        key: Key = .besideCertificate,
        intermediates: Certificates? = nil,
        allowsInsecurePermissions: Bool = false
    ) {
        self.certificate = certificate
        self.key = key
        self.intermediates = intermediates
        self.allowsInsecurePermissions = allowsInsecurePermissions
    }

    /// Names files.
    ///
    /// - Parameters:
    ///   - certificate: The certificate's file.
    ///   - privateKey: The key's file; nothing when the key stands in the certificate's.
    ///   - intermediates: A file with more certificates.
    ///   - allowsInsecurePermissions: Whether a private key is read from a file that others than its owner may read.
    public init(
        certificate: String,
        privateKey: String? = nil,
        intermediates: String? = nil,
        allowsInsecurePermissions: Bool = false
    ) {
        self.init(
            certificate: .file(certificate),
            key: privateKey.map { .file($0) } ?? .besideCertificate,
            intermediates: intermediates.map { .file($0) },
            allowsInsecurePermissions: allowsInsecurePermissions
        )
    }

    /// How often files that keep changing are read.
    private static let attempts = 5

    /// Reads the identity.
    ///
    /// - Parameter passphrase: Called when something encrypted is to be opened.
    /// - Returns: An identity whose parts belong together. Whether the service will take it is for
    ///   ``Identity/check(at:)`` to say.
    /// - Throws: ``RolesAnywhereError`` naming the file and the rule, or what a closure throws.
    public func read(passphrase: () throws -> SecretBytes? = { nil }) throws -> Identity {
        try readStamped(passphrase: passphrase).identity
    }

    /// Reads the identity, and what tells whether its files have changed since.
    func readStamped(passphrase: () throws -> SecretBytes?) throws -> (identity: Identity, stamps: IdentityStamps) {
        var attempt = 1
        while true {
            let snapshot = try IdentitySnapshot(of: self)
            do {
                let identity = try snapshot.identity(passphrase: passphrase)
                if snapshot.stamps.areCurrent || attempt == Self.attempts { return (identity, snapshot.stamps) }
            } catch {
                if snapshot.stamps.areCurrent || attempt == Self.attempts { throw error }
            }
            attempt += 1
        }
    }
}

/// What tells whether the files of an identity have changed.
struct IdentityStamps: Sendable {
    let files: [(path: String, stamp: FileStamp?)]

    /// Whether each path still leads to the same file, unchanged. What is no regular file does not count.
    var areCurrent: Bool { files.allSatisfy { file in file.stamp.map { FileStamp(at: file.path) == $0 } ?? true } }
}
