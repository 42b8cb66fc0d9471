// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import FoundationEssentials
import SystemSupport

/// The templates of the directory `templates/`, compiled in.
public enum BuiltInTemplate: String, Sendable, CaseIterable {
    /// A root CA.
    case root
    /// An intermediate CA.
    case intermediate
    /// A client certificate.
    case client
    /// The certificate of a server.
    case server
    /// The certificate of a machine that is client and server.
    case peer
    /// The certificate of a workload with a SPIFFE ID.
    case spiffe
    /// The certificate of the key by which `pki serve-ca` signs OCSP answers.
    case ocsp = "ocsp-responder"
    /// The CA behind the lab's own certificate.
    case labAuthority = "lab-ca"
    /// The lab's own certificate.
    case labServer = "lab-server"

    /// The parsed template.
    public var template: CertificateTemplate {
        get throws(CertificateError) {
            let text =
                switch self {
                case .root: PackageResources.root_conf
                case .intermediate: PackageResources.intermediate_conf
                case .client: PackageResources.client_conf
                case .server: PackageResources.server_conf
                case .peer: PackageResources.peer_conf
                case .spiffe: PackageResources.spiffe_conf
                case .ocsp: PackageResources.ocsp_responder_conf
                case .labAuthority: PackageResources.lab_ca_conf
                case .labServer: PackageResources.lab_server_conf
                }
            return try CertificateTemplate(reading: text, name: "templates/\(rawValue).conf")
        }
    }

    /// The template for certificates like this one, which was imported from files.
    package init(matching certificate: Certificate) {
        if certificate.isCA {
            self = certificate.isSelfIssued ? .root : .intermediate
        } else if certificate.extendedKeyUsage.contains("serverAuth") {
            self = certificate.extendedKeyUsage.contains("clientAuth") ? .peer : .server
        } else {
            self = .client
        }
    }
}

// MARK: - Settings in `[ pki ]`

extension CertificateTemplate {
    /// The setting `key_type`; by default P-256.
    var keyType: KeyType {
        get throws(AuthorityError) {
            guard let text = settings["key_type"] else { return .ecP256 }
            guard let type = KeyType(rawValue: text) else {
                throw AuthorityError(
                    .invalidRequest, "\(name): key_type = \(text) is not a kind of key",
                    hint: "use one of \(KeyType.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return type
        }
    }

    /// The setting `days`; by default a year.
    package var days: Int {
        get throws(AuthorityError) {
            guard let text = settings["days"] else { return 365 }
            guard let days = Int(text), days >= 1 else {
                throw AuthorityError(.invalidRequest, "\(name): days = \(text) is not a number of days")
            }
            return days
        }
    }

    /// The setting `profile`; by default the name of the file without directories and `.conf`.
    package var profile: String {
        if let name = settings["profile"] { return name }
        let file = name.split(separator: "/").last.map(String.init) ?? name
        return file.hasSuffix(".conf") ? String(file.dropLast(".conf".count)) : file
    }

    /// The setting `names`: the alternative names that the profile requires.
    var requiredNames: RequiredNames {
        get throws(AuthorityError) {
            guard let text = settings["names"] else { return .any }
            guard let rule = RequiredNames(rawValue: text) else {
                throw AuthorityError(
                    .invalidRequest, "\(name): names = \(text) is not a rule for alternative names",
                    hint: "use one of \(RequiredNames.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return rule
        }
    }
}

/// The lifetime of a certificate.
public enum Lifetime: Hashable, Sendable {
    /// A number of days of 24 hours, from now.
    case days(Int)
    /// Until this time, to the second.
    case until(Date)

    /// Reads a time in ISO 8601, or a day, `2030-12-31`, which means its end in UTC; `nil` if the text is neither.
    package init?(notAfter text: String) {
        guard let date = CivilTime.date(fromISO8601: text.contains("T") ? text : text + "T23:59:59Z") else {
            return nil
        }
        self = .until(date)
    }

    /// Validity begins this many seconds before now, for clocks that are slow. They are added to the lifetime.
    static let backdating: Double = 300
    /// 9999-12-31T23:59:59Z, the latest time in X.509 (RFC 5280 §4.1.2.5).
    static let latest = Date(timeIntervalSince1970: 253_402_300_799)

    /// The end of validity, in whole seconds.
    func end(from now: Date) throws(AuthorityError) -> Date {
        let end: Date
        switch self {
        case .days(let days):
            guard days >= 1 else {
                throw AuthorityError(
                    .invalidValue, "the lifetime of \(days) days is too short", hint: "use at least 1 day")
            }
            end = now.addingTimeInterval(Double(days) * 86400)
        case .until(let date):
            guard date > now else {
                throw AuthorityError(
                    .invalidValue, "the certificate would expire at \(timestamp(date)), which is in the past",
                    hint: "use a later time or a number of days; it is \(timestamp(now)) now")
            }
            end = date
        }
        guard end <= Self.latest else {
            throw AuthorityError(
                .invalidValue, "the certificate would expire after 9999-12-31, the latest date in X.509",
                hint: "use fewer days, or an earlier time")
        }
        return Date(timeIntervalSince1970: end.timeIntervalSince1970.rounded(.down))
    }
}
