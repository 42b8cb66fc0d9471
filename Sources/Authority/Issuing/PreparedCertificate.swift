// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
import SystemSupport

/// A certificate that was made and is neither on the disk nor in the inventory yet.
struct PreparedCertificate: Sendable {
    /// Where the certificate's key is.
    enum Key: Sendable {
        /// Made with the certificate: its file comes into the directory.
        case made(CADirectory.PlannedFile)
        /// New under this name, and in a token or an agent: the directory keeps the address of a CA's key.
        case elsewhere(String)
        /// Wherever the key of the certificate that goes is.
        case kept
        /// With whoever sent the request, or under another name.
        case foreign

        /// A key that was made, and its file.
        static func made(_ key: PrivateKey, for name: String, passphrase: SecretBytes?) throws(CertificateError) -> Key
        {
            .made(
                .init(
                    name: AuthorityFiles.key(of: name),
                    contents: try key.pemEncoded(passphrase: passphrase),
                    mode: 0o600
                )
            )
        }

        /// Whether another key comes under the name.
        var isNew: Bool {
            switch self {
            case .made, .elsewhere: true
            case .kept, .foreign: false
            }
        }
    }

    /// What the files are called.
    var name: String
    var certificate: Certificate
    var profile: String
    var template: CertificateTemplate?
    /// How many seconds it was to be good for, although its CA may end before.
    var lifetime: Double
    /// SHA-256 of the issuer's public key.
    var issuerKey: [UInt8]
    /// What becomes of the key under the name.
    var key: Key
    /// A PKCS#12 file with all of it, and the file of its passphrase.
    var bundle: [CADirectory.PlannedFile] = []
    /// The CA certificates that go with it.
    var chain: [Certificate]
    /// Whether files of the same names go to the archive.
    var archivesExisting: Bool
    /// Whether another entry may have the same common name.
    var sharesCommonName = false
    var notices: [String] = []
    var action = AuditRecord.Action.issue
    var detail: String?

    /// Puts the certificate into a change.
    ///
    /// - Parameters:
    ///   - change: The change.
    ///   - directory: The directory, for messages.
    ///   - names: Who has which common name, as far as it has been read.
    /// - Returns: What will be on the disk when the change is done.
    /// - Throws: ``AuthorityError`` when a name is taken.
    func commit(
        to change: inout InventoryChange,
        in directory: CADirectory,
        _ names: inout CommonNames
    ) throws -> IssuedCertificate {
        let certificateName = AuthorityFiles.certificate(of: name)
        let keyName = AuthorityFiles.key(of: name)
        let addressName = AuthorityFiles.keyAddress(of: name)
        let chainName = AuthorityFiles.chain(of: name)
        var archived: [String] = []
        func archive(_ file: String) throws -> String? {
            let moved = try change.archive(file)
            if let moved { archived.append(directory.path(of: moved)) }
            return moved
        }

        // Another process may have revoked it a moment ago.
        try change.checkIssuerNotRevoked(withKey: issuerKey)
        let former = try change.records.current(name)
        if let other = former.first, other.isCA != certificate.isCA {
            throw AuthorityError(
                .exists,
                "\(name) is \(other.isCA ? "a CA" : "no CA"), and \(other.isCA ? "no other certificate" : "no CA") takes its place",
                hint: "take another name with --name"
            )
        }
        if !sharesCommonName { try names.refuseTaken(by: certificate, named: name, in: change.records) }
        if archivesExisting {
            let keyLeaves =
                switch key {
                case .made, .elsewhere: true
                case .kept: false
                case .foreign: hasDifferentKey(certificateName, in: directory)
                }
            let formerKey = keyLeaves ? try archive(keyName) : nil
            if keyLeaves { _ = try archive(addressName) }
            let moved = try archive(certificateName)
            let chain = try archive(chainName)
            // A bundle holds the certificate and the key that go.
            for file in [AuthorityFiles.bundle(of: name), AuthorityFiles.bundlePassphrase(of: name)] {
                _ = try archive(file)
            }
            for entry in former {
                try change.records.setPlace(
                    of: entry.id,
                    moved == nil ? .lost : .replaced,
                    certificateFile: moved ?? entry.certificateFile,
                    keyFile: formerKey ?? entry.keyFile,
                    chainFile: chain
                )
            }
        } else {
            try change.checkDoesNotExist(certificateName)
            if key.isNew, certificate.isCA {
                try change.checkDoesNotExist(keyName)
                try change.checkDoesNotExist(addressName)
            } else if key.isNew, change.contains(keyName) {
                // A key whose certificate was never written was never reported either.
                _ = try archive(keyName)
            }
            for entry in former {
                try change.records.setPlace(
                    of: entry.id,
                    .lost,
                    certificateFile: entry.certificateFile,
                    keyFile: nil,
                    chainFile: nil
                )
            }
            if change.contains(chainName) { _ = try archive(chainName) }
        }

        let keyRecord: String?
        switch key {
        case .made(let file):
            try change.add(file)
            keyRecord = file.name
        case .elsewhere(let address):
            if certificate.isCA { try change.add(.keyAddress(address, of: name)) }
            keyRecord = address
        case .kept:
            let address = former.lazy.compactMap(\.keyFile).first(where: AuthorityFiles.isAddress)
            keyRecord = address ?? (change.contains(keyName) ? keyName : nil)
        case .foreign: keyRecord = nil
        }
        try change.add(
            .init(name: certificateName, contents: SecretBytes(certificate.pemEncoded.utf8), mode: 0o644)
        )
        if !chain.isEmpty {
            let text = chain.map(\.pemEncoded).joined()
            try change.add(.init(name: chainName, contents: SecretBytes(text.utf8), mode: 0o644))
        }
        for file in bundle { try change.add(file) }
        try change.records.insert(
            CertificateRecord(
                name: name,
                certificate: certificate,
                profile: profile,
                issuerKey: issuerKey,
                template: template,
                lifetime: lifetime,
                certificateFile: certificateName,
                keyFile: keyRecord,
                chainFile: chain.isEmpty ? nil : chainName,
                issuedAt: change.now,
                issuedBy: change.who
            )
        )
        try change.audit(action, name, certificate.serialNumber, detail: detail)
        return IssuedCertificate(
            certificate: certificate,
            certificatePath: directory.path(of: certificateName),
            keyPath: keyRecord.flatMap { AuthorityFiles.isAddress($0) ? nil : directory.path(of: $0) },
            keyAddress: keyRecord.flatMap { AuthorityFiles.isAddress($0) ? $0 : nil },
            chainPath: chain.isEmpty ? nil : directory.path(of: chainName),
            archivedPaths: archived,
            notices: notices
        )
    }

    /// Whether the key under the name is that of the certificate that goes. A key beside a certificate request may be the
    /// requester's own, which is not ours to move.
    private func hasDifferentKey(_ certificateName: String, in directory: CADirectory) -> Bool {
        guard let former = try? directory.certificates(in: certificateName).first else { return false }
        return former.publicKey != certificate.publicKey
    }
}
