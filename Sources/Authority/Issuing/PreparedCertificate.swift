// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// A signed certificate that is not yet on the disk or in the inventory.
struct PreparedCertificate: Sendable {
    /// The location of the certificate's key.
    enum Key: Sendable {
        /// A new key, whose file is written into the directory.
        case made(CADirectory.PlannedFile)
        /// A key in a token or an agent: the directory gets the address if it is a CA's.
        case elsewhere(String)
        /// The key of the certificate that is replaced.
        case kept
        /// The key of a certificate request, or one stored under another name.
        case foreign

        static func made(_ key: PrivateKey, for name: String, passphrase: SecretBytes?) throws(CertificateError) -> Key
        {
            .made(
                .init(
                    name: AuthorityFiles.key(of: name), contents: try key.pemEncoded(passphrase: passphrase),
                    mode: 0o600))
        }
    }

    /// What happens to existing files of the name.
    private enum NameChange {
        /// The name is new: files of a process that was killed before it reported them are archived.
        case create
        /// The certificate is replaced, but not its key.
        case renew
        /// The certificate and its key are replaced.
        case replace
    }

    var name: String
    var certificate: Certificate
    var profile: String
    var template: CertificateTemplate
    /// The requested lifetime in seconds, which the CA may have shortened.
    var lifetime: Double
    /// SHA-256 of the issuer's public key.
    var issuerKey: [UInt8]
    var key: Key
    /// A PKCS#12 file and the file of its passphrase.
    var bundle: [CADirectory.PlannedFile] = []
    var chain: [Certificate]
    /// Whether existing files go to the archive, and another entry may have the same common name.
    var archivesExisting: Bool
    var notices: [String] = []
    var action = AuditRecord.Action.issue
    var detail: String?

    /// Adds the certificate to a change: its files, its row and its line of the audit. With `checksCommonName`, a replacement must
    /// have a free common name as well.
    func commit(to change: inout InventoryChange, checksCommonName: Bool = false) throws -> IssuedCertificate {
        // Another process may have revoked the issuer meanwhile.
        try change.checkIssuerNotRevoked(withKey: issuerKey)
        let former = try change.records.current(name)
        if let other = former.first, other.isCA != certificate.isCA {
            throw AuthorityError(
                .exists,
                other.isCA
                    ? "\(name) is a CA and can only be replaced by a CA"
                    : "\(name) is not a CA and cannot be replaced by one",
                hint: "choose another name: --name NAME")
        }
        if checksCommonName || !archivesExisting || action == .renew {
            try change.records.refuseTakenCommonName(of: certificate, named: name)
        }

        let nameChange = nameChange(in: change.directory)
        let archived = try archive(nameChange, in: &change)
        let moved = Dictionary(uniqueKeysWithValues: archived)
        for entry in former {
            let file = moved[AuthorityFiles.certificate(of: name)]
            let key = moved[AuthorityFiles.key(of: name)] ?? entry.keyFile
            try change.records.setPlace(
                of: entry.id, file == nil && change.keepsFiles ? .lost : .replaced,
                certificateFile: file ?? entry.certificateFile,
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
            certificate: certificate, certificatePath: change.directory.certificatePath(of: name),
            keyPath: keyIsFile ? keyRecord.map(change.directory.path(of:)) : nil,
            keyAddress: keyIsFile ? nil : keyRecord, chainPath: chainFile.map(change.directory.path(of:)),
            archivedPaths: archived.map { change.directory.path(of: $0.1) }, notices: notices)
    }

    private func nameChange(in directory: CADirectory) -> NameChange {
        guard archivesExisting else { return .create }
        switch key {
        case .made, .elsewhere: return .replace
        case .kept: return .renew
        case .foreign:
            // An existing key file may belong to the requester: it is moved only if the certificate gets another key.
            let former = try? directory.certificates(in: AuthorityFiles.certificate(of: name)).first
            return former.map { $0.publicKey != certificate.publicKey } ?? false ? .replace : .renew
        }
    }

    /// Refuses names that must be free, and moves other files into the archive. Returns the moved files with their
    /// paths there.
    private func archive(
        _ nameChange: NameChange, in change: inout InventoryChange
    ) throws(AuthorityError) -> [(String, String)] {
        let certificateFile = AuthorityFiles.certificate(of: name)
        let keys = [AuthorityFiles.key(of: name), AuthorityFiles.keyAddress(of: name)]
        // A bundle contains the old certificate and key.
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
            // A client's key without a certificate was never reported.
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

    /// The new files, key before certificate, and the inventory's column of the key.
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
    func commit(_ prepared: PreparedCertificate, now: Date) throws -> IssuedCertificate {
        try change(now: now) { change in try prepared.commit(to: &change) }
    }
}
