// SPDX-License-Identifier: Apache-2.0

public import Certificates
import Synchronization
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
        func text(_ place: IdentitySource.Certificates?, isSecret: Bool) throws(RolesAnywhereError) -> Text? {
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
                hint: error.hint)
        }
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
        guard let container, let text = key, let first = container.privateKeys.first else {
            throw RolesAnywhereError(
                .unusableIdentity, "\"\(printable(keyName))\": there is no private key in it",
                hint: "name the key's file with --private-key; a key in PEM begins with -----BEGIN PRIVATE KEY-----")
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

/// An identity that follows its files through rotations.
///
/// Certificate, chain and key are read as one snapshot and replaced as a whole. While the files do not belong together, as
/// in the middle of a rotation, or cannot be read, the identity stays the one that it was. The kind of key may change.
public final class RotatingIdentity: Sendable {
    /// What looking at the files led to.
    public enum Change: Sendable {
        /// There is a new identity.
        case replaced(Identity)
        /// The files have changed, and what is in them now cannot be used: the identity stays.
        case kept(any Error)
    }

    private struct State {
        var identity: Identity
        var stamps: IdentityStamps
    }

    private let source: IdentitySource
    private let passphrase: @Sendable () throws -> SecretBytes?
    private let state: Mutex<State>

    /// Reads an identity.
    ///
    /// - Parameters:
    ///   - source: Where it comes from.
    ///   - passphrase: Called when something encrypted is to be opened, each time that the files are read.
    /// - Throws: What ``IdentitySource/read(passphrase:)`` throws: there is no earlier identity to use the first time.
    public init(_ source: IdentitySource, passphrase: @escaping @Sendable () throws -> SecretBytes?) throws {
        self.source = source
        self.passphrase = passphrase
        let (identity, stamps) = try source.readStamped(passphrase: passphrase)
        state = Mutex(State(identity: identity, stamps: stamps))
    }

    /// The identity, whole.
    public var identity: Identity { state.withLock { $0.identity } }

    /// Whether the files are other than those that were read last.
    public var hasChanged: Bool { !state.withLock { $0.stamps }.areCurrent }

    /// Looks at the files and reads them when they have changed.
    ///
    /// - Returns: What that led to; `nil` if they have not changed, or say the same as before.
    public func update() -> Change? {
        guard hasChanged else { return nil }
        do {
            let (identity, stamps) = try source.readStamped(passphrase: passphrase)
            let isNew = state.withLock { state in
                defer { state = State(identity: identity, stamps: stamps) }
                return state.identity.certificate != identity.certificate
                    || state.identity.intermediates != identity.intermediates
            }
            return isNew ? .replaced(identity) : nil
        } catch {
            return .kept(error)
        }
    }
}
