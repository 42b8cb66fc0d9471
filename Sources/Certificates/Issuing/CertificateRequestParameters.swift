// SPDX-License-Identifier: Apache-2.0

/// What a certificate request asks for, until it is signed (RFC 2986).
public struct CertificateRequestParameters: Sendable {
    /// The subject; may be empty.
    public var subject: DistinguishedName

    /// The alternative names; without any, the request has no extensions.
    public var subjectAlternativeNames: [GeneralName]

    /// Creates parameters.
    public init(subject: DistinguishedName, subjectAlternativeNames: [GeneralName] = []) {
        self.subject = subject
        self.subjectAlternativeNames = subjectAlternativeNames
    }

    /// Returns a request for a certificate of a key, which signs it. `name` is the request's name in messages. Throws
    /// ``CertificateError`` if a name cannot be written or the key cannot sign.
    public func signed(by key: any SigningKey, name: String) throws -> CertificateRequest {
        var attributes: [[UInt8]] = []
        if !subjectAlternativeNames.isEmpty {
            let names = try CertificateExtension(subjectAlternativeNames, isCritical: subject.isEmpty)
            attributes.append(
                DER.sequence([
                    DER.objectIdentifier("1.2.840.113549.1.9.14"), DER.set(of: [DER.sequence([names.derEncoded])]),
                ]))
        }
        let algorithm = try SignatureIdentifier(for: key.publicKey.algorithm)
        let toBeSigned = DER.sequence([
            DER.unsignedInteger([]), subject.derEncoded, key.publicKey.derEncoded,
            DER.encode(DER.constructed(0), attributes.flatMap(\.self)),
        ])
        let signature = try key.signature(for: toBeSigned, digest: algorithm.digest)
        return try CertificateRequest(
            derEncoded: DER.sequence([toBeSigned, algorithm.derEncoded, DER.bitString(signature)]), name: name)
    }
}
