// SPDX-License-Identifier: Apache-2.0

/// The body of a successful CreateSession, with the service's own member names.
struct CreateSessionOutput: Encodable {
    struct Credentials: Encodable {
        var accessKeyId: String
        var secretAccessKey: String
        var sessionToken: String
        var expiration: String

        init(_ credentials: SessionCredentials) {
            accessKeyId = credentials.accessKeyIdentifier
            secretAccessKey = credentials.secretAccessKey
            sessionToken = credentials.sessionToken
            expiration = timestamp(credentials.expiration)
        }
    }

    struct AssumedRoleUser: Encodable {
        var arn: String
        var assumedRoleId: String
    }

    struct CredentialSet: Encodable {
        var assumedRoleUser: AssumedRoleUser
        var credentials: Credentials
        var packedPolicySize: Int
        var roleArn: String
        var sourceIdentity: String
    }

    var credentialSet: [CredentialSet]
    var subjectArn: String
}
