// SPDX-License-Identifier: Apache-2.0

import Certificates
package import SystemSupport

/// The parts of an identity as they were at one time.
struct IdentitySnapshot {
    /// Something to be taken apart: a file's contents, or what came from somewhere else.
    private struct Text {
        let name: String
        let bytes: SecretBytes

        init(_ name: String, _ bytes: SecretBytes) {
            self.name = name
            self.bytes = bytes
        }
    }

    private let source: IdentitySource
    private let certificate: Text?
    private let key: Text?
    private let intermediates: Text?

    /// Whether the files are still the same ones, unchanged.
    let stamps: IdentityStamps

    /// Reads the files of a source.
    init(of source: IdentitySource) throws(RolesAnywhereError) {
        self.source = source
        var files: [(path: String, stamp: FileStamp?)] = []
        func read(_ path: String, isSecret: Bool) throws(RolesAnywhereError) -> Text {
            do {
                let needsOwner = isSecret && !source.allowsInsecurePermissions
                let contents = try FileContents(of: path, needsOwner ? .ownerOnly : .anyone)
                files.append((path, contents.stamp))
                return Text(path, contents.bytes)
            } catch {
                throw RolesAnywhereError(error)
            }
        }
        func text(
            _ place: IdentitySource.Certificates?,
            isSecret: Bool
        ) throws(RolesAnywhereError) -> Text? {
            switch place {
            case .file(let path): return try read(path, isSecret: isSecret)
            case .contents(let bytes, let name): return Text(name, bytes)
            case .found(_, let paths, _):
                files += paths.map { ($0, FileStamp(at: $0)) }
                return nil
            case nil: return nil
            }
        }
        switch source.key {
        case .file(let path):
            key = try read(path, isSecret: true)
            if case .file(path) = source.certificate {
                certificate = key
            } else {
                certificate = try text(source.certificate, isSecret: false)
            }
        case .contents(let bytes, let name):
            key = Text(name, bytes)
            certificate = try text(source.certificate, isSecret: false)
        case .besideCertificate:
            certificate = try text(source.certificate, isSecret: true)
            key = certificate
        case .found:
            key = nil
            certificate = try text(source.certificate, isSecret: false)
        }
        intermediates = try text(source.intermediates, isSecret: false)
        stamps = IdentityStamps(files: files)
    }

    /// Puts the identity together.
    ///
    /// - Parameter ask: Called when something encrypted is to be opened.
    /// - Returns: The identity.
    /// - Throws: What is wrong with a part, or what a closure throws.
    func identity(passphrase ask: () throws -> SecretBytes?) throws -> Identity {
        try withoutActuallyEscaping(ask) { try identity(LazyPassphrase($0)) }
    }

    private func identity(_ passphrase: LazyPassphrase) throws -> Identity {
        let found = try open(certificate, passphrase)
        var heap = try certificates(source.certificate, found, certificate)
        if let place = source.intermediates {
            let more = try certificates(place, open(intermediates, passphrase), intermediates)
            guard !more.isEmpty else { throw empty(Self.name(of: place)) }
            heap += more
        }
        let key: any SigningKey
        if case .found(_, let openKey) = source.key {
            guard !heap.isEmpty else { throw empty(Self.name(of: source.certificate)) }
            key = try openKey(heap)
        } else {
            let isSame = self.key?.name == certificate?.name && found != nil
            let container = isSame ? found : try open(self.key, passphrase)
            if !isSame { heap += container?.certificates ?? [] }
            key = try signingKey(in: container, for: heap, passphrase)
        }
        guard !heap.isEmpty else { throw empty(Self.name(of: source.certificate)) }
        do {
            var identity = try Identity(key: key, certificates: heap)
            identity.source = Self.name(of: source.certificate)
            return identity
        } catch {
            throw RolesAnywhereError(
                error.code,
                "\"\(printable(Self.name(of: source.certificate)))\" and \"\(printable(keyName))\": \(error.message)",
                hint: error.hint
            )
        }
    }

