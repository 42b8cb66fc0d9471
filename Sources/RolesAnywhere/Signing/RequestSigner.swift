// SPDX-License-Identifier: Apache-2.0

import AWSModel
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

    /// Creates a signer.
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
            algorithm: try Self.algorithm(for: identity.key.publicKey.algorithm), region: region,
            service: Endpoint.Service.rolesAnywhere.name, time: CivilTime(date))
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
        guard let name = RequestSignature.name(for: key) else {
            throw RolesAnywhereError(
                .unusableIdentity, "IAM Roles Anywhere knows no signatures by a key of the kind \(key)",
                hint: "use a certificate with an RSA, EC or ML-DSA key")
        }
        return name
    }
}

/// Signs requests with session credentials: Signature Version 4 as every service of AWS takes it.
///
/// It reads no clock: equal requests, credentials and dates make equal signatures.
struct CredentialsSigner {
    /// The region that the signature is for.
    let region: String

    /// The service that the signature is for.
    let service: Endpoint.Service

    private static let tokenField = "X-Amz-Security-Token"

    /// Signs a request.
    func sign(_ request: HTTPRequest, with credentials: SessionCredentials, at date: Date) throws -> SignedRequest {
        let signature = SignatureVersion4(
            algorithm: "AWS4-HMAC-SHA256", region: region, service: service.name, time: CivilTime(date))
        return try signature.sign(
            request, adding: [Self.tokenField: credentials.sessionToken], hiding: [Self.tokenField],
            by: credentials.accessKeyID
        ) { text in
            let key = signature.scope.split(separator: "/")
                .reduce(Array("AWS4\(credentials.secretAccessKey)".utf8)) {
                    HMACSHA256.code($1.utf8, key: $0)
                }
            return HMACSHA256.code(text.utf8, key: key)
        }
    }
}

/// The steps of Signature Version 4: brings the request into one form, names the scope, writes the header field
/// (IAM User Guide, "Create a signed AWS API request").
struct SignatureVersion4 {
    /// The name of the signature.
    let algorithm: String

    /// The region that the signature is for.
    let region: String

    /// The service that the signature is for, as signatures name it.
    let service: String

    /// The time that the signature names.
    let time: CivilTime

    /// What the signer's name is followed by: day, region and service.
    var scope: String { "\(time.basicDay)/\(region)/\(service)/aws4_request" }

    /// Signs a request: its method, address, content and `Content-Type`, with the header fields that are added.
    func sign(
        _ request: HTTPRequest, adding proofs: HTTPHeaders, hiding secrets: Set<String> = [], by signer: String,
        _ sign: (String) throws -> [UInt8]
    ) throws -> SignedRequest {
        var added: HTTPHeaders = ["Host": request.url.authority, "X-Amz-Date": time.basic]
        for field in proofs.fields { added.add(field.name, field.value) }
        var toSign = added
        if let type = request.headers["Content-Type"] { toSign.add("Content-Type", type) }

        let canonical = CanonicalRequest(request, signing: toSign)
        let hash = hexadecimal(Digest.sha256.hash(Array(canonical.text.utf8)))
        let stringToSign = [algorithm, time.basic, scope, hash].joined(separator: "\n")
        let signature = hexadecimal(try sign(stringToSign))

        var signed = request
        for field in added.fields { signed.headers.add(field.name, field.value) }
        signed.headers.add(
            "Authorization",
            "\(algorithm) Credential=\(signer)/\(scope), SignedHeaders=\(canonical.signedHeaders), Signature=\(signature)"
        )
        var shown: HTTPHeaders = [:]
        for field in toSign.fields { shown.add(field.name, secrets.contains(field.name) ? "<redacted>" : field.value) }
        return SignedRequest(
            request: signed,
            canonicalRequest: secrets.isEmpty ? canonical.text : CanonicalRequest(request, signing: shown).text,
            stringToSign: stringToSign)
    }
}

/// A request that can be sent, and the texts that were signed, which hold no secret.
public struct SignedRequest: Hashable, Sendable {
    /// What to send, as it is.
    public let request: HTTPRequest

    /// The form that both sides bring the request into, with `<redacted>` for a session token.
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
