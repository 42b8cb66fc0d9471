// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

extension Inventory {
    /// Encrypts a key of the directory anew, or stores it open.
    ///
    /// The file takes the old one's place in one step. What the disk keeps of the old one is out of reach: a key whose old
    /// passphrase is known to others wants a successor, not another passphrase.
    ///
    /// - Parameters:
    ///   - name: The name under which the key stands: `root`, `web-1`.
    ///   - old: Called when the file is encrypted.
    ///   - new: The new passphrase; nothing stores the key open.
    ///   - now: The moment.
    /// - Returns: The path of the key.
    /// - Throws: ``AuthorityError``, or `CertificateError` when the old passphrase is wrong; the file is as it was then.
    public func changePassphrase(
        of name: String,
        from old: () throws -> SecretBytes?,
        to new: SecretBytes?,
        now: Date
    ) throws -> String {
        try EntryName.check(name)
        let file = AuthorityFiles.key(of: name)
        guard directory.contains(file) else {
            throw AuthorityError(
                .missing,
                "\(directory.path(of: file)) is not there",
                hint: "see what there is: pki list --directory \(Quoting.shell(directory.path))"
            )
        }
        let before = try directory.read(file, isPrivate: true)
        let key = try CertificateAuthority.readKey(of: name, in: directory, passphrase: old)
        return try change(now: now) { change in
            // Another process may have put another key here meanwhile.
            guard try directory.read(file, isPrivate: true).isEqual(to: before) else {
                throw AuthorityError(
                    .exists,
                    "\(directory.path(of: file)) was replaced in the meantime, and is as it was"
                )
            }
            change.replace(with: .init(name: file, contents: try key.pemEncoded(passphrase: new), mode: 0o600))
            try change.audit(.passphrase, name, nil, detail: new == nil ? "removed" : "changed")
            return directory.path(of: file)
        }
    }
}
