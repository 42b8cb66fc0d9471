// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import Authority
package import Certificates
import FoundationEssentials
import SystemSupport

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
        guard let lifetime = Lifetime(notAfter: text) else {
            throw ValidationError("\"\(text)\" is not a moment such as 2030-12-31 or 2030-12-31T12:00:00Z")
        }
        return lifetime
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

extension Duration {
    /// The same in seconds, as dates are reckoned with.
    var timeInterval: Double { Double(components.seconds) }

    /// Reads a span of time: `30d`, `12h`, `90m` for minutes, `2w`, or a number of days.
    static func argument(_ text: String) throws -> Duration {
        let units: [Character: Int] = ["m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400]
        let unit = text.last.flatMap { units[$0] }
        let digits = unit == nil ? text[...] : text.dropLast()
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw ValidationError(
                "\"\(text)\" is not a span of time such as 30d for days, 12h for hours, 90m for minutes or 2w for weeks"
            )
        }
        // What a calendar can still be asked about: no certificate is good for longer.
        let limit = 8000 * 366 * 86_400
        guard let number = Int(digits), number <= limit / (unit ?? 86_400) else {
            throw ValidationError("\"\(text)\" is longer than any certificate is good for")
        }
        return .seconds(number * (unit ?? 86_400))
    }
}

/// Lets the parser of the command line say what is wrong with a value.
private func explaining<Value>(_ body: () throws(CertificateError) -> Value) throws -> Value {
    do {
        return try body()
    } catch {
        throw ValidationError([error.message, error.hint].compactMap(\.self).joined(separator: "; "))
    }
}
