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
    /// The CA behind the lab's own certificate.
    case labAuthority = "lab-ca"
    /// The lab's own certificate.
    case labServer = "lab-server"

    /// The template. Throws `CertificateError` when the file does not parse, which a test rules out.
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
                case .labAuthority: PackageResources.lab_ca_conf
                case .labServer: PackageResources.lab_server_conf
                }
            return try CertificateTemplate(reading: text, name: "templates/\(rawValue).conf")
        }
    }

    /// The template that makes certificates like this one, for certificates that were read from files.
    init(matching certificate: Certificate) {
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
    /// The kind of key: `key_type`, P-256 where a foreign template has none.
    var keyType: KeyType {
        get throws(AuthorityError) {
            guard let text = settings["key_type"] else { return .ecP256 }
            guard let type = KeyType(rawValue: text) else {
                throw AuthorityError(
                    .invalidRequest, "\(name): key_type = \(text) is not a kind of key",
                    hint: "the kinds are \(KeyType.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return type
        }
    }

    /// The lifetime in days: `days`, a year where a foreign template has none.
    var days: Int {
        get throws(AuthorityError) {
            guard let text = settings["days"] else { return 365 }
            guard let days = Int(text), days >= 1 else {
                throw AuthorityError(.invalidRequest, "\(name): days = \(text) is not a number of days")
            }
            return days
        }
    }

    /// The profile's name: `profile`, or else the name of the file without directories and `.conf`.
    var profile: String {
        if let name = settings["profile"] { return name }
        let file = name.split(separator: "/").last.map(String.init) ?? name
        return file.hasSuffix(".conf") ? String(file.dropLast(".conf".count)) : file
    }

    /// Which alternative names the profile requires: `names`.
    var requiredNames: RequiredNames {
        get throws(AuthorityError) {
            guard let text = settings["names"] else { return .any }
            guard let rule = RequiredNames(rawValue: text) else {
                throw AuthorityError(
                    .invalidRequest, "\(name): names = \(text) is not a rule for alternative names",
                    hint: "the rules are \(RequiredNames.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return rule
        }
    }
}

/// How long a certificate is valid.
public enum Lifetime: Hashable, Sendable {
    /// A number of days of 24 hours, from now.
    case days(Int)
    /// Until this time, to the second.
    case until(Date)

    /// Reads a time in ISO 8601, or a day, which counts to its end in UTC: `2030-12-31`. `nil` when it is neither.
    package init?(notAfter text: String) {
        guard let date = CivilTime.date(fromISO8601: text.contains("T") ? text : text + "T23:59:59Z") else {
            return nil
        }
        self = .until(date)
    }

    /// How many seconds before now validity begins, for clocks that are behind. They are added to the lifetime.
    static let backdating: Double = 300
    /// 9999-12-31T23:59:59Z, the last time that X.509 can express (RFC 5280 §4.1.2.5).
    static let latest = Date(timeIntervalSince1970: 253_402_300_799)

    /// The end of validity, in whole seconds.
    func end(from now: Date) throws(AuthorityError) -> Date {
        let end: Date
        switch self {
        case .days(let days):
            guard days >= 1 else {
                throw AuthorityError(
                    .invalidRequest, "a lifetime of \(days) days is not possible", hint: "give at least 1")
            }
            end = now.addingTimeInterval(Double(days) * 86400)
        case .until(let date):
            guard date > now else {
                throw AuthorityError(
                    .invalidRequest, "the certificate would end at \(timestamp(date)), which is past",
                    hint: "give a later time, or a number of days; it is \(timestamp(now)) by this machine's clock")
            }
            end = date
        }
        guard end <= Self.latest else {
            throw AuthorityError(
                .invalidRequest, "the certificate would end after the year 9999, the last that X.509 can say",
                hint: "give fewer days, or an earlier time")
        }
        return Date(timeIntervalSince1970: end.timeIntervalSince1970.rounded(.down))
    }
}
