// SPDX-License-Identifier: Apache-2.0

import AWSModel
public import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

/// Who asks for a session: a certificate, the certificates above it, and the certificate's key, as one whole.
///
/// An identity is made in one piece and does not change, so that a rotation replaces all of it or nothing.
public struct Identity: Sendable {
    /// The certificate of the workload.
    public let certificate: Certificate

    /// The certificates between it and its root, each the issuer of one before it. The root is not among them: the
    /// service has it as the trust anchor.
    public let intermediates: [Certificate]

    /// The certificate's private key.
    public let key: any SigningKey

    /// Where the certificate was read from, for messages; `nil` if it came from memory.
    public var source: String?

    /// Where the key was read from, for messages; `nil` if it came from memory.
    public var keySource: String?

    /// The chain beside the certificate that could not be used; `nil` if there is none.
    package var unusedChain: String?

    /// Where the intermediates were read from, for messages; `nil` if from the certificate's or the key's file, or from memory.
    public var chainSource: String?

    /// Puts an identity together from parts that are known to belong together.
    init(certificate: Certificate, intermediates: [Certificate], key: any SigningKey) {
        self.certificate = certificate
        self.intermediates = intermediates
        self.key = key
    }

    /// Puts an identity together from a key and a heap of certificates.
    ///
    /// The certificate is the one that is made out for the key; of several, the one that ends last. From it upwards every
    /// certificate that signed one of those below is taken, self-signed ones excepted. All others are left out, so that
    /// a full chain in any order, or a bundle of CAs, will do.
    ///
    /// - Parameters:
    ///   - key: The private key.
    ///   - certificates: The certificate and those above it, in any order.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/unusableIdentity`` when none belongs to the key, or
    ///   when the chain has more than five certificates.
    public init(key: any SigningKey, certificates: [Certificate]) throws(RolesAnywhereError) {
        guard !certificates.isEmpty else {
            throw RolesAnywhereError(.unusableIdentity, "there is no certificate")
        }
        let candidates = certificates.filter { $0.publicKey == key.publicKey }
        guard let certificate = candidates.max(by: { $0.notAfter < $1.notAfter }) else {
            throw Self.keyMismatch(key, certificates)
        }
        self.key = key
        self.certificate = certificate
        intermediates = CertificateChain(of: certificate, among: certificates).intermediates
        if intermediates.isEmpty { try Self.checkForMissingIssuer(of: certificate, among: certificates) }
        guard intermediates.count <= AWSLimit.chainLength.maximum else {
            throw RolesAnywhereError(
                .unusableIdentity,
                "the chain has \(intermediates.count) intermediate certificates, and the service takes no more than "
                    + "\(AWSLimit.chainLength.maximum)",
                hint: "make a CA nearer to the certificate the trust anchor, or leave out cross-signed alternatives")
        }
    }

    /// Puts an identity together from the contents of files.
    ///
    /// - Parameters:
    ///   - certificates: A PEM text or one certificate in DER: the certificate, or a full chain in any order. It may hold
    ///     the private key too.
    ///   - privateKey: The private key in PEM or DER, encrypted or not; certificates beside it are used as well.
    ///   - intermediates: More certificates.
    ///   - passphrase: Opens an encrypted key.
    /// - Throws: ``RolesAnywhereError`` or `CertificateError` naming what is wrong.
    public init(
        certificates: [UInt8], privateKey: SecretBytes, intermediates: [UInt8] = [], passphrase: SecretBytes? = nil
    ) throws {
        let key = try PrivateKey(reading: privateKey, passphrase: passphrase)
        var heap = try Certificate.certificates(in: certificates)
        heap += try Certificate.certificates(in: intermediates)
        heap += (try? unsafe privateKey.withUnsafeBytes { try Certificate.certificates(in: unsafe Array($0)) }) ?? []
        try self.init(key: key, certificates: heap)
    }

    /// Refuses a chain whose lowest link is missing: intermediates were given, and none of them is above the certificate.
    private static func checkForMissingIssuer(
        of certificate: Certificate, among certificates: [Certificate]
    ) throws(RolesAnywhereError) {
        let others = certificates.filter { $0 != certificate && $0.isCA }
        guard let other = others.first(where: { !$0.isSelfIssued }),
            !others.contains(where: { $0.hasIssued(certificate) })
        else { return }
        throw RolesAnywhereError(
            .unusableIdentity,
            "the chain has a gap: \"\(printable(certificate.issuer.description, limit: 100))\", which issued "
                + "\"\(printable(certificate.subject.description, limit: 100))\", is not among the certificates, while "
                + "\"\(printable(other.subject.description, limit: 100))\" is",
            hint: "add the certificate of the issuer, or leave out those that have nothing to do with it")
    }

    private static func keyMismatch(_ key: any SigningKey, _ certificates: [Certificate]) -> RolesAnywhereError {
        let keyKind = key.publicKey.algorithm
        let subjects = certificates.prefix(3).map { "\"\(printable($0.subject.description, limit: 100))\"" }
        let whose =
            certificates.count == 1
            ? "that of the certificate for \(subjects[0]), which is for a key of the kind \(certificates[0].publicKey.algorithm)"
            : "that of any of the \(certificates.count) certificates (\(subjects.joined(separator: ", ")))"
        return RolesAnywhereError(
            .unusableIdentity, "the private key (\(keyKind)) is not \(whose)",
            hint: "name the key that the certificate was issued for")
    }
}

