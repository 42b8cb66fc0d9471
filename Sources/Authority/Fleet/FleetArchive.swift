// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials

/// The files of many hosts in one archive, a directory a host, to be carried to them.
public enum FleetArchive {
    /// Writes the archive: mode 0600, whole or not at all.
    ///
    /// - Parameters:
    ///   - names: The hosts. Those that have no certificate under their name are left out.
    ///   - inventory: Where their files are.
    ///   - path: The archive.
    ///   - replaces: Whether another file may be there.
    /// - Throws: ``AuthorityError`` naming the file.
    public static func write(
        _ names: [String],
        of inventory: Inventory,
        to path: String,
        replaces: Bool
    ) throws {
        let directory = inventory.directory
        try AtomicFile.write(path, replaces: replaces) { descriptor in
            var writer = TarWriter(descriptor: descriptor, path: path)
            let rootName = AuthorityFiles.certificate(of: CertificateAuthority.rootName)
            let root = try? directory.read(rootName, isPrivate: false)
            for name in names {
                guard let entry = try inventory.withDatabase({ try $0.current(name).first }) else { continue }
                for (file, mode) in [
                    (entry.certificateFile, 0o644), (entry.keyFile, 0o600), (entry.chainFile, 0o644),
                    (AuthorityFiles.bundle(of: name), 0o600), (AuthorityFiles.bundlePassphrase(of: name), 0o600),
                ] as [(String?, UInt16)] {
                    guard let file, !AuthorityFiles.isAddress(file), directory.contains(file) else { continue }
                    let contents = try directory.read(file, isPrivate: mode == 0o600)
                    try writer.add("\(name)/\(file)", contents, mode: mode, modified: entry.issuedAt)
                }
                if let root { try writer.add("\(name)/\(rootName)", root, mode: 0o644, modified: entry.issuedAt) }
            }
            try writer.finish()
        }
    }
}
