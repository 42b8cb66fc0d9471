// SPDX-License-Identifier: Apache-2.0

/// A rule that a certificate or a list breaks, as somebody who is to rely on it has put it up.
package struct BrokenRule: Hashable, Sendable {
    /// The rule's name, for programs: `keyUsage`.
    package let name: String

    /// What is wrong, in words that go on after the thing's name: `is of X.509 version 1, not 3`.
    package let finding: String

    /// The way out, when there is one to name.
    package let hint: String?

    /// Makes a finding.
    ///
    /// - Parameters:
    ///   - name: The rule's name, for programs.
    ///   - finding: What is wrong, in words that go on after the thing's name.
    ///   - hint: The way out.
    package init(_ name: String, _ finding: String, hint: String? = nil) {
        self.name = name
        self.finding = finding
        self.hint = hint
    }
}
