// SPDX-License-Identifier: Apache-2.0

/// The name of a managed policy of AWS's own: `arn:aws:iam::aws:policy/service-role/NAME`.
struct ManagedPolicyName: Hashable, Sendable {
    /// The path in front of the name, beginning and ending with `/`.
    let path: String

    let name: String

    /// Reads an ARN; there is nothing when it is none of a policy of AWS's own.
    init?(_ arn: String) {
        let parts = arn.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "arn", parts[1] == "aws" || parts[1].hasPrefix("aws-"), parts[2] == "iam",
            parts[3].isEmpty, parts[4] == "aws", parts[5].hasPrefix("policy/")
        else { return nil }
        let segments = parts[5].split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard let last = segments.last, (1...128).contains(last.utf8.count),
            segments.allSatisfy({ segment in
                !segment.isEmpty && segment.unicodeScalars.allSatisfy(QueryForm.Form.isNameCharacter)
            })
        else { return nil }
        name = String(last)
        path = "/" + segments.dropLast().map { "\($0)/" }.joined()
    }
}
