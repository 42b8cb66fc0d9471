// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport

/// What the lab answers to the question for its traces.
struct LabLogPage: Decodable {
    var traces: [LabTrace]
    /// The number of the newest trace that the lab has.
    var newest: Int?
}

/// A decision of the lab, as it came over the wire.
struct LabTrace: Codable {
    struct Check: Codable {
        var check: String
        var title: String
        var passed: Bool
        var detail: String
        var hint: String?
    }

    struct CanonicalRequest: Codable {
        var lab: String
        var client: String?
        var difference: String?
    }

    var number: Int
    var requestId: String
    var date: String
    var remoteAddress: String
    var service: String
    var operation: String
    var status: Int
    var code: String?
    var message: String?
    var subject: String?
    var caller: String?
    var assumedRole: String?
    var checks: [Check]
    var canonicalRequest: CanonicalRequest?

    /// The check that failed.
    var failure: Check? { checks.last.flatMap { $0.passed ? nil : $0 } }

    /// One object on one line.
    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// For a person: the outcome, every check, and for a bad signature both canonical requests side by side.
    ///
    /// - Parameter width: How many columns there are.
    /// - Returns: Lines, the last one empty.
    func text(width: Int) -> String {
        var lines = ["#\(number) \(date) \(status) \(operation) from \(subject ?? caller ?? remoteAddress)"]
        for check in checks {
            lines.append("  \(check.passed ? "ok    " : "FAILED")  \(check.title): \(check.detail)")
            if let hint = check.hint { lines.append("          to mend it: \(hint)") }
        }
        if let code { lines.append("  answered \(code): \(message ?? "")") }
        if let assumedRole { lines.append("  session \(assumedRole)") }
        if let canonicalRequest { lines += canonicalRequest.lines(width: width) }
        // No line ends in a certificate's name or in what a client sent.
        return lines.map { printable($0, limit: .max) }.joined(separator: "\n") + "\n"
    }
}

extension LabTrace.CanonicalRequest {
    /// Both requests side by side, lines that differ marked; one alone where the other is not known.
    fileprivate func lines(width: Int) -> [String] {
        guard let client else {
            return ["  canonical request, as the lab makes it of what it received:"]
                + lab.split(separator: "\n", omittingEmptySubsequences: false).map { "  | \($0)" }
        }
        let column = max(16, (width - 7) / 2)
        let left = lab.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let right = client.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var lines = [
            "  canonical request: \(difference ?? "")",
            "    \(Self.cell("the lab's", column)) | the client's",
        ]
        for index in 0..<max(left.count, right.count) {
            let (one, other) = (index < left.count ? left[index] : "", index < right.count ? right[index] : "")
            let pieces = max(1, (max(one.count, other.count) + column - 1) / column)
            for piece in 0..<pieces {
                let mark = one == other ? " " : "!"
                let cells = [one, other].map { String($0.dropFirst(piece * column).prefix(column)) }
                lines.append("  \(mark) \(Self.cell(cells[0], column)) | \(cells[1])")
            }
        }
        return lines
    }

    private static func cell(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
