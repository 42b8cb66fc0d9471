// SPDX-License-Identifier: Apache-2.0

/// Whose credentials are: what the Security Token Service answers to GetCallerIdentity.
public struct CallerIdentity: Hashable, Sendable {
    /// The account, twelve digits.
    public let account: String

    /// The ARN of the caller; for a session the role's name and the session's.
    public let arn: String

    /// The unique identifier; for a session the role's and, behind a `:`, the session's name.
    public let userID: String

    /// Makes an identity, as tests need it.
    ///
    /// - Parameters:
    ///   - account: The account.
    ///   - arn: The ARN of the caller.
    ///   - userID: The unique identifier.
    public init(account: String, arn: String, userID: String) {
        self.account = account
        self.arn = arn
        self.userID = userID
    }
}

extension CallerIdentity {
    /// Reads a successful answer.
    ///
    /// - Parameter body: The answer's content.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/malformedAnswer``, unless it is a
    ///   `GetCallerIdentityResponse` with each of the three parts once.
    init(answer body: [UInt8]) throws(RolesAnywhereError) {
        guard let answer = XMLElement(body), answer.name == "GetCallerIdentityResponse",
            let result = answer.child("GetCallerIdentityResult")
        else { throw Self.malformed("is not the answer to GetCallerIdentity that it should be") }
        account = try Self.text("Account", in: result) { $0.utf8.count == 12 && $0.utf8.allSatisfy(Self.isDigit) }
        arn = try Self.text("Arn", in: result) { $0.hasPrefix("arn:") }
        userID = try Self.text("UserId", in: result) { !$0.isEmpty }
    }

    private static func isDigit(_ octet: UInt8) -> Bool { (0x30...0x39).contains(octet) }

    /// The text of a part, printable ASCII as all three are, so that it can go to a terminal as it is.
    private static func text(
        _ name: String,
        in result: XMLElement,
        accepts: (String) -> Bool
    ) throws(RolesAnywhereError) -> String {
        guard let text = result.child(name)?.text, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), accepts(text)
        else { throw malformed("has no usable \(name)") }
        return text
    }

    private static func malformed(_ what: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .malformedAnswer,
            "the service's answer \(what)",
            hint: "check that the endpoint is that of STS and that no proxy answers in its place"
        )
    }
}
