// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date
import SystemSupport

/// Session credentials of AWS. No description, mirror or dump shows the secrets; ``text(as:section:)`` does.
package struct Credentials: Hashable, Sendable {
    package var accessKeyID: String
    package var secretAccessKey: String
    package var sessionToken: String
    /// When they were obtained, by this machine's clock.
    package var issued: Date
    /// To the second.
    package var expiration: Date
    package var accountID: String
    package var roleARN: String
    /// The session's ARN; `nil` if the service did not return it.
    package var assumedRoleARN: String?
    /// The service's subject for the certificate; `nil` if the service did not return it.
    package var subjectARN: String?
    /// Usually `CN=` and the certificate's common name.
    package var sourceIdentity: String?

    package init(
        accessKeyID: String, secretAccessKey: String, sessionToken: String, issued: Date, expiration: Date,
        accountID: String, roleARN: String, assumedRoleARN: String? = nil, subjectARN: String? = nil,
        sourceIdentity: String? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.issued = issued
        self.expiration = expiration
        self.accountID = accountID
        self.roleARN = roleARN
        self.assumedRoleARN = assumedRoleARN
        self.subjectARN = subjectARN
        self.sourceIdentity = sourceIdentity
    }

    /// The last part of the role's ARN, after its path.
    package var roleName: String { roleARN.split(separator: "/").last.map(String.init) ?? roleARN }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String {
        "Credentials(accessKeyID: \"\(accessKeyID)\", secretAccessKey: <redacted>, sessionToken: <redacted>, "
            + "expiration: \(CivilTime(expiration).extended), roleARN: \"\(roleARN)\")"
    }

    package var debugDescription: String { description }

    package var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "accessKeyID": accessKeyID, "secretAccessKey": "<redacted>", "sessionToken": "<redacted>",
                "expiration": CivilTime(expiration).extended, "roleARN": roleARN,
            ],
            displayStyle: .struct
        )
    }
}

/// A format in which programs read credentials.
package enum CredentialsFormat: String, CaseIterable, Sendable {
    /// The output of a `credential_process`: one JSON object of version 1, with the account
    /// (AWS SDKs and Tools Reference Guide, "Process credential provider").
    case process
    /// Lines for a POSIX shell to evaluate, which set the variables that the AWS CLI and the SDKs read.
    case env
    /// One JSON object with the service's whole answer.
    case json
    /// The settings of a section of the shared credentials file.
    case ini
    /// Lines for PowerShell to evaluate.
    case powershell
    /// Lines for fish to evaluate.
    case fish
}

extension Credentials {
    /// The credentials in a format, secrets included, without a last line end.
    ///
    /// - Parameters:
    ///   - format: The format. Lines for a shell remove variables that name other credentials.
    ///   - section: The section's name in ``CredentialsFormat/ini``.
    ///   - region: More variables for a shell: the region's.
    /// - Throws: ``DeliveryError`` for ``CredentialsFormat/ini`` when the file cannot hold the section's name or a value.
    package func text(
        as format: CredentialsFormat, section: String = "default", region: [(name: String, value: String)] = []
    ) throws(DeliveryError) -> String {
        let variables = environment + region
        let names = Set(variables.map(\.name))
        let removed = CredentialEnvironment.removed.filter { !names.contains($0) }
        func lines(_ removal: (String) -> String, _ line: (String, String) -> String) -> String {
            (removed.map(removal) + variables.map { line($0.name, $0.value) }).joined(separator: "\n")
        }
        return switch format {
        case .process: processText
        case .env: lines({ "unset \($0)" }) { "export \($0)=\(Quoting.shell($1))" }
        case .json: jsonText
        case .ini: try iniText(section)
        case .powershell: lines({ "$Env:\($0) = $null" }) { "$Env:\($0) = \(Quoting.powerShell($1))" }
        case .fish: lines({ "set -e \($0)" }) { "set -gx \($0) \(Quoting.fish($1))" }
        }
    }

    /// The variables that the AWS CLI and the SDKs read.
    package var environment: [(name: String, value: String)] {
        [
            ("AWS_ACCESS_KEY_ID", accessKeyID),
            ("AWS_SECRET_ACCESS_KEY", secretAccessKey),
            ("AWS_SESSION_TOKEN", sessionToken),
            ("AWS_CREDENTIAL_EXPIRATION", CivilTime(expiration).extended),
            ("AWS_ACCOUNT_ID", accountID),
        ]
    }

    /// The settings of a section of the shared credentials file.
    package var fileSettings: [(name: String, value: String)] {
        [
            ("aws_access_key_id", accessKeyID),
            ("aws_secret_access_key", secretAccessKey),
            ("aws_session_token", sessionToken),
        ]
    }

    private var processText: String {
        let members: JSONValue = [
            "Version": 1, "AccessKeyId": .string(accessKeyID), "SecretAccessKey": .string(secretAccessKey),
            "SessionToken": .string(sessionToken), "Expiration": JSONValue(expiration),
            "AccountId": .string(accountID),
        ]
        return members.text
    }

    private var jsonText: String {
        JSONValue.compact([
            "accessKeyId": .string(accessKeyID), "secretAccessKey": .string(secretAccessKey),
            "sessionToken": .string(sessionToken), "expiration": JSONValue(expiration),
            "accountId": .string(accountID), "roleArn": .string(roleARN), "assumedRoleArn": JSONValue(assumedRoleARN),
            "subjectArn": JSONValue(subjectARN), "sourceIdentity": JSONValue(sourceIdentity),
        ]).text
    }

    private func iniText(_ section: String) throws(DeliveryError) -> String {
        var file = SharedConfiguration()
        try file.set(fileSettings.map { ($0.name, $0.value) }, in: section)
        return String(decoding: file.bytes.dropLast(), as: UTF8.self)
    }
}
