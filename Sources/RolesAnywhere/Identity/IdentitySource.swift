// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// Where an identity comes from: files, things that were read once, or whatever a closure brings from a token or an agent.
///
/// All parts are read as one snapshot. Files that change while they are being read, as they do in a rotation, are read again,
/// so that a new certificate is never paired with an old key by chance.
public struct IdentitySource: Sendable {
    /// Where certificates are.
    public enum Certificates: Sendable {
        /// A file: PEM, DER, PKCS#12 or PKCS#7, with any number of certificates; it may hold the key too.
        case file(String)
        /// The contents of such a file that came from where it can be read only once.
        case contents(SecretBytes, name: String)
        /// Whatever a closure finds.
        ///
        /// - `name`: What it is called in messages.
        /// - `watching`: Files and directories which, when they change, make it worth looking again.
        /// - `read`: Finds the certificates.
        case found(name: String, watching: [String], read: @Sendable () throws -> [Certificate])
    }

    /// Where the private key is.
    public enum Key: Sendable {
        /// In the same place as the certificate.
        case besideCertificate
        /// A file: PEM, DER or PKCS#12, encrypted or not; certificates beside it are used as well.
        case file(String)
        /// The contents of such a file that came from where it can be read only once.
        case contents(SecretBytes, name: String)
        /// Whatever a closure finds for the certificates.
        case found(name: String, open: @Sendable ([Certificate]) throws -> any SigningKey)
    }

    /// The certificate, or a full chain in any order, or those and the key.
    public var certificate: Certificates

    /// The private key.
    public var key: Key

    /// More certificates; `nil` if there are none or they are in the certificate's file.
    public var intermediates: Certificates?

    /// Whether a private key is read from a file that others than its owner may read.
    public var allowsInsecurePermissions: Bool

    /// Whether a key and a chain that are not named are looked for beside the certificate's file: `web-1-key.pem` and
    /// `web-1-chain.pem` for `web-1-cert.pem`. A key in the certificate's file goes first; a chain of another certificate is
    /// not used.
    public var usesFilesBeside = false

    /// Opens a file whose key is only a reference to one in a TPM, given its contents and its name; without it such a file
    /// is refused.
    public var openTPMKey: (@Sendable (SecretBytes, String) throws -> any SigningKey)?

    /// Names the parts.
    ///
    /// - Parameters:
    ///   - certificate: The certificate, or a full chain in any order, or those and the key.
    ///   - key: The private key.
    ///   - intermediates: More certificates.
    ///   - allowsInsecurePermissions: Whether a private key is read from a file that others than its owner may read.
    public init(
        certificate: Certificates, key: Key = .besideCertificate, intermediates: Certificates? = nil,
        allowsInsecurePermissions: Bool = false
    ) {
        self.certificate = certificate
        self.key = key
        self.intermediates = intermediates
        self.allowsInsecurePermissions = allowsInsecurePermissions
    }

    /// Names files.
    ///
    /// - Parameters:
    ///   - certificate: The certificate's file.
    ///   - privateKey: The key's file; `nil` if the key is in the certificate's file.
    ///   - intermediates: A file with more certificates.
    ///   - allowsInsecurePermissions: Whether a private key is read from a file that others than its owner may read.
    public init(
        certificate: String, privateKey: String? = nil, intermediates: String? = nil,
        allowsInsecurePermissions: Bool = false
    ) {
        self.init(
            certificate: .file(certificate),
            key: privateKey.map { .file($0) } ?? .besideCertificate,
            intermediates: intermediates.map { .file($0) },
            allowsInsecurePermissions: allowsInsecurePermissions
        )
    }

    /// How often files that keep changing are read.
    private static let attempts = 5

    /// Reads the identity.
    ///
    /// - Parameter passphrase: Called when something encrypted is to be opened.
    /// - Returns: An identity whose parts belong together. Whether the service will take it is for
    ///   ``Identity/check(at:)`` to say.
    /// - Throws: ``RolesAnywhereError`` naming the file and the rule, or what a closure throws.
    public func read(passphrase: () throws -> SecretBytes? = { nil }) throws -> Identity {
        try readStamped(passphrase: passphrase).identity
    }

    /// Where the key is: where it was named, else in the certificate's file, else in the file beside it.
    ///
    /// - Parameter contents: What is in the certificate's file.
    package func keyPlace(_ contents: SecretBytes) -> Key {
        guard case .besideCertificate = key, lacksKey(contents), let path = expected(.key), FileStatus(at: path) != nil
        else { return key }
        return .file(path)
    }

    /// Whether a file's contents can be read, and there is no key in them.
    fileprivate func lacksKey(_ contents: SecretBytes) -> Bool {
        (try? Container(reading: contents))?.privateKeys.isEmpty == true
    }

    /// The file beside the certificate's that is looked for; `nil` if none is.
    fileprivate func expected(_ part: FilePath.Part) -> String? {
        guard usesFilesBeside, case .file(let path) = certificate else { return nil }
        return FilePath.sibling(part, of: path)
    }

    /// Reads the identity, and what tells whether its files have changed since.
    func readStamped(passphrase: () throws -> SecretBytes?) throws -> (identity: Identity, stamps: IdentityStamps) {
        var attempt = 1
        while true {
            let snapshot = try IdentitySnapshot(of: self)
            do {
                let identity = try snapshot.identity(passphrase: passphrase)
                if snapshot.stamps.areCurrent || attempt == Self.attempts { return (identity, snapshot.stamps) }
            } catch {
                if snapshot.stamps.areCurrent || attempt == Self.attempts { throw error }
            }
            attempt += 1
        }
    }
}

/// What tells whether the files of an identity have changed.
struct IdentityStamps: Sendable {
    let files: [(path: String, stamp: FileStamp?)]

