// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// A question about the status of certificates (RFC 6960 §4.1).
///
/// A signature on it is not looked at, as the RFC allows: nothing depends on who asks.
package struct OCSPRequest: Sendable {
    /// Names one certificate by its issuer and serial number.
    package struct CertificateID: Hashable, Sendable {
        package let digest: OCSPDigest
        package let issuerNameHash: [UInt8]
        package let issuerKeyHash: [UInt8]
        package let serialNumber: SerialNumber
        /// The CertID as it was received; the answer repeats it.
        package let derEncoded: [UInt8]

        package static func == (left: Self, right: Self) -> Bool { left.derEncoded == right.derEncoded }
        package func hash(into hasher: inout Hasher) { hasher.combine(derEncoded) }
    }

    /// The most certificates that one request may ask for.
    package static let mostCertificates = 100
    /// The longest nonce (RFC 9654 §2.1).
    package static let longestNonce = 128

    /// The certificates, at least one.
    package let certificates: [CertificateID]
    /// What the answer repeats, so that it cannot be an old one; `nil` if the client does not ask for that.
    package let nonce: [UInt8]?

    /// Reads a request, which must be DER. Throws ``CertificateErrorCode/malformed`` also for what RFC 6960 lets a
    /// responder refuse: unknown critical extensions, a nonce of a wrong length, more certificates than
    /// ``mostCertificates``.
    package init(derEncoded bytes: [UInt8]) throws(CertificateError) {
        if let defect = DER.defect(in: bytes[...]) { throw Self.malformed(defect) }
        guard let outer = DER.elements(inSequence: bytes), (1...2).contains(outer.count),
            outer[0].tag == DER.sequence, outer.count == 1 || outer[1].tag == DER.constructed(0),
            var fields = DER.elements(in: outer[0].contents)
        else { throw Self.malformed("it is not an OCSPRequest") }
        if fields.first?.tag == DER.constructed(0) {
            guard fields.removeFirst().contents.elementsEqual([DER.integer, 1, 0]) else {
                throw Self.malformed("its version is not 1")
            }
        }
        if fields.first?.tag == DER.constructed(1) { fields.removeFirst() }
        guard let list = fields.first, list.tag == DER.sequence, let requests = DER.elements(in: list.contents),
            (1...Self.mostCertificates).contains(requests.count)
        else { throw Self.malformed("it does not ask for 1 to \(Self.mostCertificates) certificates") }
        fields.removeFirst()
        var certificates: [CertificateID] = []
        for request in requests { certificates.append(try Self.certificate(request)) }
        self.certificates = certificates
        guard fields.count <= 1, fields.allSatisfy({ $0.tag == DER.constructed(2) }) else {
            throw Self.malformed("it has a field that an OCSPRequest has not")
        }
        nonce =
            try fields.first.map { (field) throws(CertificateError) in try Self.nonce(inExtensions: field.contents) }
            ?? nil
    }

    private static func certificate(_ request: DER.Element) throws(CertificateError) -> CertificateID {
        guard request.tag == DER.sequence, let parts = DER.elements(in: request.contents),
            (1...2).contains(parts.count),
            parts[0].tag == DER.sequence, let fields = DER.elements(in: parts[0].contents), fields.count == 4,
            fields[0].tag == DER.sequence, fields[1].tag == DER.octetString, fields[2].tag == DER.octetString,
            fields[3].tag == DER.integer, let serialNumber = SerialNumber(derContents: fields[3].contents)
        else { throw malformed("a CertID is malformed") }
        if let extensions = parts.dropFirst().first {
            guard extensions.tag == DER.constructed(0) else { throw malformed("a Request has an unknown field") }
            guard try nonce(inExtensions: extensions.contents) == nil else {
                throw malformed("a nonce belongs to the whole request")
            }
        }
        let identifier = CertificateID(
            digest: try OCSPDigest(identifier: fields[0].contents), issuerNameHash: Array(fields[1].contents),
            issuerKeyHash: Array(fields[2].contents), serialNumber: serialNumber,
            derEncoded: Array(parts[0].encoding))
        return identifier
    }

    /// The nonce among the extensions of a request; `nil` if there is none.
    private static func nonce(inExtensions bytes: ArraySlice<UInt8>) throws(CertificateError) -> [UInt8]? {
        guard let extensions = DER.elements(in: DER.sequence, bytes), !extensions.isEmpty else {
            throw malformed("its extensions are malformed")
        }
        var nonce: [UInt8]?
        for one in extensions {
            guard one.tag == DER.sequence, let fields = DER.elements(in: one.contents), (2...3).contains(fields.count),
                fields[0].tag == DER.identifier, let value = fields.last, value.tag == DER.octetString,
                fields.count == 2 || fields[1].tag == DER.boolean
            else { throw malformed("an extension is malformed") }
            let isCritical = fields.count == 3 && fields[1].contents.first != 0
            guard fields[0].encoding.elementsEqual(OCSPIdentifier.nonce) else {
                guard !isCritical else { throw malformed("it has a critical extension that is not known here") }
                continue
            }
            guard nonce == nil, let inner = DER.elements(in: value.contents), inner.count == 1,
                inner[0].tag == DER.octetString, (1...longestNonce).contains(inner[0].contents.count)
            else { throw malformed("the nonce does not have 1 to \(longestNonce) octets") }
            nonce = Array(inner[0].contents)
        }
        return nonce
    }

    private static func malformed(_ what: String) -> CertificateError {
        CertificateError(.malformed, "the OCSP request cannot be read: \(what)")
    }
}

/// The hash functions by which a CertID names the issuer.
package enum OCSPDigest: Hashable, Sendable, CaseIterable {
    case sha1, sha256
    /// One that this responder does not know, so that the issuer is not known either.
    case other

    /// Reads what is in an AlgorithmIdentifier. Parameters are absent or NULL for all hash functions.
    fileprivate init(identifier: ArraySlice<UInt8>) throws(CertificateError) {
        guard let fields = DER.elements(in: identifier), (1...2).contains(fields.count),
            fields[0].tag == DER.identifier, fields.count == 1 || fields[1].encoding.elementsEqual([0x05, 0x00])
        else { throw CertificateError(.malformed, "the hash function of a CertID is malformed") }
        self =
            if fields[0].encoding.elementsEqual(OCSPIdentifier.sha1) {
                .sha1
            } else if fields[0].encoding.elementsEqual(OCSPIdentifier.sha256) {
                .sha256
            } else {
                .other
            }
    }

    private func hash(_ bytes: [UInt8]) -> [UInt8]? {
        switch self {
        case .sha1: Certificates.sha1(bytes)
        case .sha256: Digest.sha256.hash(bytes)
        case .other: nil
        }
    }

    /// The hashes by which requests name a CA: of its name, and of its key without tag, length and unused bits.
    func issuer(_ certificate: Certificate) -> (name: [UInt8], key: [UInt8])? {
        guard let parts = DER.elements(inSequence: certificate.publicKey.derEncoded), parts.count == 2,
            let name = hash(certificate.subject.derEncoded), let key = hash(Array(parts[1].contents.dropFirst()))
        else { return nil }
        return (name, key)
    }
}

/// The object identifiers of OCSP, encoded.
enum OCSPIdentifier {
    static let nonce = DER.objectIdentifier("1.3.6.1.5.5.7.48.1.2")
    static let basicResponse = DER.objectIdentifier("1.3.6.1.5.5.7.48.1.1")
    static let sha1 = DER.objectIdentifier("1.3.14.3.2.26")
    static let sha256 = DER.objectIdentifier("2.16.840.1.101.3.4.2.1")
}
