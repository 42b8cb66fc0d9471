// SPDX-License-Identifier: Apache-2.0

/// Something that is not as it should be in a CA's directory, or will not be for long.
public struct CADirectoryFinding: Hashable, Sendable {
    /// How bad it is.
    public enum Severity: String, Sendable {
        /// Worth knowing.
        case notice
        /// It works still.
        case warning
        /// Something is lost, open to others or does not fit.
        case failure
    }

    /// The check's name, for programs: `certificate-file`.
    public let check: String

    /// How bad it is.
    public let severity: Severity

    /// What was found, naming the file; lower case, without a full stop.
    public let message: String

    /// The way out.
    public let hint: String?

    /// Whether ``Inventory/repair(in:by:now:)`` mends it.
    public let isRepairable: Bool

    init(
        _ check: String,
        _ severity: Severity,
        _ message: String,
        hint: String? = nil,
        isRepairable: Bool = false
    ) {
        self.check = check
        self.severity = severity
        self.message = message
        self.hint = hint
        self.isRepairable = isRepairable
    }
}
