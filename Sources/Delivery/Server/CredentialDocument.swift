// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// Credentials in the forms that they are served in, made once and handed out as often as somebody asks.
struct CredentialDocument: Sendable {
    let credentials: Credentials

    /// The role's name, as the instance metadata service gives it.
    let roleName: String

    /// The answer of the instance metadata service. Times are to the second, as SDKs insist.
    let metadata: [UInt8]

    /// The answer of the container credentials endpoint.
    let container: [UInt8]

    init(_ credentials: Credentials) {
        self.credentials = credentials
        roleName = credentials.roleName
        let keys: [(String, JSONText)] = [
            ("AccessKeyId", .string(credentials.accessKeyID)),
            ("SecretAccessKey", .string(credentials.secretAccessKey)),
            ("Token", .string(credentials.sessionToken)),
            ("Expiration", .string(CivilTime(credentials.expiration).extended)),
        ]
        let frame: [(String, JSONText)] = [
            ("Code", .string("Success")),
            ("LastUpdated", .string(CivilTime(credentials.issued).extended)),
            ("Type", .string("AWS-HMAC")),
        ]
        metadata = Array(JSONText.object(frame + keys).encoded.utf8)
        let session: [(String, JSONText)] = [
            ("AccountId", .string(credentials.accountID)), ("RoleArn", .string(credentials.roleARN)),
        ]
        container = Array(JSONText.object(keys + session).encoded.utf8)
    }
}
