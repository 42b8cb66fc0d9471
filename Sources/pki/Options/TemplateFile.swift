// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// A template that the user named.
enum TemplateFile {
    /// Reads a template.
    ///
    /// - Parameters:
    ///   - path: The path, if the user named one. A pipe that another program would have to open is refused: it might never do so.
    ///   - isTrusted: Whether it may read other files and environment variables.
    /// - Returns: The template; `nil` without a path.
    /// - Throws: ``InputError`` or `CertificateError` naming the file.
    static func read(_ path: String?, isTrusted: Bool) throws -> CertificateTemplate? {
        guard let path else { return nil }
        if let kind = FileStatus(at: path)?.kind, kind != .regular, kind != .pipe || !path.hasPrefix("/dev/") {
            throw InputError(message: "\"\(printable(path))\" is \(kind.noun), where a template is wanted")
        }
        return try CertificateTemplate(reading: try InputFile.read(path), name: printable(path), isTrusted: isTrusted)
    }
}
