// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date
import SystemSupport

/// What a responder says of one certificate (RFC 6960 §2.2).
package enum OCSPStatus: Hashable, Sendable {
    case good
    case revoked(at: Date, RevocationReason)
    /// The CA did not issue it, or is not the responder's.
    case unknown

    /// The CertStatus in DER.
    fileprivate func encoded() throws(CertificateError) -> [UInt8] {
        switch self {
        case .good: return DER.encode(DER.implicit(0), [])
        case .unknown: return DER.encode(DER.implicit(2), [])
        case .revoked(let date, let reason):
            var information: [UInt8] = []
            try DER.append(generalizedTime: date, to: &information)
            if reason != .unspecified {
                let code = DER.encode(DER.enumerated, [UInt8(truncatingIfNeeded: reason.rawValue)])
                DER.append(DER.constructed(0), code, to: &information)
            }
            return DER.encode(DER.constructed(1), information)
        }
    }
}

/// What a responder says of one certificate, and for how long.
package struct OCSPAnswer: Sendable {
    package let certificate: OCSPRequest.CertificateID
    package let status: OCSPStatus
    /// When this was right.
    package let thisUpdate: Date
    /// Until when it may be relied on.
    package let nextUpdate: Date

    package init(
        certificate: OCSPRequest.CertificateID, status: OCSPStatus, thisUpdate: Date, nextUpdate: Date
    ) {
        self.certificate = certificate
        self.status = status
        self.thisUpdate = thisUpdate
        self.nextUpdate = nextUpdate
    }

    fileprivate func encoded() throws(CertificateError) -> [UInt8] {
        var times: [UInt8] = []
        try DER.append(generalizedTime: thisUpdate, to: &times)
        var next: [UInt8] = []
        try DER.append(generalizedTime: nextUpdate, to: &next)
        DER.append(DER.constructed(0), next, to: &times)
        return DER.encode(DER.sequence, certificate.derEncoded + (try status.encoded()) + times)
    }
}

/// Why a request gets no answer (RFC 6960 §4.2.1). Such a response is not signed.
package enum OCSPRefusal: UInt8, Sendable {
    case malformedRequest = 1
    case internalError = 2
    case tryLater = 3
    /// None of the certificates is of a CA that this responder answers for.
    case unauthorized = 6

    package var derEncoded: [UInt8] { DER.sequence([DER.encode(DER.enumerated, [rawValue])]) }
}

/// Signs answers for a CA by a key that the CA has certified for that (RFC 6960 §4.2.2.2).
package struct OCSPSigner: Sendable {
    package let certificate: Certificate
    private let key: any SigningKey
    private let algorithm: SignatureIdentifier
    private let responder: [UInt8]
    private let certificates: [UInt8]
    private let issuer: [OCSPDigest: (name: [UInt8], key: [UInt8])]

    /// - Parameters:
    ///   - issuer: The CA whose certificates are answered for.
    ///   - certificate: The certificate of the key, by the same CA.
    ///   - key: The key.
    package init(issuer: Certificate, certificate: Certificate, key: any SigningKey) throws {
        guard key.publicKey == certificate.publicKey else {
            throw CertificateError(.mismatch, "the OCSP key is not the key in its certificate (\(certificate.subject))")
        }
        self.certificate = certificate
        self.key = key
        algorithm = try SignatureIdentifier(for: key.publicKey.algorithm)
        responder = DER.encode(
            DER.constructed(2), DER.encode(DER.octetString, try certificate.publicKey.keyIdentifier()))
        certificates = DER.encode(DER.constructed(0), DER.sequence([certificate.derEncoded]))
        self.issuer = OCSPDigest.allCases.reduce(into: [:]) { $0[$1] = $1.issuer(issuer) }
    }

    /// Whether a request means a certificate of the CA.
    package func answers(for certificate: OCSPRequest.CertificateID) -> Bool {
        guard let issuer = issuer[certificate.digest] else { return false }
        return issuer.name == certificate.issuerNameHash && issuer.key == certificate.issuerKeyHash
    }

    /// The response with these answers, signed.
    package func response(_ answers: [OCSPAnswer], nonce: [UInt8]?, producedAt: Date) throws -> [UInt8] {
        var data = responder
        try DER.append(generalizedTime: producedAt, to: &data)
        var list: [UInt8] = []
        for answer in answers { list += try answer.encoded() }
        DER.append(DER.sequence, list, to: &data)
        if let nonce {
            let value = DER.encode(DER.octetString, DER.encode(DER.octetString, nonce))
            let extensions = DER.sequence([DER.sequence([OCSPIdentifier.nonce, value])])
            DER.append(DER.constructed(1), extensions, to: &data)
        }
        let toBeSigned = DER.encode(DER.sequence, data)
        let signature = try key.signature(for: toBeSigned, digest: algorithm.digest)
        let basic = DER.sequence([toBeSigned, algorithm.derEncoded, DER.bitString(signature), certificates])
        let bytes = DER.sequence([OCSPIdentifier.basicResponse, DER.encode(DER.octetString, basic)])
        return DER.sequence([DER.encode(DER.enumerated, [0]), DER.encode(DER.constructed(0), bytes)])
    }
}
