// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import SystemSupport

/// What every signature of AWS's version 4 has to keep, whatever the key.
///
/// Source: AWS, *IAM User Guide*, "Elements of an AWS API request signature".
struct SignatureRules: Sendable {
    /// How far a request's date may be from the lab's. AWS: "within five minutes of the time stamp in the request". 15
    /// minutes are S3's.
    static let tolerance = 300.0

    private static let forbiddenHeaders: Set<String> = ["authorization", "user-agent", "x-amzn-trace-id"]

    var dialect: SignatureDialect
    /// The headers that must be signed.
    var requiredHeaders: [String]
    /// The headers that must be signed when they are sent.
    var optionalHeaders: [String]
    var services: [String]
    /// The regions that the scope may name, the lab's own first.
    var regions: [String]

    func checkSignedHeaders(_ names: [String], _ headers: HTTPHeaders) throws -> String {
        guard zip(names, names.dropFirst()).allSatisfy({ $0.utf8.lexicographicallyPrecedes($1.utf8) }) else {
            throw dialect.refusal(.invalid, "the signed headers are not sorted, or one is named twice")
        }
        guard names.allSatisfy({ $0 == $0.lowercased() }) else {
            throw dialect.refusal(.invalid, "the signed headers are not in lower case")
        }
        let required = requiredHeaders + optionalHeaders.filter { headers.contains($0) }
        for name in required where !names.contains(name) {
            throw dialect.refusal(
                .invalid,
                "the header \(name) is not signed",
                hint: "sign \(required.joined(separator: ";"))"
            )
        }
        for name in names where Self.forbiddenHeaders.contains(name) {
            throw dialect.refusal(
                .invalid,
                "the header \(name) is signed",
                hint: "leave it out: it may change on the way"
            )
        }
        for name in names where !headers.contains(name) {
            throw dialect.refusal(.invalid, "the header \(name) is signed and was not received")
        }
        return names.joined(separator: ";")
    }

    func checkDate(_ header: String?, at now: Date) throws -> (RequestMoment, String) {
        guard let moment = RequestMoment(header ?? "") else {
            throw dialect.refusal(.invalid, "X-Amz-Date is \"\((header ?? "").prefix(40))\", not YYYYMMDDTHHMMSSZ")
        }
        let difference = moment.date.timeIntervalSince(now)
        guard abs(difference) <= Self.tolerance else {
            throw dialect.refusal(
                .invalid,
                "the request was signed \(Int(abs(difference))) s \(difference < 0 ? "ago" : "ahead of the service's time")",
                hint: "set the clock: at most \(Int(Self.tolerance)) s are granted"
            )
        }
        return (moment, moment.text)
    }

    func checkScope(_ authorization: AuthorizationHeader, _ moment: RequestMoment) throws -> String {
        guard authorization.date == moment.day else {
            throw dialect.refusal(.invalid, "the scope's day is \(authorization.date), X-Amz-Date's \(moment.day)")
        }
        guard regions.contains(authorization.region) else {
            throw dialect.refusal(
                .invalid,
                "the scope's region is \"\(authorization.region)\", this is \(regions.first ?? "")",
                hint: "sign for the region of the endpoint, or start the lab with "
                    + Quoting.shell("--region=\(authorization.region)")
            )
        }
        guard services.contains(authorization.service), authorization.terminator == "aws4_request" else {
            throw dialect.refusal(
                .invalid,
                "the scope ends in \(authorization.service)/\(authorization.terminator)",
                hint: "it should end in \(services.joined(separator: " or "))/aws4_request"
            )
        }
        return "\(authorization.date)/\(authorization.region)"
    }

    /// Checks the signature itself. When it does not fit, the trace shows what the lab made of the request, and what the
    /// client did where that can be found.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - query: The parameters of its query, decoded.
    ///   - authorization: What its `Authorization` says.
    ///   - moment: When it was signed.
    ///   - form: How the service makes the canonical request.
    ///   - signer: Whose signature it should be, and what to look at when it is not.
    ///   - trace: Takes the check.
    ///   - isSigned: Whether the signature is one over these bytes.
    /// - Throws: ``ServiceRefusal``.
    func checkSignature(
        of request: HTTPRequest,
        query: [QueryParameter],
        _ authorization: AuthorizationHeader,
        _ moment: RequestMoment,
        form: CanonicalRequest.Form,
        signer: (name: String, hint: String),
        _ trace: inout Trace,
        isSigned: ([UInt8]) -> Bool
    ) throws {
        func fits(_ canonical: CanonicalRequest) -> Bool {
            isSigned(canonical.stringToSign(authorization, date: moment.text))
        }
        let names = authorization.signedHeaders
        let isValid = fits(CanonicalRequest(request, query: query, signedHeaders: names, form: form))
        if !isValid {
            trace.canonicalRequest = CanonicalComparison(
                request,
                query: query,
                signedHeaders: names,
                form: form,
                isSigned: fits
            )
        }
        let difference = trace.canonicalRequest?.difference
        try trace.run(.signature) {
            guard isValid else {
                throw dialect.refusal(
                    .invalid,
                    difference ?? "the signature is not the \(signer.name) over this request",
                    hint: difference == nil
                        ? "\(signer.hint), and compare the canonical request"
                        : "sign the canonical request as the lab makes it"
                )
            }
            return authorization.algorithm
        }
    }
}