    /// Whether each path still leads to the same file, unchanged. What is no regular file does not count.
    var areCurrent: Bool { files.allSatisfy { file in file.stamp.map { FileStamp(at: file.path) == $0 } ?? true } }
}

/// The parts of an identity as they were at one time.
struct IdentitySnapshot {
    /// Something to be taken apart: a file's contents, or what came from somewhere else.
    private struct Text {
        let name: String
        let bytes: SecretBytes
        /// `nil` if it did not come from a file.
        let file: FileContents?

        init(_ name: String, _ bytes: SecretBytes, file: FileContents? = nil) {
            (self.name, self.bytes, self.file) = (name, bytes, file)
        }
    }

    private let source: IdentitySource
    private let certificate: Text?
    private let key: Text?
    private let intermediates: Text?
    /// The chain beside the certificate, which is used if it is of the certificate.
    private let chainBeside: FileContents?

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
                return Text(path, contents.bytes, file: contents)
            } catch {
                throw RolesAnywhereError(error)
            }
        }
        func text(_ place: IdentitySource.Certificates?) throws(RolesAnywhereError) -> Text? {
            switch place {
            case .file(let path): return try read(path, isSecret: false)
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
                certificate = try text(source.certificate)
            }
        case .contents(let bytes, let name):
            key = Text(name, bytes)
            certificate = try text(source.certificate)
        case .besideCertificate:
            certificate = try text(source.certificate)
            if let certificate, case .file(let path) = source.keyPlace(certificate.bytes) {
                key = try read(path, isSecret: true)
            } else {
                key = certificate
                try Self.checkPrivate(certificate, of: source)
            }
        case .found:
            key = nil
            certificate = try text(source.certificate)
        }
        intermediates = try text(source.intermediates)
        if source.intermediates == nil, let path = source.expected(.chain) {
            // Without waiting for a pipe of that name.
            chainBeside = try? FileContents(regular: path, followsLinks: true)
            files.append((path, chainBeside?.stamp))
        } else {
            chainBeside = nil
        }
        stamps = IdentityStamps(files: files)
    }

    /// Refuses a certificate's file that others can use, if there may be a key in it.
    private static func checkPrivate(_ text: Text?, of source: IdentitySource) throws(RolesAnywhereError) {
        guard let text, let file = text.file, !source.allowsInsecurePermissions, !source.lacksKey(text.bytes),
            // Damaged certificates are reported as that.
            text.bytes.contains("PRIVATE KEY") || !text.bytes.contains("-----BEGIN ")
        else { return }
        do {
            try file.requirePrivate()
        } catch {
            throw RolesAnywhereError(error)
        }
    }

    /// Puts the identity together.
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
        let beside = chain(of: heap)
        heap += beside
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
            identity.keySource = keyName
            if source.intermediates == nil, beside.isEmpty, identity.intermediates.isEmpty,
                let path = source.expected(.chain), FileStatus(at: path, followsLinks: false) != nil
            {
                identity.unusedChain = path
            }
            identity.chainSource = beside.isEmpty ? source.intermediates.map(Self.name) : chainBeside?.name
            return identity
        } catch {
            throw RolesAnywhereError(
                error.code,
                "\"\(printable(Self.name(of: source.certificate)))\" and \"\(printable(keyName))\": \(error.message)",
                hint: error.hint)
        }
    }

    /// The CA certificates of the chain beside the certificate; none if it is another's.
    private func chain(of certificates: [Certificate]) -> [Certificate] {
        guard let chainBeside else { return [] }
        let authorities = ((try? Container(reading: chainBeside.bytes))?.certificates ?? []).filter(\.isCA)
        let isOwn = certificates.contains { certificate in authorities.contains { $0.hasIssued(certificate) } }
        return isOwn ? authorities : []
    }

    private func certificates(
        _ place: IdentitySource.Certificates, _ container: Container?, _ text: Text?
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
        in container: Container?, for certificates: [Certificate], _ passphrase: LazyPassphrase
    ) throws -> any SigningKey {
        guard let container, let text = key, let first = container.privateKeys.first else { throw missingKey }
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

    private var missingKey: RolesAnywhereError {
        guard case .besideCertificate = source.key, key?.name == certificate?.name else {
            return RolesAnywhereError(
                .unusableIdentity, "\"\(printable(keyName))\": there is no private key in it",
                hint: "name the key's file with --private-key; a key in PEM begins with -----BEGIN PRIVATE KEY-----")
        }
        let beside = source.expected(.key).map { ", nor is there a \"\(printable($0))\"" } ?? ""
        return RolesAnywhereError(
            .unusableIdentity, "no private key was given: \"\(printable(keyName))\" holds none\(beside)",
            hint: "name the key's file with --private-key")
    }

    private var keyName: String {
        switch source.key {
        case .file(let path): path
        case .contents(_, let name), .found(let name, _): name
        case .besideCertificate: key?.name ?? Self.name(of: source.certificate)
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
            .unusableIdentity, "there is no certificate in \"\(printable(name))\"",
            hint: "a certificate begins with -----BEGIN CERTIFICATE-----, or is one in DER")
    }
}

/// A passphrase that is asked for when it is needed, until it is right.
private final class LazyPassphrase {
    private let ask: () throws -> SecretBytes?
    private var given: SecretBytes?
    private var wasAsked = false

    init(_ ask: @escaping () throws -> SecretBytes?) { self.ask = ask }

    /// Opens something, first without a passphrase, then with one if that is what was missing.
    func open<Value>(_ body: (SecretBytes?) throws(CertificateError) -> Value) throws -> Value {
        guard !wasAsked else { return try body(given) }
        return try askingForPassphrase({
            wasAsked = true
            given = try ask()
            return given
        }) { (secret) throws(CertificateError) in try body(secret) }
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
