// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SystemSupport
import TrustAnchors

/// The CA certificates that a command speaks of: those that were named, or else the root in the CA's directory, and the previous
/// one while a rotation is under way.
enum AuthorityCertificates {
    /// Reads the files.
    ///
    /// - Parameters:
    ///   - paths: What the user named; none takes the directory's.
    ///   - directory: The CA's directory.
    ///   - option: The option that names files, for the way out.
    /// - Returns: The files, unchecked.
    /// - Throws: ``InputError`` naming the file.
    static func files(
        _ paths: [String],
        orIn directory: String,
        option: String
    ) throws -> [TrustAnchorBundle.File] {
        if !paths.isEmpty { return try paths.map { .init(name: $0, contents: try InputFile.read($0)) } }
        do {
            return try StoredIdentity.trustedRoots(in: directory).map { .init(name: $0.path, contents: $0.contents) }
        } catch let error as AuthorityError where error.code == .missing {
            throw InputError(
                message: error.message,
                hint: "make a CA with: pki init-ca \(Quoting.option("--directory", directory)), "
                    + "or name certificates with \(option)"
            )
        }
    }
}