extension Identity {
    /// The chain for reports: what is sent and from where, or what its absence means.
    package var chainText: String {
        guard !intermediates.isEmpty else { return "none, for a trust anchor of the issuer itself; \(chainHint)" }
        let names = intermediates.map { printable($0.subject.description, limit: 100) }.joined(separator: "; ")
        return chainSource.map { "\(names), from \(printable($0))" } ?? names
    }

    /// How to send the intermediate certificates, of which none was found: the option, and the file where there should be one.
    package var chainHint: String {
        if let unusedChain {
            return "\(printable(unusedChain)) is not used: it has no certificate of the issuer, "
                + printable(certificate.issuer.description, limit: 100)
        }
        let file = source.flatMap { FilePath.sibling(.chain, of: $0) }.map(Quoting.shell) ?? "FILE"
        return
            "if \(printable(certificate.issuer.description, limit: 100)) is not the trust anchor but an intermediate, add "
            + "its certificate: --intermediates \(file)"
    }

    /// Checks the rules of the service, which itself only says "untrusted".
    ///
    /// The rules for the certificate and those above it are AWS's (IAM Roles Anywhere User Guide, "Trust model").
    ///
    /// - Parameter date: The time at which the certificates must be valid.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/unusableIdentity`` naming the first broken rule.
    public func check(at date: Date) throws(RolesAnywhereError) {
        _ = try RequestSigner.algorithm(for: key.publicKey.algorithm)
        guard certificate.publicKey == key.publicKey else {
            throw refusal(of: certificate, "is not for this private key")
        }
        if let finding = CertificateJudge.findings(in: certificate, as: .client, at: date).errors.first {
            throw refusal(of: certificate, finding.finding, hint: finding.hint)
        }
        for intermediate in intermediates {
            let findings = CertificateJudge.findings(in: intermediate, as: .intermediate, at: date)
            guard let finding = findings.errors.first else { continue }
            throw refusal(of: intermediate, finding.finding, hint: finding.hint)
        }
    }

    private func refusal(of certificate: Certificate, _ rule: String, hint: String? = nil) -> RolesAnywhereError {
        let kind = certificate == self.certificate ? "certificate" : "intermediate certificate"
        let subject =
            certificate.subject.isEmpty ? "" : " \"\(printable(certificate.subject.description, limit: 200))\""
        let place = source.map { " in \"\(printable($0))\"" } ?? ""
        return RolesAnywhereError(.unusableIdentity, "the \(kind)\(subject)\(place) \(rule)", hint: hint)
    }
}

extension Identity: CustomStringConvertible, CustomReflectable {
    /// The subject and the serial number.
    public var description: String {
        "Identity(subject: \"\(certificate.subject)\", serialNumber: \(certificate.serialNumber), "
            + "intermediates: \(intermediates.count))"
    }

    /// Everything but the key.
    public var customMirror: Mirror {
        Mirror(self, children: ["certificate": certificate, "intermediates": intermediates, "key": "<redacted>"])
    }
}

/// The certificates above one, picked out of a heap.
struct CertificateChain {
    /// Nearest first. With cross-signed CAs, both are here.
    let intermediates: [Certificate]

    /// Climbs from a certificate to its issuers, theirs, and so on.
    ///
    /// An issuer is one whose subject is the name and whose key made the signature. Of certificates that differ only in
    /// how long they are valid, the one that ends last is taken.
    init(of certificate: Certificate, among heap: [Certificate]) {
        var rest = Self.withoutPredecessors(heap.filter { $0 != certificate && !$0.isSelfSigned })
        var chain: [Certificate] = []
        var level = [certificate]
        while !level.isEmpty {
            let issuers = rest.filter { candidate in
                level.contains { candidate.hasIssued($0) }
            }
            rest.removeAll { issuers.contains($0) }
            chain += issuers
            level = issuers
        }
        intermediates = chain
    }

    /// Leaves out doubles, and certificates that were renewed with the same key by the same issuer.
    private static func withoutPredecessors(_ heap: [Certificate]) -> [Certificate] {
        var kept: [Certificate] = []
        for certificate in heap {
            let twin = kept.firstIndex {
                $0.subject == certificate.subject && $0.issuer == certificate.issuer
                    && $0.publicKey == certificate.publicKey
            }
            guard let twin else {
                kept.append(certificate)
                continue
            }
            if kept[twin].notAfter < certificate.notAfter { kept[twin] = certificate }
        }
        return kept
    }
}

extension Certificate {
    /// Whether the certificate is a root: its own key signed it.
    package var isSelfSigned: Bool { isSelfIssued && hasSigned(self) }

    /// Whether the subject is another's issuer, and its key made the other's signature.
    ///
    /// Names that are encoded in different ways but read the same count as the same (RFC 5280 §7.1).
    package func hasIssued(_ other: Certificate) -> Bool {
        (subject == other.issuer || subject.relativeNames == other.issuer.relativeNames) && hasSigned(other)
    }
}
