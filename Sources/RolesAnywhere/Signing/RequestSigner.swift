// SPDX-License-Identifier: Apache-2.0

import Certificates
public import FoundationEssentials
import SystemSupport

/// Signs requests with the key of a certificate: Signature Version 4 with X.509
/// (IAM Roles Anywhere User Guide, "Signing process for CreateSession").
///
/// It reads no clock and no file: equal requests, identities and dates make equal strings to sign. Signatures differ
/// all the same for EC and ML-DSA keys, which draw a random number for each.
public struct RequestSigner: Sendable {
    /// The region that the signature is for.
    public let region: String

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
        let signature = SignatureVersion4(
            algorithm: try Self.algorithm(for: identity.key.publicKey.algorithm),
            region: region,
            service: Endpoint.Service.rolesAnywhere.name,
            time: CivilTime(date)
        )
        var proofs: HTTPHeaders = ["X-Amz-X509": Data(identity.certificate.derEncoded).base64EncodedString()]
        if !identity.intermediates.isEmpty {
            let chain = identity.intermediates.map { Data($0.derEncoded).base64EncodedString() }
            proofs.add("X-Amz-X509-Chain", chain.joined(separator: ","))
        }
        return try signature.sign(request, adding: proofs, by: identity.certificate.serialNumber.decimal) { text in
            try identity.key.signature(for: Array(text.utf8), digest: .sha256)
        }
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
                hint: "use a certificate with an RSA, EC or ML-DSA key"
            )
        }
    }
}
