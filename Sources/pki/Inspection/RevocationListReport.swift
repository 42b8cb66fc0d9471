// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import AWSModel
import SystemSupport

/// What `pki inspect` says of a certificate revocation list.
struct RevocationListReport: Encodable, Sendable {
    /// A certificate that was revoked.
    struct Entry: Encodable, Sendable {
        var serialNumber: String
        var revocationDate: Date
        var reason: String?
    }

    let kind = "revocationList"
    var version: Int
    var issuer: String
    var thisUpdate: Date
    var nextUpdate: Date?
    var validity: Validity
    /// The list's own number, in decimal.
    var number: String?
    var signatureAlgorithm: String
    var signatureIsWeak: Bool
    var authorityKeyIdentifier: String?
    var revokedCount: Int
    /// Every entry, the latest first.
    var revoked: [Entry]
    var extensions: [ExtensionFacts]
    /// How many bytes the list has in PEM, in which AWS takes it.
    var size: Int
    var sizeLimit: Int
    var sha256: String
    /// The SHA-256 of its issuer, when that was read too.
    var issuedBy: String?
    var pem: String
    var rolesAnywhere: AnywhereFacts

    private let list: CertificateRevocationList
    private let now: Date

    private enum CodingKeys: CodingKey {
        case kind, version, issuer, thisUpdate, nextUpdate, validity, number, signatureAlgorithm, signatureIsWeak
        case authorityKeyIdentifier, revokedCount, revoked, extensions, size, sizeLimit, sha256, issuedBy, pem
        case rolesAnywhere
    }

    /// How many entries a person is shown.
    private static let entryLimit = 10

    init(_ list: CertificateRevocationList, issuer: Certificate?, at now: Date) {
        self.list = list
        self.now = now
        version = list.version
        self.issuer = list.issuer.description
        thisUpdate = list.thisUpdate
        nextUpdate = list.nextUpdate
        validity = Validity(of: now, from: list.thisUpdate, to: list.nextUpdate)
        number = list.number?.decimal
        signatureAlgorithm = list.signatureAlgorithm.name
        signatureIsWeak = list.signatureAlgorithm.isWeak
        authorityKeyIdentifier = list.authorityKeyIdentifier.map { hexadecimal($0) }
        revokedCount = list.revokedCount
        revoked = list.entries.map {
            Entry(serialNumber: $0.serialNumber.hexadecimal, revocationDate: $0.revocationDate, reason: $0.reason?.name)
        }
        .sorted { ($1.revocationDate, $0.serialNumber) < ($0.revocationDate, $1.serialNumber) }
        extensions = list.extensions.map(ExtensionFacts.init)
        pem = list.pemEncoded
        size = pem.utf8.count
        sizeLimit = AWSLimit.crlLength.maximum
        sha256 = hexadecimal(Digest.sha256.hash(list.derEncoded))
        issuedBy = issuer?.fingerprint
        rolesAnywhere = AnywhereFacts(list)
    }

    func add(to fields: inout FieldList, signer: String?) {
        fields.add("issuer", issuer.isEmpty ? "(empty)" : issuer)
        fields.add("signed by", signer)
        let made = CivilTime(thisUpdate).extended
        fields.add("made", validity == .notYetValid ? "\(made), IN THE FUTURE" : made)
        fields.add("next", nextText)
        fields.add("number", number)
        fields.add(list.signatureAlgorithm)
        if version != 2 { fields.add("version", "\(version)") }
        fields.add("issuer's key", authorityKeyIdentifier)
        fields.add("other", extensions.filter { !["2.5.29.20", "2.5.29.35"].contains($0.identifier) })
        fields.add("revoked", "\(revokedCount)")
        for entry in revoked.prefix(Self.entryLimit) {
            let reason = entry.reason.map { ", \($0)" } ?? ""
            fields.add("", "\(entry.serialNumber) at \(CivilTime(entry.revocationDate).extended)\(reason)")
        }
        if revokedCount > Self.entryLimit {
            fields.add("", "… and \(revokedCount - Self.entryLimit) more, which --format json lists")
        }
        fields.add("size", "\(size) bytes in PEM, of \(sizeLimit) that AWS takes")
        fields.add("SHA-256", sha256)
        rolesAnywhere.add(to: &fields)
    }

    private var nextText: String {
        guard let nextUpdate else { return "not said" }
        let span = Validity.span(nextUpdate.timeIntervalSince(now))
        return "\(CivilTime(nextUpdate).extended), \(validity == .expired ? "STALE since \(span)" : "in \(span)")"
    }
}
