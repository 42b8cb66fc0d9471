// SPDX-License-Identifier: Apache-2.0

import HTTPService

/// The little of STS that the road needs: who am I, and taking a further role.
///
/// Source: AWS, *AWS Security Token Service API Reference*, version 2011-06-15.
enum SecurityTokens {
    /// The operations by their names.
    static let operations: [String: QueryService.Operation] = [
        "AssumeRole": { call, trace in try AssumeRole(call).answer(&trace) },
        "GetCallerIdentity": { call, _ in
            (
                [
                    XMLElement("Arn", text: call.caller.arn), XMLElement("UserId", text: call.caller.userIdentifier),
                    XMLElement("Account", text: call.caller.account),
                ],
                call.caller.arn
            )
        },
        // The lab gives out keys of its own account only.
        "GetAccessKeyInfo": { call, _ in
            let key = try call.form.required("AccessKeyId", 16...128, .name)
            return ([XMLElement("Account", text: call.environment.account)], key)
        },
    ]
}
