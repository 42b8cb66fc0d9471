// SPDX-License-Identifier: Apache-2.0

import HTTPService

/// The canonical request that the lab made, and beside it the one that the client must have signed, where it can be found.
///
/// A signature says nothing about what was signed. But what clients do wrong is known: each fault is tried, and when the
/// signature fits what it gives, the client made that fault.
package struct CanonicalComparison: Sendable, Hashable {
    /// What the lab made of what it received.
    package let lab: String

    /// What the client signed; nothing when none of the known faults explains the signature.
    package let client: String?

    /// What the client did.
    package let difference: String?

    private static let suspects: [(form: CanonicalRequest.Form, words: String)] = [
        (.init(path: .asReceived), "the client did not encode the path once more"),
        (.init(path: .encodedAgain), "the client encoded the path once more"),
        (.init(path: .root), "the client signed the path \"/\""),
        (.init(query: .asReceived), "the client signed the query as it stands, neither sorted nor encoded"),
        (.init(query: .blanksAsPlus), "the client encoded blanks in the query as \"+\", not as \"%20\""),
        (.init(query: .absent), "the client left the query out"),
        (.init(host: .withoutPort), "the client signed the host without its port"),
        (.init(body: .empty), "the client signed the hash of an empty body"),
        (.init(body: .unsigned), "the client signed UNSIGNED-PAYLOAD in the place of the body's hash"),
        (.init(collapsesBlanks: false), "the client did not make blanks in a row into one"),
        (.init(endsHeadersWithBlankLine: false), "the client left out the empty line behind the headers"),
    ]

    /// Looks for what the client signed.
    ///
    /// - Parameters:
    ///   - request: The request as received.
    ///   - query: The parameters of its query, decoded.
    ///   - signedHeaders: The names of the headers that were signed.
    ///   - form: How the service makes the text.
    ///   - isSigned: Whether the signature is one over this canonical request.
    init(
        _ request: HTTPRequest,
        query: [QueryParameter],
        signedHeaders: [String],
        form: CanonicalRequest.Form,
        isSigned: (CanonicalRequest) -> Bool
    ) {
        let own = CanonicalRequest(request, query: query, signedHeaders: signedHeaders, form: form)
        lab = Self.shown(own)
        for (suspect, words) in Self.suspects {
            var suspect = suspect
            if suspect.path == .asReceived, suspect != .standard { suspect.path = form.path }
            let candidate = CanonicalRequest(request, query: query, signedHeaders: signedHeaders, form: suspect)
            guard candidate.bytes != own.bytes, isSigned(candidate) else { continue }
            client = Self.shown(candidate)
            difference = words
            return
        }
        client = nil
        difference = nil
    }

    /// The text without the session token, which is a secret: its beginning tells whether it is the right one.
    private static func shown(_ canonical: CanonicalRequest) -> String {
        let name = "x-amz-security-token:"
        return canonical.text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.hasPrefix(name) ? "\($0.prefix(name.count + 16))…" : $0 }
            .joined(separator: "\n")
    }
}
