// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

/// A certificate in the inventory of a CA.
public struct InventoryEntry: Hashable, Sendable, Identifiable {
    /// The row's number, which grows with every certificate.
    public let id: Int64

    /// The name: that of the files, without `-cert.pem`.
    public let name: String

    /// The serial number.
    public let serialNumber: SerialNumber

    /// The subject as in RFC 4514.
    public let subject: String

    /// The alternative names, each with its kind: `DNS:web-1.example.com`.
    public var alternativeNames: [String] {
        joinedAlternativeNames.split(separator: "\n").map(String.init)
    }

    /// The profile that it was made from: `client`, or the name of a template.
    public let profile: String

    /// The kind of key: `EC P-256`.
    public let keyType: String

    /// Whether it is a CA's.
    public let isCA: Bool

    /// The first moment of validity.
    public let notBefore: Date

    /// The last moment of validity.
    public let notAfter: Date

    /// Where the file is in the life of its name.
    public enum Place: Int64, Hashable, Sendable {
        /// Under its name.
        case current
        /// Another certificate has the name now.
        case replaced
        /// Nowhere in the directory.
        case lost
    }

    /// Where the file is in the life of its name.
    public let place: Place

    /// That and why a certificate is not to be trusted any more.
    public struct Revocation: Hashable, Sendable {
        /// The moment.
        public let date: Date
        /// Why.
        public let reason: RevocationReason
        /// Since when the key may have been in other hands, when that is known.
        public let invalidityDate: Date?
    }

    /// That it was revoked, when it was.
    public let revocation: Revocation?

    /// The moment of issue.
    public let issuedAt: Date

    /// Who had it issued.
    public let issuedBy: String

    /// The certificate's file, below the directory.
    public let certificateFile: String

    /// The key's file below the directory, or the address of a key elsewhere; nothing when the key is somebody else's.
    public let keyFile: String?

    /// The file of the CA certificates above it, below the directory, when there are any but the root.
    public let chainFile: String?

    /// SHA-256 of the issuer's public key.
    let issuerKey: [UInt8]

    /// SHA-256 of the public key.
    let subjectKey: [UInt8]

    /// SHA-256 of the certificate.
    let fingerprintBytes: [UInt8]

    let templateDigest: [UInt8]?

    /// How many seconds the certificate was to be good for, although its CA may have ended before; nothing when it was not
    /// issued here.
    let lifetime: Double?

    let joinedAlternativeNames: String

    /// SHA-256 of the certificate, in hexadecimal.
    public var fingerprint: String { hexadecimal(fingerprintBytes) }

    /// Whether its own key signed it.
    public var isSelfSigned: Bool { issuerKey == subjectKey }

    /// What a certificate is good for at a moment.
    public enum Status: String, Hashable, Sendable, CaseIterable {
        /// It can be used.
        case valid
        /// Its time has not come.
        case notYetValid = "not-yet-valid"
        /// Its time is over.
        case expired
        /// It was revoked for good.
        case revoked
        /// It was revoked until further notice.
        case held
        /// It can be used, and another certificate has its name.
        case replaced
        /// It could be used, but its file is gone.
        case lost
    }

    /// What the certificate is good for.
    ///
    /// - Parameter moment: The moment.
    /// - Returns: The status.
    public func status(at moment: Date) -> Status {
        Status(revocation.map { Int64($0.reason.rawValue) }, place, from: notBefore, to: notAfter, at: moment)
    }

    /// How many whole days are left, fewer than none after the end.
    ///
    /// - Parameter moment: The moment.
    /// - Returns: The days.
    public func daysLeft(at moment: Date) -> Int {
        Int((notAfter.timeIntervalSince(moment) / 86400).rounded(.down))
    }
}

extension InventoryEntry.Status {
    /// What a certificate is good for, by what the inventory says of it.
    ///
    /// - Parameters:
    ///   - reason: Why it was revoked, as in a list; nothing when it was not.
    ///   - place: Where its file is.
    ///   - notBefore: The first moment of validity.
    ///   - notAfter: The last moment of validity.
    ///   - now: The moment.
    init<Time: Comparable>(
        _ reason: Int64?,
        _ place: InventoryEntry.Place,
        from notBefore: Time,
        to notAfter: Time,
        at now: Time
    ) {
        if let reason {
            self = reason == Int64(RevocationReason.certificateHold.rawValue) ? .held : .revoked
        } else if now > notAfter {
            self = .expired
        } else {
            switch place {
            case .current: self = now < notBefore ? .notYetValid : .valid
            case .replaced: self = .replaced
            case .lost: self = .lost
            }
        }
    }
}
