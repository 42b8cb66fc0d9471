// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// What is wrong with a file of hosts, told at once: whoever mends a file wants to know of every line.
struct HostListFaults {
    /// How many lines are told; the others are counted.
    static let limit = 20

    /// What the file is called, fit for a terminal.
    let file: String

    private var told: [(line: Int, text: String)] = []
    private var count = 0
    private var hint: String?

    init(file: String) { self.file = printable(file) }

    /// Notes what is wrong with a line.
    ///
    /// - Parameters:
    ///   - text: What is wrong, with anything that may stand in a file.
    ///   - line: The line, from 1.
    ///   - hint: The way out; that of the first fault is told.
    mutating func add(_ text: String, line: Int, hint: String? = nil) {
        count += 1
        // The lowest lines are told, whatever the order in which faults are found.
        guard told.count < Self.limit || line < told[told.count - 1].line else { return }
        let place = told.firstIndex { $0.line > line } ?? told.count
        if place == 0 { self.hint = hint.map { printable(redacted($0)) } }
        // The file may be a key by mistake.
        told.insert((line, printable(redacted(text), limit: 300)), at: place)
        if told.count > Self.limit { told.removeLast() }
    }

    /// Notes what is wrong with a line, in the words of an error.
    mutating func add(_ error: any Error, line: Int) {
        if let error = error as? any ExplainedError {
            add(error.message, line: line, hint: error.hint)
        } else {
            add("it cannot be read", line: line)
        }
    }

    /// Goes on when there is nothing wrong.
    ///
    /// - Throws: ``AuthorityError`` with all that was noted.
    func check() throws(AuthorityError) {
        guard count > 0 else { return }
        var lines = told.map { "\(file):\($0.line): \($0.text)" }
        if count > 1 { lines.insert("\(count) lines of \(file) cannot be used", at: 0) }
        if count > told.count { lines.append("… and \(count - told.count) more") }
        throw AuthorityError(.invalidRequest, lines.joined(separator: "\n"), hint: hint)
    }
}
