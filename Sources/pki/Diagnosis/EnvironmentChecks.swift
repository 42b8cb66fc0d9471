// SPDX-License-Identifier: Apache-2.0

import Authority
import Delivery
import FoundationEssentials
import SystemSupport

/// What in the environment and in AWS's files takes the place of settings, here or in the programs that ask pki.
struct EnvironmentChecks {
    /// The variables.
    var environment: [String: String]

    /// The profile that was named, or is used because nothing else was.
    var profile: String?

    func add(to list: inout CheckList) {
        list.add("environment", hint: "unset what is not meant to be so") { checkVariables() }
        if let profile { list.add("profile", hint: "write it with pki configure") { try checkProfile(profile) } }
    }

    private func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    private func checkVariables() -> CheckList.Outcome {
        var findings: [String] = []
        if value("AWS_ACCESS_KEY_ID") != nil {
            findings.append("AWS_ACCESS_KEY_ID is set: programs use that key and ask no profile")
        }
        if value("AWS_WEB_IDENTITY_TOKEN_FILE") != nil, value("AWS_ROLE_ARN") != nil {
            findings.append("AWS_WEB_IDENTITY_TOKEN_FILE is set: programs use that token and ask no profile")
        }
        if environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]?.lowercased() != "true" {
            let names = ["AWS_ENDPOINT_URL_ROLESANYWHERE", "AWS_ENDPOINT_URL"]
            if let name = names.first(where: { value($0) != nil }), let address = value(name) {
                findings.append("\(name) is set: requests go to \(address) unless --endpoint says otherwise")
            }
        }
        guard findings.isEmpty else {
            return .warning(findings.joined(separator: "; "), hint: "unset what is not meant to be so")
        }
        let names = [
            "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ]
        let set = names.filter { value($0) != nil }
        return .ok(
            set.isEmpty ? "nothing in it overrides settings" : "taken into account: \(set.joined(separator: ", "))")
    }

    private func checkProfile(_ name: String) throws -> CheckList.Outcome {
        let files = AWSFiles(environment)
        let configure = "pki configure \(Quoting.option("--profile", name))"
        guard let settings = try files.settings(of: name) else {
            return .failed("there is no profile \(name) in \(files.config.path)", hint: "write it with \(configure) …")
        }
        let values = Dictionary(settings, uniquingKeysWith: { $1 })
        var findings: [(words: String, hint: String)] = []
        // What the SDKs look at before credential_process (botocore's order of providers).
        if values["role_arn"] != nil {
            findings.append(("role_arn in \(files.config.path) goes before credential_process", "take role_arn out"))
        }
        if let bytes = try files.credentials.read(),
            SharedConfiguration(bytes).value(of: "aws_access_key_id", in: name) != nil
        {
            findings.append(
                (
                    "\(files.credentials.path) has keys for \(name), which programs use first",
                    "take them out of there, unless pki update keeps them fresh"
                ))
        }
        switch values["credential_process"] {
        case nil:
            findings.append(("it has no credential_process, so that programs do not ask pki", "\(configure) writes it"))
        case .some(let command) where !ConfigureCommand.isOurs(command):
            findings.append(("its credential_process is another program's", "\(configure) --force replaces it"))
        default: break
        }
        guard findings.isEmpty else {
            return .warning(
                "\(name): \(findings.map(\.words).joined(separator: "; "))",
                hint: findings.map(\.hint).joined(separator: "; "))
        }
        return .ok("\(name) in \(files.config.path) asks pki")
    }
}

/// The part of `pki doctor` that is about the CA's directory.
struct CADirectoryDiagnosis {
    /// The names of the checks, and what is said when one finds nothing.
    private static let checks = [
        ("inventory", "the inventory is whole"),
        ("audit", "the audit is unbroken"),
        ("permissions", "only the owner can use the keys"),
        ("certificate-file", "every certificate is where the inventory says it is"),
        ("key-file", "every key is its certificate's"),
        ("chain-file", "every chain is there"),
        ("expiry", "nothing ends within 30 days, and no CA within 90"),
        ("issuer", "the CA of every certificate is here and not revoked"),
        ("unknown-file", "every certificate of the directory is in the inventory"),
        ("crl", "every revocation is in a current CRL"),
    ]

    /// The most findings of one kind that are shown one by one.
    private static let limit = 10

    /// Looks at a directory.
    static func run(_ directory: String, repairs: Bool) throws -> Diagnosis {
        var diagnosis = Diagnosis()
        if repairs {
            diagnosis.repaired = try Inventory.repair(in: directory, by: Operator.name, now: .now)
        }
        let inventory = try Inventory(reading: directory, now: .now)
        let findings = try inventory.check(now: .now)
        for (name, allIsWell) in checks {
            let found = findings.filter { $0.check == name }
            if found.isEmpty { diagnosis.checks.append(Check(name: name, verdict: .ok, found: allIsWell)) }
            for finding in found.prefix(limit) {
                diagnosis.checks.append(
                    Check(name: name, verdict: verdict(of: finding), found: finding.message, hint: finding.hint))
            }
            if found.count > limit {
                let worst = found.contains { $0.severity == .failure }
                diagnosis.checks.append(
                    Check(name: name, verdict: worst ? .failed : .warning, found: "and \(found.count - limit) more"))
            }
        }
        return diagnosis
    }

    private static func verdict(of finding: CADirectoryFinding) -> Check.Verdict {
        switch finding.severity {
        case .notice: .ok
        case .warning: .warning
        case .failure: .failed
        }
    }
}
