// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// The part of an object in the report of `pki inspect` about a key. It contains only the public part of a private key.
struct KeyReport: EncodableMembers, Sendable {
    /// The public part; `nil` if a private key could not be opened.
    let key: KeyFacts?
    /// `nil` for a public key.
    let privateKey: InspectedKey?
    /// The certificates for the key that were read too.
    let certificates: [Certificate]

    init(_ key: PublicKey?, privateKey: InspectedKey? = nil, certificates: [Certificate]) {
        (self.key, self.privateKey, self.certificates) = (key.map(KeyFacts.init), privateKey, certificates)
    }

    /// Whether a private key is encrypted; `nil` if its container or device protects it, or if it is not known.
    private var isEncrypted: Bool? {
        guard let privateKey else { return nil }
        return privateKey.encryption != nil ? true : privateKey.isEnclosed || key == nil ? nil : false
    }

    var members: JSONMembers {
        [
            "kind": privateKey == nil ? "publicKey" : "privateKey", "form": privateKey?.form, "encrypted": isEncrypted,
            "encryption": privateKey?.encryption, "key": key, "problem": privateKey?.problem,
            "certificates": certificates.map(\.fingerprint),
        ]
    }

    func add(to fields: inout FieldList, whose: [String], hasCertificates: Bool) {
        fields.add("key", key?.name)
        fields.add("form", privateKey?.form)
        if let isEncrypted {
            fields.add(
                "encryption", isEncrypted ? privateKey?.encryption : "NONE: anyone who can read the file has the key")
        }
        fields.add("not opened", privateKey?.problem)
        fields.add("key of", whose.isEmpty && hasCertificates && key != nil ? ["none of the certificates"] : whose)
        fields.add("signs with", key.map { $0.signingAlgorithm ?? "no algorithm of IAM Roles Anywhere" })
        fields.add("SHA-256", key?.sha256)
    }
}

struct KeyFacts: Encodable, Sendable {
    /// `RSA`, `EC`, `ML-DSA`, or libcrypto's name.
    var algorithm: String
    var bits: Int?
    /// An elliptic curve, by libcrypto's name of it.
    var curve: String?
    var parameterSet: Int?
    /// For a person: `EC P-256`.
    var name: String
    /// SHA-256 of the SubjectPublicKeyInfo, in hexadecimal.
    var sha256: String
    var pem: String
    /// The signature algorithm in IAM Roles Anywhere; `nil` if it supports none for the key.
    var signingAlgorithm: String?

    init(_ key: PublicKey) {
        switch key.algorithm {
        case .rsa(let bits): (algorithm, self.bits) = ("RSA", bits)
        case .ec(let curve): (algorithm, self.curve) = ("EC", curve)
        case .mlDSA(let set): (algorithm, parameterSet) = ("ML-DSA", set)
        case .other(let name): algorithm = name
        }
        name = key.algorithm.description
        sha256 = hexadecimal(Digest.sha256.hash(key.derEncoded))
        pem = PEMDocument(label: "PUBLIC KEY", bytes: key.derEncoded).text
        signingAlgorithm = RequestSignature.name(for: key.algorithm)
    }
}

struct NameFacts: Encodable, Sendable {
    /// `DNS`, `IP`, `URI`, `email`, `dirName`, or the name of another kind.
    var kind: String
    /// The name; `nil` for a kind that is not read.
    var value: String?

    init(_ name: GeneralName) {
        if case .other(let kind) = name {
            self.kind = kind
            return
        }
        let text = name.description
        kind = String(text.prefix { $0 != ":" })
        value = String(text.dropFirst(kind.count + 1))
    }

    /// `DNS:web-1.example.com`
    var text: String { value.map { "\(kind):\($0)" } ?? kind }
}

/// What a report says of an extension that has no field of its own, and for a program of every one.
struct ExtensionFacts: Encodable, Sendable {
    var identifier: String
    /// libcrypto's short name.
    var name: String
    var critical: Bool
    /// The value in libcrypto's words.
    var text: String?
    /// The DER of the value, in hexadecimal.
    var value: String

    init(_ found: CertificateExtension) {
        identifier = found.identifier
        name = found.name
        critical = found.isCritical
        text = found.text
        value = hexadecimal(found.value)
    }

    /// The value for a person, in one line.
    var words: String { text ?? (value.count > 64 ? "\(value.prefix(64))…" : value) }
}

extension FieldList {
    /// Adds a signature's algorithm.
    mutating func add(_ signature: SignatureAlgorithm) {
        add("signature", signature.name + (signature.isWeak ? " (WEAK: AWS requires SHA-256 or stronger)" : ""))
    }

    /// Adds extensions that have no field of their own.
    mutating func add(_ label: String, _ extensions: [ExtensionFacts]) {
        add(label, extensions.map { "\($0.name)\($0.critical ? " (critical)" : ""): \($0.words)" })
    }
}

/// The part of an object in the report of `pki inspect` about a certificate request.
struct RequestReport: EncodableMembers, Sendable {
    let request: CertificateRequest
    /// The certificates for the same key that were read too.
    let certificates: [Certificate]

    private var sha256: String { hexadecimal(Digest.sha256.hash(request.derEncoded)) }