    private func certificates(
        _ place: IdentitySource.Certificates,
        _ container: Container?,
        _ text: Text?
    ) throws -> [Certificate] {
        if case .found(_, _, let read) = place { return try read() }
        return container?.certificates ?? []
    }

    private func open(_ text: Text?, _ passphrase: LazyPassphrase) throws -> Container? {
        guard let text else { return nil }
        do {
            return try passphrase.open { (secret) throws(CertificateError) in
                try Container(reading: text.bytes, passphrase: secret)
            }
        } catch let error as CertificateError {
            throw RolesAnywhereError(error, in: text.name)
        }
    }

    /// The private key: of several, the one of a certificate.
    private func signingKey(
        in container: Container?,
        for certificates: [Certificate],
        _ passphrase: LazyPassphrase
    ) throws -> any SigningKey {
        guard let container, let text = key, let first = container.privateKeys.first else {
            throw RolesAnywhereError(
                .unusableIdentity,
                "\"\(printable(keyName))\": there is no private key in it",
                hint: "name the key's file with --private-key; a key in PEM begins with -----BEGIN PRIVATE KEY-----"
            )
        }
        if first.form == .tss2, let openTPMKey = source.openTPMKey { return try openTPMKey(text.bytes, text.name) }
        do {
            let keys = try container.privateKeys.map { encoded in
                try passphrase.open { (secret) throws(CertificateError) in try encoded.key(passphrase: secret) }
            }
            let own = keys.first { key in certificates.contains { $0.publicKey == key.publicKey } }
            return own ?? keys[0]
        } catch let error as CertificateError {
            throw RolesAnywhereError(error, in: text.name)
        }
    }

    private var keyName: String {
        switch source.key {
        case .file(let path): path
        case .contents(_, let name), .found(let name, _): name
        case .besideCertificate: Self.name(of: source.certificate)
        }
    }

    private static func name(of place: IdentitySource.Certificates) -> String {
        switch place {
        case .file(let path): path
        case .contents(_, let name), .found(let name, _, _): name
        }
    }

    private func empty(_ name: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .unusableIdentity,
            "there is no certificate in \"\(printable(name))\"",
            hint: "a certificate begins with -----BEGIN CERTIFICATE-----, or is one in DER"
        )
    }
}

/// A passphrase that is asked for when it is needed, and once.
private final class LazyPassphrase {
    private let ask: () throws -> SecretBytes?
    private var given: SecretBytes?
    private var wasAsked = false

    init(_ ask: @escaping () throws -> SecretBytes?) { self.ask = ask }

    /// Opens something, first without a passphrase, then with one if that is what was missing.
    func open<Value>(_ body: (SecretBytes?) throws(CertificateError) -> Value) throws -> Value {
        do {
            return try body(given)
        } catch {
            guard error.code == .missingPassphrase, !wasAsked else { throw error }
            wasAsked = true
            given = try ask()
            guard given != nil else { throw error }
            return try body(given)
        }
    }
}

extension RolesAnywhereError {
    /// A hint about a key's file that others can use, or know, with the option by which it is used all the same.
    private static func orInsecure(_ hint: String) -> String { "\(hint); or pass --insecure-permissions" }

    /// A file of an identity that cannot be read, or must not be.
    package init(_ error: FileError) {
        self.init(
            error.isUnprotected || error.code == .foreign ? .unprotectedFile : .unreadableFile,
            error.isUnprotected ? "the private key in \(error.message)" : error.message,
            hint: error.hint.map { error.code == .unprotected || error.code == .foreign ? Self.orInsecure($0) : $0 }
        )
    }

    init(_ error: CertificateError, in name: String) {
        self.init(.unusableIdentity, "\"\(printable(name))\": \(error.message)", hint: error.hint)
    }
}
