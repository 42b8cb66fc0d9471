// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// What Signature Version 4 does whoever signs: brings the request into one form, names the scope, writes the header field
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
    ///
    /// - Parameters:
    ///   - request: What to sign.
    ///   - proofs: The header fields that say who signs; `Host` and `X-Amz-Date` come in front of them.
    ///   - secrets: Names of those whose values the texts beside the request must not show.
    ///   - signer: What stands for the signer in front of the scope.
    ///   - sign: Makes the signature of the string to sign.
    /// - Returns: The request to send, and the texts that led to its signature.
    /// - Throws: What the closure throws.
    func sign(
        _ request: HTTPRequest,
        adding proofs: HTTPHeaders,
        hiding secrets: Set<String> = [],
        by signer: String,
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
            stringToSign: stringToSign
        )
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