    var members: JSONMembers {
        [
            "kind": "certificateRequest",
            "subject": request.subject.description,
            "subjectAlternativeNames": request.subjectAlternativeNames.map(NameFacts.init),
            "key": KeyFacts(request.publicKey),
            "signatureAlgorithm": request.signatureAlgorithm.name,
            "signatureIsWeak": request.signatureAlgorithm.isWeak,
            "signatureIsGood": request.isSignedByItsKey,
            "extensions": request.extensions.map(ExtensionFacts.init),
            "sha256": sha256,
            "certificates": certificates.map(\.fingerprint),
            "pem": request.pemEncoded,
        ]
    }

    func add(to fields: inout FieldList, whose: [String]) {
        let (key, subject) = (KeyFacts(request.publicKey), request.subject.description)
        fields.add("subject", subject.isEmpty ? "(empty)" : subject)
        fields.add("names", request.subjectAlternativeNames.map { NameFacts($0).text })
        fields.add("key", key.name)
        fields.add(request.signatureAlgorithm)
        switch request.isSignedByItsKey {
        case true?: fields.add("", "made with the key in the request")
        case false?: fields.add("", "WRONG: it was not made with the key in the request")
        case nil: fields.add("", "it cannot be checked with this libcrypto")
        }
        let others = request.extensions.filter { $0.identifier != "2.5.29.17" }
        fields.add("asks for", others.map(ExtensionFacts.init))
        fields.add("certified in", whose)
        fields.add("SHA-256", sha256)
        fields.add("of the key", key.sha256)
    }
}

/// The part of an object in the report of `pki inspect` about a CRL.
struct RevocationListReport: EncodableMembers, Sendable {
    let list: CertificateRevocationList
    /// The issuer, if it was read too.
    let issuer: Certificate?
    let now: Date

    /// The number of entries that the text shows.
    private static let entryLimit = 10

    private var validity: Validity { Validity(of: now, from: list.thisUpdate, to: list.nextUpdate) }

    private var sha256: String { hexadecimal(Digest.sha256.hash(list.derEncoded)) }

    /// Every entry, the latest first.
    private var entries: [(serial: String, date: Date, reason: String?)] {
        list.entries.map { ($0.serialNumber.hexadecimal, $0.revocationDate, $0.reason?.name) }
            .sorted { ($1.date, $0.serial) < ($0.date, $1.serial) }
    }

    var members: JSONMembers {
        let pem = list.pemEncoded
        return [
            "kind": "revocationList",
            "version": list.version,
            "issuer": list.issuer.description,
            "thisUpdate": list.thisUpdate,
            "nextUpdate": list.nextUpdate,
            "validity": validity,
            "number": list.number?.decimal,
            "signatureAlgorithm": list.signatureAlgorithm.name,
            "signatureIsWeak": list.signatureAlgorithm.isWeak,
            "authorityKeyIdentifier": list.authorityKeyIdentifier.map { hexadecimal($0) },
            "revokedCount": list.revokedCount,
            "revoked": entries.map {
                ["serialNumber": $0.serial, "revocationDate": $0.date, "reason": $0.reason] as JSONMembers
            },
            "extensions": list.extensions.map(ExtensionFacts.init),
            "size": pem.utf8.count,
            "sizeLimit": AWSLimit.crlLength.maximum,
            "sha256": sha256,
            "issuedBy": issuer?.fingerprint,
            "pem": pem,
            "rolesAnywhere": AnywhereFacts(list),
        ]
    }

    func add(to fields: inout FieldList, signer: String?) {
        let issuer = list.issuer.description
        fields.add("issuer", issuer.isEmpty ? "(empty)" : issuer)
        fields.add("signed by", signer)
        let made = CivilTime(list.thisUpdate).extended
        fields.add("made", validity == .notYetValid ? "\(made), IN THE FUTURE" : made)
        fields.add("next", nextText)
        fields.add("number", list.number?.decimal)
        fields.add(list.signatureAlgorithm)
        if list.version != 2 { fields.add("version", "\(list.version)") }
        fields.add("issuer's key", list.authorityKeyIdentifier.map { hexadecimal($0) })
        let others = list.extensions.filter { !["2.5.29.20", "2.5.29.35"].contains($0.identifier) }
        fields.add("other", others.map(ExtensionFacts.init))
        fields.add("revoked", "\(list.revokedCount)")
        for entry in entries.prefix(Self.entryLimit) {
            let reason = entry.reason.map { ", \($0)" } ?? ""
            fields.add("", "\(entry.serial) at \(CivilTime(entry.date).extended)\(reason)")
        }
        if list.revokedCount > Self.entryLimit {
            fields.add("", "… and \(list.revokedCount - Self.entryLimit) more, which --format json lists")
        }
        fields.add("size", "\(list.pemEncoded.utf8.count) bytes in PEM; AWS accepts \(AWSLimit.crlLength.maximum)")
        fields.add("SHA-256", sha256)
        AnywhereFacts(list).add(to: &fields)
    }

    private var nextText: String {
        guard let nextUpdate = list.nextUpdate else { return "not given" }
        let span = Validity.span(nextUpdate.timeIntervalSince(now))
        return "\(CivilTime(nextUpdate).extended), \(validity == .expired ? "STALE since \(span)" : "in \(span)")"
    }
}
