// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// A form in which programs take credentials.
package enum CredentialsFormat: String, CaseIterable, Sendable {
    /// What the `credential_process` of a profile has to print: one JSON object of version 1, with the account
    /// (AWS SDKs and Tools Reference Guide, "Process credential provider").
    case process
    /// Lines for a POSIX shell to evaluate, which set the variables that the AWS CLI and the SDKs read.
    case env
    /// One JSON object with everything that the service said.
    case json
    /// The settings of a section of the shared credentials file.
    case ini
    /// Lines for PowerShell to evaluate.
    case powershell
    /// Lines for fish to evaluate.
    case fish
}

extension Credentials {
    /// The credentials as a program takes them.
    ///
    /// - Parameters:
    ///   - format: The form.
    ///   - section: With ``CredentialsFormat/ini``: the section's name.
    /// - Returns: The text, secrets included, without a last line end.
    /// - Throws: ``DeliveryError`` with ``CredentialsFormat/ini`` when no section can have the name, or no line of it hold
    ///   a value.
    package func text(
        as format: CredentialsFormat,
        section: String = "default"
    ) throws(DeliveryError) -> String {
        switch format {
        case .process: processText
        case .env: lines { "export \($0)=\(Quoting.shell($1))" }
        case .json: jsonText
        case .ini: try iniText(section)
        case .powershell: lines { "$Env:\($0) = \(Quoting.powerShell($1))" }
        case .fish: lines { "set -gx \($0) \(Quoting.fish($1))" }
        }
    }

    /// The variables that the AWS CLI and the SDKs read, with their values.
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
        JSONText.object([
            ("Version", .number(1)),
            ("AccessKeyId", .string(accessKeyID)),
            ("SecretAccessKey", .string(secretAccessKey)),
            ("SessionToken", .string(sessionToken)),
            ("Expiration", .string(CivilTime(expiration).extended)),
            ("AccountId", .string(accountID)),
        ]).encoded
    }

    private var jsonText: String {
        let optional = [
            ("assumedRoleArn", assumedRoleARN), ("subjectArn", subjectARN), ("sourceIdentity", sourceIdentity),
        ]
        return JSONText.object(
            [
                ("accessKeyId", .string(accessKeyID)),
                ("secretAccessKey", .string(secretAccessKey)),
                ("sessionToken", .string(sessionToken)),
                ("expiration", .string(CivilTime(expiration).extended)),
                ("accountId", .string(accountID)),
                ("roleArn", .string(roleARN)),
            ] + optional.compactMap { name, value in value.map { (name, .string($0)) } }
        ).encoded
    }

    private func lines(_ line: (String, String) -> String) -> String {
        environment.map { line($0.name, $0.value) }.joined(separator: "\n")
    }

    private func iniText(_ section: String) throws(DeliveryError) -> String {
        var file = SharedConfiguration()
        try file.set(fileSettings.map { ($0.name, $0.value) }, in: section)
        return String(decoding: file.bytes.dropLast(), as: UTF8.self)
    }
}
