// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

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
                throw ValidationError("in \"\(text)\" the range \(low)-\(high) goes backwards")
            }
            ranges.append(low.value...high.value)
        }
        throw ValidationError("in \"\(text)\" a \"[\" is not closed; \"\\[\" is a bracket that is meant as it is")
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
