// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The CA's directory on a command line.
enum CADirectoryArgument {
    /// The directory when none is named.
    static let standard = "credential-process-data"

    /// What a command that is proposed needs to find the same directory.
    ///
    /// - Parameter directory: The directory.
    /// - Returns: The option with a blank before it; nothing for ``standard``.
    static func option(_ directory: String) -> String {
        directory == standard ? "" : " " + Quoting.option("--directory", directory)
    }
}
