// SPDX-License-Identifier: Apache-2.0

/// A file that several programs change: an AWS config or credentials file.
///
/// It is changed under a lock that every `pki` shares and that ends with its holder, and replaced whole: whoever reads it
/// sees the old contents or the new ones. A symbolic link stays one; its target is replaced.
public struct SharedFile: Sendable {
    /// The path as it was given.
    public let path: String

    /// The permissions of a file that is made.
    static let mode: UInt32 = 0o600

    /// Names a file, which need not exist.
    ///
    /// - Parameter path: The path.
    public init(path: String) {
        self.path = path
    }

    /// Reads the file.
    ///
    /// - Returns: The contents; nothing when there is no such file.
    /// - Throws: ``DeliveryError`` naming the file and what the system says.
    public func read() throws(DeliveryError) -> [UInt8]? { nil }

    /// Changes the file: reads it under the lock, and replaces it when the closure changed the contents.
    ///
    /// The folder is made with mode 0700 when it is missing; others above it too. The new contents are on the disk, name
    /// included, when this returns.
    ///
    /// - Parameters:
    ///   - isPrivate: Whether the file holds secrets: then it has mode 0600 afterwards whatever it had before. Otherwise it
    ///     keeps its mode.
    ///   - change: Is given the contents, empty when there is no file yet.
    /// - Throws: What the closure throws, or ``DeliveryError`` naming the file and what the system says; the file is then as
    ///   it was.
    public func update(isPrivate: Bool, _ change: (inout SharedConfiguration) throws -> Void) throws {}
}
