// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// A certificate that is signed, and neither on the disk nor in the inventory yet.
struct PreparedCertificate: Sendable {
    /// Where the certificate's key is.
    enum Key: Sendable {
        /// Made with the certificate: its file is written into the directory.
        case made(CADirectory.PlannedFile)
        /// New under this name, in a token or an agent: the directory keeps the address of a CA's key.
        case elsewhere(String)
        /// The same as that of the certificate that is replaced.
        case kept
        /// Held by the sender of the request, or stored under another name.
        case foreign

        static func made(_ key: PrivateKey, for name: String, passphrase: SecretBytes?) throws(CertificateError) -> Key
        {
            .made(
                .init(
                    name: AuthorityFiles.key(of: name), contents: try key.pemEncoded(passphrase: passphrase),
                    mode: 0o600))
        }
    }

    /// What happens to the files that the name has.
    private enum NameChange {
        /// The name is new: what a process left that was killed before it could report anything is archived.
        case create
        /// The certificate is replaced, and its key stays.
        case renew
        /// The certificate and its key are replaced.
        case replace
    }

    var name: String
    var certificate: Certificate
    var profile: String
    var template: CertificateTemplate
    /// The lifetime in seconds as it was asked for, although the CA may expire before.
    var lifetime: Double
    /// SHA-256 of the issuer's public key.
    var issuerKey: [UInt8]
    var key: Key
    /// A PKCS#12 file with all of it, and the file of its passphrase.
    var bundle: [CADirectory.PlannedFile] = []
    /// The CA certificates that go with it.
    var chain: [Certificate]
    /// Whether files of the same names go to the archive, and another entry may have the same common name.
    var archivesExisting: Bool
    var notices: [String] = []
    var action = AuditRecord.Action.issue
    var detail: String?

    /// Puts the certificate into a change: its files, its row and its line of the audit. `names` are the common names
    /// in use, as far as they have been read.
    func commit(to change: inout InventoryChange, _ names: inout CommonNames) throws -> IssuedCertificate {
        // Another process may have revoked it since the certificate was signed.
        try change.checkIssuerNotRevoked(withKey: issuerKey)
        let former = try change.records.current(name)
        if let other = former.first, other.isCA != certificate.isCA {
            throw AuthorityError(
                .exists,
                other.isCA
                    ? "\(name) is a CA, and no other certificate takes its place"
                    : "\(name) is no CA, and no CA takes its place", hint: "take another name with --name")
        }
        if !archivesExisting || action == .renew {
            try names.refuseTaken(by: certificate, named: name, in: change.records)
        }

        let nameChange = nameChange(in: change.directory)
        let archived = try archive(nameChange, in: &change)
        let moved = Dictionary(uniqueKeysWithValues: archived)
        for entry in former {
            let file = moved[AuthorityFiles.certificate(of: name)]
            let key = moved[AuthorityFiles.key(of: name)] ?? entry.keyFile
            try change.records.setPlace(
                of: entry.id, file == nil ? .lost : .replaced, certificateFile: file ?? entry.certificateFile,
                keyFile: nameChange == .create ? nil : key,
                chainFile: nameChange == .create ? nil : moved[AuthorityFiles.chain(of: name)])
        }
        let (files, keyRecord) = files(replacing: former, in: change)
        for file in files { try change.add(file) }
        let chainFile = chain.isEmpty ? nil : AuthorityFiles.chain(of: name)
        try change.records.insert(
            InventoryEntry(
                name: name, certificate, profile: profile, issuerKey: issuerKey, template: template, lifetime: lifetime,
                certificateFile: AuthorityFiles.certificate(of: name), keyFile: keyRecord, chainFile: chainFile,
                issuedAt: change.now, issuedBy: change.who), certificate, template)
        try change.audit(action, name, certificate.serialNumber, detail: detail)

        let keyIsFile = keyRecord.map { !AuthorityFiles.isAddress($0) } ?? false
        return IssuedCertificate(
            certificate: certificate,
            certificatePath: change.directory.path(of: AuthorityFiles.certificate(of: name)),
            keyPath: keyIsFile ? keyRecord.map(change.directory.path(of:)) : nil,
            keyAddress: keyIsFile ? nil : keyRecord,
            chainPath: chainFile.map(change.directory.path(of:)),
            archivedPaths: archived.map { change.directory.path(of: $0.1) },
            notices: notices
        )
    }

    private func nameChange(in directory: CADirectory) -> NameChange {
        guard archivesExisting else { return .create }
        switch key {
        case .made, .elsewhere: return .replace
        case .kept: return .renew
        case .foreign:
            // A key beside a certificate request may be the requester's own, which is not ours to move.
            let former = try? directory.certificates(in: AuthorityFiles.certificate(of: name)).first
            return former.map { $0.publicKey != certificate.publicKey } ?? false ? .replace : .renew
        }
    }

    /// Refuses names that must be free, and moves what leaves into the archive. Returns the files that move, with their
    /// names in the archive.
    private func archive(
        _ nameChange: NameChange, in change: inout InventoryChange
    ) throws(AuthorityError) -> [(String, String)] {
        let certificateFile = AuthorityFiles.certificate(of: name)
        let keys = [AuthorityFiles.key(of: name), AuthorityFiles.keyAddress(of: name)]
        // A bundle holds the certificate and the key that leave.
        let others = [
            AuthorityFiles.chain(of: name), AuthorityFiles.bundle(of: name), AuthorityFiles.bundlePassphrase(of: name),
        ]
        let bringsKey =
            switch key {
            case .made, .elsewhere: true
            case .kept, .foreign: false
            }
        let (free, leaving): ([String], [String]) =
            switch nameChange {
            case .create where bringsKey && certificate.isCA: ([certificateFile] + keys, [others[0]])
            // A client's key whose certificate was never written was never reported either.
            case .create: ([certificateFile], bringsKey ? [keys[0], others[0]] : [others[0]])
            case .renew: ([], [certificateFile] + others)
            case .replace: ([], keys + [certificateFile] + others)
            }
        for file in free { try change.checkDoesNotExist(file) }
        var archived: [(String, String)] = []
        for file in leaving {
            if let name = try change.archive(file) { archived.append((file, name)) }
        }
        return archived
    }

    /// The files that are written, key before certificate, and what the inventory says of the key.
    private func files(
        replacing former: [InventoryEntry], in change: InventoryChange
    ) -> ([CADirectory.PlannedFile], key: String?) {
        var files: [CADirectory.PlannedFile] = []
        var keyRecord: String?
        switch key {
        case .made(let file):
            files.append(file)
            keyRecord = file.name
        case .elsewhere(let address):
            if certificate.isCA { files.append(.keyAddress(address, of: name)) }
            keyRecord = address
        case .kept:
            let file = AuthorityFiles.key(of: name)
            let address = former.lazy.compactMap(\.keyFile).first(where: AuthorityFiles.isAddress)
            keyRecord = address ?? (change.contains(file) ? file : nil)
        case .foreign: break
        }
        files.append(.certificates([certificate], AuthorityFiles.certificate(of: name)))
        if !chain.isEmpty { files.append(.certificates(chain, AuthorityFiles.chain(of: name))) }
        return (files + bundle, keyRecord)
    }
}

extension Inventory {
    /// Writes one certificate into the directory and the inventory.
    func commit(_ prepared: PreparedCertificate, now: Date) throws -> IssuedCertificate {
        try change(now: now) { change in
            var names = CommonNames()
            return try prepared.commit(to: &change, &names)
        }
    }
}
