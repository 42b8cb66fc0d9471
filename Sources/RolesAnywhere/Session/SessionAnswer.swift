// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// The content of a successful answer, by its names on the wire.
private struct SessionAnswer: Decodable {
    struct CredentialSet: Decodable {
        struct AssumedRoleUser: Decodable {
            var arn: String?
        }
        struct Credentials: Decodable {
            var accessKeyId: String
            var secretAccessKey: String
            var sessionToken: String
            var expiration: String
        }
        var assumedRoleUser: AssumedRoleUser?
        var credentials: Credentials
        var roleArn: String?
        var sourceIdentity: String?
    }
    var credentialSet: [CredentialSet]
    var subjectArn: String?
}

extension SessionCredentials {
    /// Reads a successful answer.
    ///
    /// - Parameters:
    ///   - body: The answer's content, which no error repeats.
    ///   - request: What was asked for; its role counts where the answer names none.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/malformedAnswer`` naming the member that is wrong.
    init(answer body: [UInt8], to request: SessionRequest) throws(RolesAnywhereError) {
        let answer: SessionAnswer
        do {
            answer = try JSONDecoder().decode(SessionAnswer.self, from: Data(body))
        } catch {
            throw Self.malformed(Self.place(of: error))
        }
        guard let set = answer.credentialSet.first else { throw Self.malformed("has an empty credentialSet") }
        let credentials = set.credentials
        for (name, value) in [
            ("accessKeyId", credentials.accessKeyId), ("secretAccessKey", credentials.secretAccessKey),
            ("sessionToken", credentials.sessionToken),
        ] {
            guard !value.isEmpty, value.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw Self.malformed("has no usable \(name)")
            }
        }
        guard let expiration = CivilTime.date(fromISO8601: credentials.expiration) else {
            throw Self.malformed("has an expiration that is not a time of ISO 8601")
        }
        self.init(
            accessKeyID: credentials.accessKeyId,
            secretAccessKey: credentials.secretAccessKey,
            sessionToken: credentials.sessionToken,
            expiration: expiration,
            role: set.roleArn.flatMap { try? AmazonResourceName($0) } ?? request.role,
            assumedRoleARN: set.assumedRoleUser?.arn,
            subjectARN: answer.subjectArn,
            sourceIdentity: set.sourceIdentity
        )
    }

    private static func malformed(_ what: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .malformedAnswer,
            "the service's answer \(what)",
            remedy: "check that --endpoint leads to IAM Roles Anywhere and that no proxy answers in its place"
        )
    }

    /// Where in the answer decoding failed. The decoder's own words are not repeated: they may quote the answer.
    private static func place(of error: any Error) -> String {
        func text(_ path: [any CodingKey]) -> String {
            path.reduce(into: "") { text, key in
                if let index = key.intValue {
                    text += "[\(index)]"
                } else {
                    text += (text.isEmpty ? "" : ".") + key.stringValue
                }
            }
        }
        switch error {
        case DecodingError.keyNotFound(let key, let context): return "lacks \(text(context.codingPath + [key]))"
        case DecodingError.valueNotFound(_, let context): return "has nothing for \(text(context.codingPath))"
        case DecodingError.typeMismatch(_, let context) where !context.codingPath.isEmpty:
            return "has the wrong kind of value for \(text(context.codingPath))"
        default: return "is not the JSON object that it should be"
        }
    }
}
