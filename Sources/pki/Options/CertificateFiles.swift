// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport
import TrustAnchors

/// A file of certificates and CRLs. Keys in it are skipped without being opened.
struct CertificateFile {
    var name: String
    var objects: [InspectedObject]

    var certificates: [Certificate] {
        objects.compactMap { if case .certificate(let certificate) = $0 { certificate } else { nil } }
    }

    var revocationLists: [CertificateRevocationList] {
        objects.compactMap { if case .revocationList(let list) = $0 { list } else { nil } }
    }

    /// Reads a file, `-`, `env:NAME` or `fd:N`.
    init(reading source: String, passphrase: SecretBytes? = nil) throws {
        guard let contents = try KeyLocation(source).read()?.bytes else {
            throw UsageError(
                message: "\(printable(source)) is not a file",
                hint: "name a file, - for standard input, env:NAME or fd:N")
        }
        try self.init(contents, named: source, passphrase: passphrase)
    }

    init(_ contents: SecretBytes, named source: String, passphrase: SecretBytes? = nil) throws {
        let container: Container
        do {
            container = try Container(reading: contents, passphrase: passphrase)
        } catch {
            throw InputError(message: "\(printable(source)): \(error.message)", hint: error.hint)
        }
        name = source
        objects = container.objects.compactMap { object in
            switch object {
            case .certificate(let certificate): .certificate(certificate)
            case .revocationList(let list): .revocationList(list)
            default: nil
            }
        }
    }
}

/// The CA certificates that a command uses: those that were named, else the root in the CA's directory, with the previous
/// one during a rotation.
enum AuthorityCertificates {
    /// Reads the files without checking them.
    ///
    /// - Parameter option: The option that names files, for the hint.
    static func files(_ paths: [String], orIn directory: String, option: String) throws -> [TrustAnchorBundle.File] {
        if !paths.isEmpty { return try paths.map { .init(name: $0, contents: try InputFile.read($0)) } }
        do {
            return try StoredIdentity.trustedRoots(in: directory).map { .init(name: $0.path, contents: $0.contents) }
        } catch let error as AuthorityError where error.code == .missing {
            throw InputError(
                message: error.message,
                hint: "make a CA with: pki init-ca \(Quoting.option("--directory", directory)), "
                    + "or name certificates with \(option)")
        }
    }
}
