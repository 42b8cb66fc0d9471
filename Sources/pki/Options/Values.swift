// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import Authority
public import Certificates
import FoundationEssentials

// How the values of options are read. What is wrong with one is said by the parser, beside the option's name.

extension KeyType: ExpressibleByArgument {}

extension DistinguishedName {
    /// Reads an option's value.
    static func argument(_ text: String) throws -> DistinguishedName {
        try explaining { () throws(CertificateError) in try DistinguishedName(text) }
    }
}

extension NameConstraints.Subtree {
    /// Reads an option's value.
    static func argument(_ text: String) throws -> NameConstraints.Subtree {
        try explaining { () throws(CertificateError) in try NameConstraints.Subtree(text) }
    }
}

extension GeneralName {
    /// Reads the value of `--dns`.
    static func dnsArgument(_ text: String) throws -> GeneralName {
        try explaining { () throws(CertificateError) in try dnsName(text) }
    }

    /// Reads the value of `--ip`.
    static func ipArgument(_ text: String) throws -> GeneralName {
        try explaining { () throws(CertificateError) in try ipAddress(text) }
    }

    /// Reads the value of `--uri`.
    static func uriArgument(_ text: String) throws -> GeneralName {
        try explaining { () throws(CertificateError) in try uniformResourceIdentifier(text) }
    }

    /// Reads the value of `--email`.
    static func emailArgument(_ text: String) throws -> GeneralName {
        try explaining { () throws(CertificateError) in try mailbox(text) }
    }
}

extension Lifetime {
    /// Reads the value of `--not-after`: a moment in UTC, or a day, which counts to its end.
    static func argument(_ text: String) throws -> Lifetime {
        guard let date = CivilTime.date(fromISO8601: text.contains("T") ? text : text + "T23:59:59Z") else {
            throw ValidationError("\"\(text)\" is not a moment such as 2030-12-31 or 2030-12-31T12:00:00Z")
        }
        return .until(date)
    }

    /// Chooses between `--days` and `--not-after`.
    ///
    /// - Parameters:
    ///   - days: The value of `--days`.
    ///   - notAfter: The value of `--not-after`.
    /// - Returns: The lifetime, or nothing when neither was given.
    /// - Throws: ``UsageError`` when both were given.
    static func choose(days: Int?, notAfter: Lifetime?) throws -> Lifetime? {
        guard days == nil || notAfter == nil else {
            throw UsageError(message: "only one of --days and --not-after can be given")
        }
        return days.map(Lifetime.days) ?? notAfter
    }
}

/// Lets the parser of the command line say what is wrong with a value.
private func explaining<Value>(_ body: () throws(CertificateError) -> Value) throws -> Value {
    do {
        return try body()
    } catch {
        throw ValidationError([error.message, error.remedy].compactMap(\.self).joined(separator: "; "))
    }
}
