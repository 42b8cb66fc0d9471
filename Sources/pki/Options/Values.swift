// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import Authority
package import Certificates
import FoundationEssentials
import SystemSupport

// How the values of options are read. The parser reports errors with the option's name.

extension KeyType: ExpressibleByArgument {}

extension DistinguishedName {
    static func argument(_ text: String) throws -> DistinguishedName {
        try explaining { try DistinguishedName(text) }
    }
}

extension NameConstraints.Subtree {
    static func argument(_ text: String) throws -> NameConstraints.Subtree {
        try explaining { try NameConstraints.Subtree(text) }
    }
}

extension GeneralName {
    static func dnsArgument(_ text: String) throws -> GeneralName {
        try explaining { try dnsName(text) }
    }

    static func ipArgument(_ text: String) throws -> GeneralName {
        try explaining { try ipAddress(text) }
    }

    static func uriArgument(_ text: String) throws -> GeneralName {
        try explaining { try uniformResourceIdentifier(text) }
    }

    static func emailArgument(_ text: String) throws -> GeneralName {
        try explaining { try mailbox(text) }
    }
}

extension Lifetime {
    /// Reads the value of `--not-after`: a time in UTC, or a day, which counts to its end.
    static func argument(_ text: String) throws -> Lifetime {
        guard let lifetime = Lifetime(notAfter: text) else {
            throw ValidationError("\"\(text)\" is not a time such as 2030-12-31 or 2030-12-31T12:00:00Z")
        }
        return lifetime
    }

    /// Chooses between `--days` and `--not-after`; throws ``UsageError`` when both were given.
    static func choose(days: Int?, notAfter: Lifetime?) throws -> Lifetime? {
        guard days == nil || notAfter == nil else {
            throw UsageError(message: "only one of --days and --not-after can be given")
        }
        return days.map(Lifetime.days) ?? notAfter
    }
}

extension Duration {
    /// The same in whole seconds.
    var timeInterval: Double { Double(components.seconds) }

    /// Reads a span of time: `30d`, `12h`, `90m` for minutes, `2w`, or a number of days.
    static func argument(_ text: String) throws -> Duration {
        let units: [Character: Int] = ["m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400]
        let unit = text.last.flatMap { units[$0] }
        let digits = unit == nil ? text[...] : text.dropLast()
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw ValidationError(
                "\"\(text)\" is not a duration such as 30d, 12h, 90m or 2w"
            )
        }
        // No certificate is valid for longer, and calendars can still compute it.
        let limit = 8000 * 366 * 86_400
        guard let number = Int(digits), number <= limit / (unit ?? 86_400) else {
            throw ValidationError("\"\(text)\" is longer than the validity of any certificate")
        }
        return .seconds(number * (unit ?? 86_400))
    }
}

/// Lets the parser of the command line say what is wrong with a value.
func explaining<Value>(_ body: () throws -> Value) throws -> Value {
    do {
        return try body()
    } catch let error as any ExplainedError {
        throw ValidationError([error.message, error.hint].compactMap(\.self).joined(separator: "; "))
    }
}

/// Where a server listens, as written on the command line.
enum ListenAddress: Hashable, Sendable {
    /// An IP address in numbers and a port; 0 lets the system choose one.
    case tcp(address: String, port: Int)
    /// A path in the file system.
    case unix(path: String)

    /// Reads `127.0.0.1:9911`, `[::1]:9911`, `localhost:9911`, `9911` or `unix:/run/pki/pki.sock`.
    static func argument(_ text: String) throws -> ListenAddress {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst("unix:".count))
            guard !path.isEmpty else { throw ValidationError("\"\(text)\" names no path") }
            return .unix(path: path)
        }
        if text.hasPrefix("[") {
            let parts = text.dropFirst().split(separator: "]", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[1].hasPrefix(":") else { throw malformed(text) }
            return .tcp(address: String(parts[0]), port: try port(parts[1].dropFirst(), of: text))
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return .tcp(address: "127.0.0.1", port: try port(parts[0], of: text))
        case 2:
            let address = parts[0] == "localhost" ? "127.0.0.1" : String(parts[0])
            return .tcp(address: address, port: try port(parts[1], of: text))
        default: throw malformed(text)
        }
    }

    private static func port(_ digits: Substring, of text: String) throws -> Int {
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(digits), port <= 65_535
        else { throw malformed(text) }
        return port
    }

    private static func malformed(_ text: String) -> ValidationError {
        ValidationError("\"\(text)\" is not ADDRESS:PORT, [ADDRESS]:PORT, PORT or unix:PATH")
    }
}

