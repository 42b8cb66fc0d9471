// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date

/// A CA that other software made, as its directory tells of it: certificates, keys, index, lists.
///
/// Nothing is written, nothing is believed that can be proved: who issued a certificate says its signature, whose a key is
/// says its public half. What cannot be used, or contradicts itself, stands in ``findings``.
public struct ImportedCA: Sendable {
    /// The software by which a directory is laid out.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// easy-rsa 3: `ca.crt`, `issued`, `private`, `index.txt`.
        case easyRSA = "easy-rsa"
        /// `openssl ca`: `index.txt`, `newcerts`, perhaps a configuration file that says where everything is.
        case openSSL = "openssl-ca"
        /// mkcert: `rootCA.pem`.
        case mkcert
        /// step: `certs/root_ca.crt`, `secrets`.
        case step
        /// This software: `root-cert.pem`, `NAME-cert.pem`, `archive`.
        case pki
        /// Certificates, of which at least one is a CA's.
        case plain
    }

    /// The software.
    public let kind: Kind

    /// The directory that was read: the one that was named, or with easy-rsa and `openssl ca` perhaps one in it. Every path
    /// is below this directory unless it begins with a slash.
    public var directory: String { scan.directory }

    /// How its files are found and read.
    let scan: DirectoryScan

    /// The certificates of CAs: the root first, then what it stands above. The first is no root when there is none in the
    /// directory.
    public let issuers: [ImportedIssuer]

    /// The CA whose directory it is.
    public var root: ImportedIssuer { issuers[0] }

    /// Every certificate that one of the issuers signed, theirs among them, in the order of their files' paths.
    public let certificates: [ForeignCertificate]

    /// Certificates that an index or a list speaks of, and of which there is no file.
    public let lost: [LostCertificate]

    /// What the user should know.
    public let findings: [ForeignFinding]
}

/// The certificate of a CA in a directory that was read.
public struct ImportedIssuer: Sendable {
    /// The name: `root` for the first, else as ``ForeignCertificate/name``.
    public let name: String

    /// The certificate.
    public let certificate: Certificate

    /// The path of its file.
    public let certificateFile: String

    /// The key; nothing when it is not in the directory.
    public let key: ForeignKey?

    /// The serial number that the CA wanted to use next; nothing when it draws them by lot, or nothing says.
    public let nextSerialNumber: SerialNumber?

    /// The number of the CA's next revocation list: by its own file, or one above that of its newest list.
    public let nextRevocationListNumber: SerialNumber?

    /// The path of its newest revocation list.
    public let revocationListFile: String?
}

/// A private key in a directory that was read.
public struct ForeignKey: Hashable, Sendable {
    /// How it is known whose it is.
    public enum Proof: String, Hashable, Sendable {
        /// By its public half.
        case publicKey
        /// By its file's name alone: it is encrypted, or is not in the file.
        case name
    }

    /// The path of the file.
    public let file: String

    /// How it is known whose it is.
    public let proof: Proof

    /// Whether a passphrase opens it.
    public let isEncrypted: Bool

    /// Where the key is when the file only says so: `pkcs11:object=root`.
    public let address: String?
}

/// A certificate in a directory that was read.
public struct ForeignCertificate: Sendable {
    /// A name for it that files can have: by its file's name, or its common name where the file is named after the serial
    /// number. Renewed certificates share one.
    public let name: String

    /// The certificate.
    public let certificate: Certificate

    /// The path of its file. Where several hold it, the one that is named best.
    public let certificateFile: String

    /// Its key; nothing when it is not there.
    public let key: ForeignKey?

    /// The path of the file with the certificates above it, when there is one of its own.
    public let chainFile: String?

    /// The public key that signed it.
    public let issuer: PublicKey

    /// Whether it has its name, or another certificate does.
    public let place: InventoryEntry.Place

    /// That it was revoked, by the index or a list that its CA signed.
    public let revocation: InventoryEntry.Revocation?

    /// What it is good for at the moment of reading.
    public let status: InventoryEntry.Status
}

/// A certificate of which only an index or a list tells.
public struct LostCertificate: Sendable {
    /// The serial number.
    public let serialNumber: SerialNumber

    /// The subject as the index writes it, `/O=Example/CN=web-1`, with its escapes undone; nothing when a list alone tells
    /// of the certificate.
    public let subject: String?

    /// The subject, when it can be made of that text. A `/` in a value may be taken for the beginning of the next.
    public let subjectName: DistinguishedName?

    /// The last moment of validity, by the index.
    public let notAfter: Date?

    /// That it was revoked.
    public let revocation: InventoryEntry.Revocation?

    /// The public key of the CA whose index or list it is.
    public let issuer: PublicKey

    /// The path of the index or list.
    public let file: String

    /// The line in the index, counted from 1.
    public let line: Int?
}

/// Something in a directory that the user should know.
public struct ForeignFinding: Hashable, Sendable {
    /// What kind of thing it is.
    public enum Rule: String, Hashable, Sendable, CaseIterable {
        /// A file or directory cannot be read, or is not what it should be.
        case unreadable
        /// A file that should hold a certificate, a key or a list holds none that can be understood.
        case malformed
        /// There is more than is read.
        case limit
        /// A certificate or a list is not of this CA.
        case foreign
        /// Two certificates of one CA have one serial number.
        case sharedSerial
        /// A line of an index makes no sense.
        case indexLine
        /// An index says other things than a certificate or a list.
        case indexMismatch
        /// A certificate does not stand in its CA's index.
        case notInIndex
        /// A key is not in the directory.
        case missingKey
        /// A key cannot be opened, and is taken for that of a certificate by its name.
        case keyByName
        /// A key belongs to no certificate here.
        case unknownKey
        /// Others than its owner can read a key.
        case unprotectedKey
        /// A configuration file leads nowhere.
        case configuration
    }

    /// What kind of thing it is.
    public let rule: Rule

    /// What is the matter, in lower case and without a full stop, with the file's name.
    public let message: String

    /// The path of the file, when it is about one.
    public let file: String?

    /// The line in it, counted from 1.
    public let line: Int?

    init(_ rule: Rule, _ message: String, file: String? = nil, line: Int? = nil) {
        self.rule = rule
        self.message = message
        self.file = file
        self.line = line
    }
}
