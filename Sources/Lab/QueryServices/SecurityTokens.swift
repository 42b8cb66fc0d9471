// SPDX-License-Identifier: Apache-2.0

/// The little of STS that the road needs: who am I, and taking a further role.
///
/// Source: AWS, *AWS Security Token Service API Reference*, version 2011-06-15.
enum SecurityTokens {
    /// The operations by their names.
    static let operations: [String: QueryService.Operation] = [
        "GetCallerIdentity": { call in
            (
                [
                    XMLElement("Arn", text: call.caller.arn), XMLElement("UserId", text: call.caller.userIdentifier),
                    XMLElement("Account", text: call.caller.account),
                ],
                call.caller.arn
            )
        },
        "AssumeRole": { call in try RoleAssumption(call).answer() },
    ]
}
