// SPDX-License-Identifier: Apache-2.0

import Certificates

/// A template that the user named.
enum TemplateFile {
    /// Reads a template.
    ///
    /// - Parameter path: The path.
    /// - Returns: The template.
    /// - Throws: ``InputError`` or `CertificateError` naming the file.
    static func read(_ path: String) throws -> CertificateTemplate {
        try CertificateTemplate(reading: try InputFile.read(path), name: path)
    }
}
