// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RolesAnywhere

struct ServiceErrorTests {
    @Test func `a session in an answer that is no success is not repeated`() {
        let body = "<R><SecretAccessKey>a-SECRET</SecretAccessKey><SessionToken>t-SECRET</SessionToken></R>"
        let error = ServiceError(HTTPResponse(status: 403, headers: [:], body: Array(body.utf8)))
        #expect(error.text == nil)
        #expect(!"\(error)".contains("SECRET"))
    }

    @Test(
        arguments: [
            (["X-Amzn-ErrorType": "AccessDeniedException"], "{}"),
            (["x-amzn-errortype": "AccessDeniedException:http://internal.amazon.com/coral/"], "{}"),
            (["X-Amzn-ErrorType": "com.amazonaws.rolesanywhere#AccessDeniedException:http://x/"], "{}"),
            (["X-Amzn-ErrorType": "AccessDeniedException"], #"{"code":"Other"}"#),
            ([:], #"{"code":"AccessDeniedException"}"#),
            ([:], #"{"__type":"com.amazonaws.rolesanywhere#AccessDeniedException"}"#),
            ([:], #"{"code":"AccessDeniedException","__type":"Other"}"#),
            (["X-Amzn-ErrorType": " : "], #"{"__type":"AccessDeniedException"}"#),
        ] as [(HTTPHeaders, String)]
    )
    func `the code is found wherever it stands`(headers: HTTPHeaders, body: String) {
        let error = ServiceError(HTTPResponse(status: 403, headers: headers, body: Array(body.utf8)))
        #expect(error.code == "AccessDeniedException")
        #expect(error.status == 403)
    }

    @Test(
        arguments: [
            (#"{"message":"Invalid signature"}"#, "Invalid signature"),
            (#"{"Message":"Invalid signature"}"#, "Invalid signature"),
            (#"{"message":null,"Message":"Invalid signature","more":{"x":[1]}}"#, "Invalid signature"),
            (#"{"message":"Ünïcode \"quoted\"\nline"}"#, "Ünïcode \"quoted\"\nline"),
            (#"{"code":"X"}"#, nil),
            ("", nil),
            ("  \n ", nil),
            ("<html>\n  <body>Blocked   by proxy</body>\r\n</html>", "<html> <body>Blocked by proxy</body> </html>"),
            ("[1,2]", "[1,2]"),
            (#"{"message":5}"#, #"{"message":5}"#),
        ] as [(String, String?)]
    )
    func `the text is kept verbatim, and what is not JSON is shown on one line`(body: String, text: String?) {
        #expect(ServiceError(HTTPResponse(status: 403, body: Array(body.utf8))).text == text)
    }

    @Test func `a long page is cut`() throws {
        let body = Array(String(repeating: "word ", count: 1_000_000).utf8)
        let text = try #require(ServiceError(HTTPResponse(status: 502, body: body)).text)
        #expect(text.count == 201)
        #expect(text.hasSuffix("…"))
    }

    @Test(
        arguments: [
            (403, "AccessDeniedException", "Untrusted signing certificate. Insufficient certificate", "trust anchor"),
            (403, "AccessDeniedException", "Invalid signature", "the key is not the certificate's"),
            (403, "AccessDeniedException", "Not authorized to set roleSessionName.", "acceptRoleSessionName"),
            (403, "AccessDeniedException", "Unable to assume role arn:aws:iam::1:role/x", "trust policy"),
            // B15: two causes that were left out.
            (403, "AccessDeniedException", "Unable to assume role arn:aws:iam::1:role/x", "not in the profile"),
            (403, "AccessDeniedException", "Untrusted signing certificate. Certificate is revoked", "is revoked"),
            (
                404, "ResourceNotFoundException", "Trust anchor not found",
                "does not exist in this region, or is disabled"
            ),
            (400, "ValidationException", "Value at 'durationSeconds'", "malformed"),
            (429, "ThrottlingException", "Rate exceeded", "10 requests a second"),
            (400, "ThrottlingException", "Rate exceeded", "10 requests a second"),
            (503, "ServiceUnavailableException", "Service Unavailable", "try again later"),
            (500, "InternalFailure", "oops", "try again later"),
            (403, nil, "Forbidden by policy", "a proxy may have given it"),
            (302, nil, "moved", "redirects are not followed"),
        ] as [(Int, String?, String, String)]
    )
    func `code and text are repeated, and the likely cause stands under them`(
        status: Int, code: String?, text: String, cause: String
    ) {
        let service = ServiceError(.failure(status, code, text, headers: ["X-Amzn-RequestId": "4d1f"]))
        let error = RolesAnywhereError(service, attempts: 1, clockDifference: nil)
        #expect(error.message.contains(text))
        #expect(error.message.contains(code ?? ""))
        #expect(error.message.contains("HTTP \(status), request 4d1f"))
        #expect(error.hint?.contains(cause) == true)
        #expect(error.service == service)
    }

    @Test(
        arguments: [
            (400, "ValidationException", RolesAnywhereError.Code.denied, false),
            (403, nil, .denied, false),
            (418, nil, .denied, false),
            (429, nil, .unavailable, true),
            (400, "ThrottlingException", .unavailable, true),
            (500, nil, .unavailable, true),
            (503, "ServiceUnavailableException", .unavailable, true),
            (302, nil, .malformedAnswer, false),
        ] as [(Int, String?, RolesAnywhereError.Code, Bool)]
    )
    func `the status decides between refusal and failure`(
        status: Int, code: String?, kind: RolesAnywhereError.Code, isTransient: Bool
    ) {
        let error = RolesAnywhereError(ServiceError(.failure(status, code, "x")), attempts: 1, clockDifference: nil)
        #expect(error.code == kind)
        #expect(error.isTransient == isTransient)
    }

    @Test func `a clock that is off is named as the cause of a bad signature`() {
        let service = ServiceError(.failure(403, "AccessDeniedException", "Invalid signature"))
        let error = RolesAnywhereError(service, attempts: 1, clockDifference: -7200)
        #expect(error.hint == "this machine's clock differs from the server's by -7200 s: set it")
    }

    @Test func `what a server says cannot drive a terminal`() {
        let error = RolesAnywhereError(
            ServiceError(.failure(403, "Access\u{1b}[2J", "a\\u001b[31mb\\nc")), attempts: 1, clockDifference: nil)
        #expect(!error.message.contains("\u{1b}"))
        #expect(!error.message.contains("\n"))
    }
}
