// SPDX-License-Identifier: Apache-2.0

import Certificates
public import FoundationEssentials

/// Signs requests with the key of a certificate: Signature Version 4 with X.509
/// (IAM Roles Anywhere User Guide, "Signing process for CreateSession").
///
/// It reads no clock and no file: equal requests, identities and dates make equal strings to sign. Signatures differ
/// all the same for EC and ML-DSA keys, which draw a random number for each.
public struct RequestSigner: Sendable {
    /// The region that the signature is for.
    public let region: String

    /// The service that the signature is for.
    static let service = "rolesanywhere"

    /// Makes a signer.
    ///
    /// - Parameter region: The region that the signature is for.
    public init(region: String) {
        self.region = region
    }

    /// Signs a request.
    ///
    /// - Parameters:
    ///   - request: What to sign, with its `Content-Type`. The header fields `Host`, `X-Amz-Date`, `X-Amz-X509`,
    ///     `X-Amz-X509-Chain` and `Authorization` are added here; others stay and are not signed.
    ///   - identity: Whose key signs, and which certificates go along.
    ///   - date: The time that the signature names. The service takes it for five minutes.
    /// - Returns: The request to send, and the texts that led to its signature.
    /// - Throws: ``RolesAnywhereError`` when the kind of key has no signature in Roles Anywhere, or what the key throws
    ///   when it cannot sign.
    public func sign(_ request: HTTPRequest, as identity: Identity, at date: Date) throws -> SignedRequest {
        let algorithm = try Self.algorithm(for: identity.key.publicKey.algorithm)
        let time = CivilTime(date)

        var added: HTTPHeaders = ["Host": request.url.authority, "X-Amz-Date": time.basic]
        added.add("X-Amz-X509", Data(identity.certificate.derEncoded).base64EncodedString())
        if !identity.intermediates.isEmpty {
            let chain = identity.intermediates.map { Data($0.derEncoded).base64EncodedString() }
            added.add("X-Amz-X509-Chain", chain.joined(separator: ","))
        }
        var toSign = added
        if let type = request.headers["Content-Type"] { toSign.add("Content-Type", type) }

        let canonical = CanonicalRequest(request, signing: toSign)
        let scope = "\(time.basicDay)/\(region)/\(Self.service)/aws4_request"
        let hash = hexadecimal(Digest.sha256.hash(Array(canonical.text.utf8)))
        let stringToSign = [algorithm, time.basic, scope, hash].joined(separator: "\n")
        let signature = try identity.key.signature(for: Array(stringToSign.utf8), digest: .sha256)

        let serial = identity.certificate.serialNumber.decimal
        var signed = request
        for field in added.fields { signed.headers.add(field.name, field.value) }
        signed.headers.add(
            "Authorization",
            "\(algorithm) Credential=\(serial)/\(scope), SignedHeaders=\(canonical.signedHeaders), "
                + "Signature=\(hexadecimal(signature))"
        )
        return SignedRequest(request: signed, canonicalRequest: canonical.text, stringToSign: stringToSign)
    }

    /// The name of the signature, which follows the kind of key and never the certificate's own signature.
    static func algorithm(for key: KeyAlgorithm) throws(RolesAnywhereError) -> String {
        switch key {
        case .rsa: return "AWS4-X509-RSA-SHA256"
        case .ec: return "AWS4-X509-ECDSA-SHA256"
        case .mlDSA: return "AWS4-X509-MLDSA"
        case .other(let name):
            throw RolesAnywhereError(
                .unusableIdentity,
                "IAM Roles Anywhere knows no signatures by a key of the kind \(name)",
                remedy: "use a certificate with an RSA, EC or ML-DSA key"
            )
        }
    }
}

/// A request that can be sent, and the texts that were signed, which hold no secret.
public struct SignedRequest: Hashable, Sendable {
    /// What to send, as it is.
    public let request: HTTPRequest

    /// The form that both sides bring the request into.
    public let canonicalRequest: String

    /// What the key signed.
    public let stringToSign: String
}

/// The form of a request that both sides hash.
struct CanonicalRequest {
    /// The form itself.
    let text: String

    /// The names of the signed header fields in lower case, sorted, with `;` in between.
    let signedHeaders: String

    /// Brings a request into its form.
    ///
    /// - Parameters:
    ///   - request: Method, address and content.
    ///   - headers: The header fields to sign.
    init(_ request: HTTPRequest, signing headers: HTTPHeaders) {
        let fields = headers.fields.map { (name: $0.name.lowercased(), value: Self.collapsed($0.value)) }
            .sorted { utf8Precedes($0.name, $1.name) }
        signedHeaders = fields.map(\.name).joined(separator: ";")
        text = [
            request.method,
            request.url.path.isEmpty ? "/" : request.url.path,
            request.url.encodedQuery,
            fields.map { "\($0.name):\($0.value)\n" }.joined(),
            signedHeaders,
            hexadecimal(Digest.sha256.hash(request.body)),
        ].joined(separator: "\n")
    }

    /// A value with each run of blanks inside made one.
    private static func collapsed(_ value: String) -> String {
        value.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
    }
}
