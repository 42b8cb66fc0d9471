// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
import SystemSupport

/// Credentials in the formats that are served, encoded once.
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
        let keys: JSONValue = [
            "AccessKeyId": .string(credentials.accessKeyID), "SecretAccessKey": .string(credentials.secretAccessKey),
            "Token": .string(credentials.sessionToken), "Expiration": JSONValue(credentials.expiration),
        ]
        let frame: JSONValue = [
            "Code": "Success", "LastUpdated": JSONValue(credentials.issued), "Type": "AWS-HMAC",
        ]
        metadata = (frame + keys).bytes
        let session: JSONValue = [
            "AccountId": .string(credentials.accountID), "RoleArn": .string(credentials.roleARN),
        ]
        container = (keys + session).bytes
    }
}

/// The metrics in Prometheus's text format (version 0.0.4).
struct MetricsText {
    let text: String

    init(_ keepers: [(name: String, status: CredentialRefresher.Status)], requests: Int, at date: Date) {
        var lines: [String] = []
        func add(_ name: String, _ kind: String, _ help: String, _ values: [(name: String, value: String)]) {
            guard !values.isEmpty else { return }
            lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(kind)"]
            lines += values.map { "\(name){profile=\"\(Self.escaped($0.name))\"} \($0.value)" }
        }
        add(
            "pki_refreshes_total",
            "counter",
            "Times that credentials were obtained.",
            keepers.map { ($0.name, String($0.status.refreshes)) }
        )
        add(
            "pki_refresh_failures_total",
            "counter",
            "Times that credentials could not be obtained.",
            keepers.map { ($0.name, String($0.status.failures)) }
        )
        add(
            "pki_credentials_expiry_seconds",
            "gauge",
            "Seconds until the credentials expire; 0 when there are none.",
            keepers.map { ($0.name, String(Int($0.status.secondsLeft))) }
        )
        add(
            "pki_certificate_expiry_seconds",
            "gauge",
            "Seconds until the certificate expires; below 0 when it has.",
            keepers.compactMap { keeper in
                keeper.status.certificateExpiration.map { (keeper.name, String(Int($0.timeIntervalSince(date)))) }
            }
        )
        lines += [
            "# HELP pki_requests_total Requests that were answered.", "# TYPE pki_requests_total counter",
            "pki_requests_total \(requests)",
        ]
        text = lines.map { "\($0)\n" }.joined()
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
