// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import SystemSupport

/// The options for a passphrase that opens PKCS#12.
struct PassphraseOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("Open PKCS#12 with the first line of this file.", valueName: "file")
    )
    var passphraseFile: String?

    @Option(name: .long, help: ArgumentHelp("… or of this environment variable.", valueName: "variable"))
    var passphraseEnv: String?

    @Option(name: .long, help: ArgumentHelp("… or of this open file descriptor.", valueName: "n"))
    var passphraseFd: Int32?

    /// Reads the passphrase, if one was named.
    func read() throws -> SecretBytes? {
        try PassphraseSource.choose(
            file: passphraseFile,
            environment: passphraseEnv,
            descriptor: passphraseFd,
            option: "--passphrase"
        )?.read()
    }
}

/// A file of certificates and lists. Keys in it are passed over without being opened.
struct CertificateFile {
    /// What the file is called.
    var name: String
    /// The certificates and lists in their order.
    var objects: [InspectedObject]

    /// The certificates in their order.
    var certificates: [Certificate] {
        objects.compactMap { if case .certificate(let certificate) = $0 { certificate } else { nil } }
    }

    /// The lists in their order.
    var revocationLists: [CertificateRevocationList] {
        objects.compactMap { if case .revocationList(let list) = $0 { list } else { nil } }
    }

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - source: A file, `-`, `env:NAME` or `fd:N`.
    ///   - passphrase: Opens PKCS#12.
    /// - Throws: ``InputError`` naming the file, when it cannot be read.
    init(reading source: String, passphrase: SecretBytes? = nil) throws {
        guard let contents = try KeyLocation(source).read()?.bytes else {
            throw UsageError(
                message: "\(printable(source)) is not a file",
                hint: "name a file, - for standard input, env:NAME or fd:N"
            )
        }
        try self.init(contents, named: source, passphrase: passphrase)
    }

    /// Takes the contents of a file.
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