/// A time on a command line.
struct Timestamp: Sendable {
    var date: Date

    /// Reads a time in UTC, or a day, which counts from its beginning.
    static func argument(_ text: String) throws -> Timestamp {
        guard let date = CivilTime.date(fromISO8601: text.contains("T") ? text : text + "T00:00:00Z") else {
            throw ValidationError("\"\(text)\" is not a time such as 2030-12-31 or 2030-12-31T12:00:00Z")
        }
        return Timestamp(date: date)
    }
}

/// A pattern for names as in a shell: `*`, `?`, `[a-c]`, `[!a-c]`, and `\` before a literal character. Case counts.
///
/// The time is bounded by the product of the lengths of pattern and name.
struct GlobPattern: Sendable {
    private enum Part: Sendable {
        case one(Unicode.Scalar)
        case any
        case several
        case set([ClosedRange<UInt32>], isExcluded: Bool)
    }

    private let parts: [Part]

    init(_ text: String) throws {
        var rest = Substring(text).unicodeScalars
        var parts: [Part] = []
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*":
                if case .several = parts.last { continue }
                parts.append(.several)
            case "?": parts.append(.any)
            case "[": parts.append(try Self.set(&rest, of: text))
            case "\\": parts.append(.one(rest.popFirst() ?? scalar))
            default: parts.append(.one(scalar))
            }
        }
        self.parts = parts
    }

    /// Reads a set after its `[`.
    private static func set(_ rest: inout Substring.UnicodeScalarView, of text: String) throws -> Part {
        var ranges: [ClosedRange<UInt32>] = []
        let isExcluded = rest.first == "!" || rest.first == "^"
        if isExcluded { rest.removeFirst() }
        var isFirst = true
        while var low = rest.popFirst() {
            if low == "]", !isFirst { return .set(ranges, isExcluded: isExcluded) }
            isFirst = false
            if low == "\\", let escaped = rest.popFirst() { low = escaped }
            var high = low
            if rest.first == "-", let behind = rest.dropFirst().first, behind != "]" {
                rest.removeFirst(2)
                high = behind
                if behind == "\\", let escaped = rest.popFirst() { high = escaped }
            }
            guard low <= high else {
                throw ValidationError("\"\(text)\": the range \(low)-\(high) is reversed")
            }
            ranges.append(low.value...high.value)
        }
        throw ValidationError("\"\(text)\": \"[\" is not closed; write \"\\[\" for a literal bracket")
    }

    static func argument(_ text: String) throws -> GlobPattern { try GlobPattern(text) }

    /// What every matching name begins with.
    var literalPrefix: String {
        var prefix = ""
        for part in parts {
            guard case .one(let scalar) = part else { break }
            prefix.unicodeScalars.append(scalar)
        }
        return prefix
    }

    /// Whether the pattern matches the whole name.
    func matches(_ name: String) -> Bool {
        let scalars = name.unicodeScalars
        var position = scalars.startIndex
        var part = 0
        // Where to resume when what follows the last "*" does not match: the "*" then takes one more character. An earlier
        // one never has to be tried again.
        var retry: (part: Int, position: String.UnicodeScalarView.Index)?
        while position < scalars.endIndex {
            if part < parts.count, case .several = parts[part] {
                part += 1
                retry = (part, position)
            } else if part < parts.count, Self.fits(scalars[position], parts[part]) {
                part += 1
                position = scalars.index(after: position)
            } else if let last = retry {
                position = scalars.index(after: last.position)
                part = last.part
                retry = (part, position)
            } else {
                return false
            }
        }
        if part < parts.count, case .several = parts[part] { part += 1 }
        return part == parts.count
    }

    private static func fits(_ scalar: Unicode.Scalar, _ part: Part) -> Bool {
        switch part {
        case .one(let other): scalar == other
        case .any: true
        case .several: false
        case .set(let ranges, let isExcluded): ranges.contains { $0.contains(scalar.value) } != isExcluded
        }
    }
}
