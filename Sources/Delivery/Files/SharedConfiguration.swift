// SPDX-License-Identifier: Apache-2.0

/// The text of an AWS config or credentials file, which can be edited without losing a byte of anything else
/// (AWS SDKs and Tools Reference Guide, "Shared config and credentials files").
///
/// Comments, order, spacing, line ends, unknown sections, repeated sections, bytes that are no UTF-8: what is not edited
/// comes out as it went in.
public struct SharedConfiguration: Hashable, Sendable {
    /// The file's contents.
    public private(set) var bytes: [UInt8]

    /// Takes the contents of a file.
    ///
    /// - Parameter bytes: Any bytes; none for a file that does not exist yet.
    public init(_ bytes: [UInt8] = []) {
        self.bytes = bytes
    }

    /// The names of the sections in their order, each once, trimmed: `default`, `profile web`, `sso-session x`.
    public var sectionNames: [String] { [] }

    /// What a section sets, in order: names in lower case, values without the blanks around them. A name that is set
    /// several times, or in several sections of the same name, is here once with its last value.
    ///
    /// - Parameter section: The section's name.
    /// - Returns: The settings; nothing when there is no such section.
    public func settings(in section: String) -> [(name: String, value: String)]? { nil }

    /// The value of a setting.
    ///
    /// - Parameters:
    ///   - name: The setting's name, in any case.
    ///   - section: The section's name.
    /// - Returns: The value; nothing when it is not set.
    public func value(of name: String, in section: String) -> String? { nil }

    /// Changes settings of a section, which is made at the end of the file when it is not there.
    ///
    /// A setting that is there keeps its place, spelling and spacing, and gets a new value; a new one goes behind the
    /// section's last setting.
    ///
    /// - Parameters:
    ///   - settings: Names and their values; nothing removes the setting.
    ///   - section: The section's name.
    /// - Throws: ``DeliveryError`` when a name or value cannot stand in such a file.
    public mutating func set(
        _ settings: [(name: String, value: String?)],
        in section: String
    ) throws(DeliveryError) {}
}
