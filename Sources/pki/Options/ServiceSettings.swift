// SPDX-License-Identifier: Apache-2.0

import Delivery
import RolesAnywhere
import SystemSupport

/// What AWS's variables and a profile's own settings say about endpoints and the servers to trust, as botocore reads them: a
/// variable goes before the setting, and the credentials file's section before the config file's.
struct ServiceSettings: Sendable {
    /// A value, and what messages call it: a variable, or a setting and its file.
    struct Value: Sendable {
        var text: String
        var origin: String
    }

    /// The settings that are read.
    static let names: Set = [
        "ca_bundle", "endpoint_url", "services", "use_fips_endpoint", "use_dualstack_endpoint",
        "ignore_configured_endpoint_urls",
    ]

    private let environment: [String: String]
    private var settings: [String: Value] = [:]
    /// The settings of the section that `services` names; `nil` if there is none.
    private var services: [(name: String, value: String)]?

    /// Reads AWS's settings of a profile. An empty value counts as absent.
    ///
    /// - Parameters:
    ///   - found: The settings of the profile in the config file.
    ///   - config: The config file, which has the section that `services` names too.
    init(
        profile: String, found: [(name: String, value: String)]?, config: SharedConfiguration?, files: AWSFiles,
        environment: [String: String]
    ) throws {
        self.environment = environment
        let others = try files.credentials.read().flatMap { SharedConfiguration($0).settings(in: profile) }
        for (file, values) in [(files.config, found), (files.credentials, others)] {
            for (name, text) in values ?? [] where Self.names.contains(name) && !text.isEmpty {
                settings[name] = Value(text: text, origin: "\(name) of \(profile) in \(printable(file.path))")
            }
        }
        if let name = settings["services"] { services = config?.settings(in: "services \(name.text)") }
    }

    private func value(_ setting: String, _ variable: String) -> Value? {
        if let text = environment[variable], !text.isEmpty { return Value(text: text, origin: variable) }
        return settings[setting]
    }

    /// A switch that is on.
    private func flag(_ setting: String, _ variable: String) -> Value? {
        value(setting, variable).flatMap { $0.text.lowercased() == "true" ? $0 : nil }
    }

    /// The address that is configured for a service; `nil` if its own is to be used.
    func url(of service: Endpoint.Service) throws -> Value? {
        guard flag("ignore_configured_endpoint_urls", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") == nil else { return nil }
        for variable in ["AWS_ENDPOINT_URL_\(service.name.uppercased())", "AWS_ENDPOINT_URL"] {
            if let text = environment[variable], !text.isEmpty { return Value(text: text, origin: variable) }
        }
        if let name = settings["services"] {
            guard let services, !services.isEmpty else {
                throw UsageError(
                    message: "\(name.origin) names a section [services \(printable(name.text))] that is not there",
                    hint: "add the section, or remove services")
            }
            let nested = services.last { $0.name == service.name }?.value ?? ""
            for line in nested.split(separator: "\n") where nested.hasPrefix("\n") {
                let parts = line.split(separator: "=", maxSplits: 1).map(\.trimmed)
                if parts.count == 2, parts[0] == "endpoint_url", !parts[1].isEmpty {
                    let origin = "endpoint_url of \(service.name) in [services \(printable(name.text))]"
                    return Value(text: parts[1], origin: origin)
                }
            }
        }
        return settings["endpoint_url"]
    }

    /// The address of a service: a configured one, else the region's own, of the kinds that are configured. botocore does not
    /// look at the kinds either when there is an address.
    func endpoint(of service: Endpoint.Service, region: String) throws -> Endpoint {
        let fips = flag("use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT")
        let dualStack = flag("use_dualstack_endpoint", "AWS_USE_DUALSTACK_ENDPOINT")
        if let url = try url(of: service) {
            let hint = "export AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true makes pki use the region's own endpoint"
            return try Self.naming(url, hint: hint) { () throws(RolesAnywhereError) in try Endpoint(url.text) }
        }
        guard let flag = fips ?? dualStack else { return try Endpoint(region: region, service: service) }
        return try Self.naming(flag) { () throws(RolesAnywhereError) in
            let variant: Endpoint.Variant = fips == nil ? .dualStack : dualStack == nil ? .fips : .fipsDualStack
            return try Endpoint(region: region, variant: variant, service: service)
        }
    }

    /// The CA certificates that are configured, else the system's.
    func trust() throws -> ServerTrust {
        guard let bundle = value("ca_bundle", "AWS_CA_BUNDLE") else { return try .environment(environment) }
        return try Self.naming(bundle) { () throws(RolesAnywhereError) in try .certificates(at: bundle.text) }
    }

    /// Says which setting has the value that cannot be used.
    private static func naming<Result>(
        _ value: Value, hint: String? = nil, _ use: () throws(RolesAnywhereError) -> Result
    ) throws -> Result {
        do {
            return try use()
        } catch {
            throw RolesAnywhereError(error.code, "\(value.origin): \(error.message)", hint: hint ?? error.hint)
        }
    }
}

extension StringProtocol {
    /// The text without white space at its ends.
    var trimmed: String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else {
            return ""
        }
        return String(self[first...last])
    }
}
