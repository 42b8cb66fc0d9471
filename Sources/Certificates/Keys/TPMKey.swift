// SPDX-License-Identifier: Apache-2.0

import Synchronization
public import SystemSupport

/// A private key in a TPM 2.0, RSA or EC, through OpenSSL's provider `tpm2` (the package tpm2-openssl).
///
/// The variable TPM2OPENSSL_TCTI, or TPM2TOOLS_TCTI, names the TPM in the notation of tpm2-tss: `device:/dev/tpmrm0`,
/// `swtpm:path=/run/tpm`. Without them it is the first that tpm2-tss finds.
///
/// The provider is loaded and connected when the first key is made, and both are kept for the process. Before that, the
/// variable TSS2_LOG is set to `all+NONE` unless it is set, because tpm2-tss would write to standard error. Requests are
/// serialized. A connection that is lost is made again at the next signature.
public final class TPMKey: SigningKey {
    /// Where the password of a key comes from. It has at most 64 bytes.
    public enum Password: Sendable {
        /// There is none. A key that has one refuses to sign.
        case none
        /// The password itself.
        case given(SecretBytes)
        /// A closure that returns it; called once, and only if the key has one. For a persistent key this is found out by
        /// signing without, which counts as one wrong password if the key is protected against guessing.
        case ask(@Sendable () throws -> SecretBytes?)
    }

    /// The public half.
    public let publicKey: PublicKey

    private let name: String
    private let state: Mutex<State>
    private let reopen: Reopen?

    /// Finds the key again over another connection than the one that was lost.
    private typealias Reopen = @Sendable (_ lost: TPMConnection, _ password: SecretBytes?) throws -> Source

    private enum Source: Sendable {
        case persistent(TPMPersistentKey)
        case loaded(TPMLoadedKey)

        var publicKey: PublicKey {
            switch self {
            case .persistent(let key): key.publicKey
            case .loaded(let key): key.publicKey
            }
        }

        var connection: TPMConnection {
            switch self {
            case .persistent(let key): key.connection
            case .loaded(let key): key.connection
            }
        }
    }

    /// The key as it was found last, and what is known of the password.
    private struct State: Sendable {
        var source: Source
        var password: SecretBytes?
        /// Returns the password; `nil` once it was called.
        var ask: (@Sendable () throws -> SecretBytes?)?
        /// Why the key is not tried again: wrong passwords lock the TPM.
        var refusal: CertificateError?
    }

    /// Finds a persistent key by its handle: `0x81000001` or `handle:0x81000001`. The password is not checked before the
    /// first signature.
    ///
    /// Throws ``CertificateError``: ``CertificateErrorCode/malformed`` for another handle,
    /// ``CertificateErrorCode/unsupported`` without the provider, ``CertificateErrorCode/absent`` without a TPM or
    /// without the key.
    public convenience init(handle: String, password: Password) throws(CertificateError) {
        let number = try Self.number(of: handle)
        try self.init(number: number, password: password, in: TPMConnection.shared()) { lost, _ in
            .persistent(try TPMPersistentKey(number, in: TPMConnection.shared(insteadOf: lost)))
        }
    }

    /// Loads a key that the TPM has wrapped, from a file with the line `-----BEGIN TSS2 PRIVATE KEY-----`; place is its
    /// name in messages. The password is asked for now if the key has one.
    ///
    /// Throws ``CertificateError``: ``CertificateErrorCode/malformed`` without such a key,
    /// ``CertificateErrorCode/unsupported`` if it may not sign or the provider is missing,
    /// ``CertificateErrorCode/absent`` without a TPM or the key's parent, ``CertificateErrorCode/mismatch`` for another
    /// TPM's key; or what the closure throws.
    public convenience init(reading file: SecretBytes, password: Password, place: String = "the file") throws {
        let file = try TPMKeyFile(reading: file)
        try self.init(file: file, password: password, in: TPMConnection.shared(), place: place) { lost, secret in
            .loaded(try TPMLoadedKey.load(file, password: secret, in: TPMConnection.shared(insteadOf: lost)))
        }
    }

    /// Whether a file has a key that a TPM has wrapped, for ``init(reading:password:place:)``.
    public static func isKeyFile(_ file: SecretBytes) -> Bool { TPMKeyFile.isIn(file) }

    private convenience init(
        number: String, password: Password, in connection: TPMConnection, reopen: Reopen?
    ) throws(CertificateError) {
        let name = "the key \(number) in the TPM"
        var (secret, ask): (SecretBytes?, (@Sendable () throws -> SecretBytes?)?)
        switch password {
        case .none: break
        case .given(let given): secret = try Self.checked(given, for: name)
        case .ask(let somebody): ask = somebody
        }
        do {
            let source = Source.persistent(try TPMPersistentKey(number, in: connection))
            self.init(State(source: source, password: secret, ask: ask), name: name, reopen: reopen)
        } catch {
            throw Self.explained(error, of: name, hasPassword: false)
        }
    }

    private convenience init(
        file: TPMKeyFile, password: Password, in connection: TPMConnection, place: String, reopen: Reopen?
    ) throws {
        let name = "the key of the TPM in \(printable(place, limit: 200))"
        var secret: SecretBytes?
        if !file.isWithoutPassword {
            switch password {
            case .none: break
            case .given(let given): secret = try Self.checked(given, for: name)
            case .ask(let ask): secret = try Self.asked(ask, for: name)
            }
        }
        do {
            let source = Source.loaded(try TPMLoadedKey.load(file, password: secret, in: connection))
            self.init(State(source: source, password: secret), name: name, reopen: reopen)
        } catch {
            throw Self.explained(error, of: name, hasPassword: secret != nil)
        }
    }

    /// Finds a key that stays in a TPM, over a connection that is not the process's.
    convenience init(number: String, password: Password, in connection: TPMConnection) throws(CertificateError) {
        try self.init(number: number, password: password, in: connection, reopen: nil)
    }

    convenience init(file: TPMKeyFile, password: Password, in connection: TPMConnection) throws {
        try self.init(file: file, password: password, in: connection, place: "the file", reopen: nil)
    }

    private init(_ state: State, name: String, reopen: Reopen?) {
        publicKey = state.source.publicKey
        self.name = name
        self.reopen = reopen
        self.state = Mutex(state)
    }

    /// Lets the TPM sign a message; see ``SigningKey``. A wrong password is tried once: later calls throw the same error
    /// without the TPM. Throws ``CertificateErrorCode/missingPassphrase``, ``CertificateErrorCode/wrongPassphrase``,
    /// ``CertificateErrorCode/locked``, ``CertificateErrorCode/unsupported``, or what the closure for the password
    /// throws.
    public func signature(for message: [UInt8], digest: Digest) throws -> [UInt8] {
        try state.withLock { state in
            if let refusal = state.refusal { throw refusal }
            do {
                return try signature(for: message, digest: digest, &state)
            } catch let error as CertificateError where error.code == .missingPassphrase {
                state.refusal = error
                guard let ask = state.ask else { throw error }
                state.ask = nil
                state.password = try Self.asked(ask, for: name)
                state.refusal = nil
            } catch let error as CertificateError where error.code == .wrongPassphrase {
                state.refusal = error
                throw error
            }
            do {
                return try signature(for: message, digest: digest, &state)
            } catch let error as CertificateError where error.code == .wrongPassphrase {
                state.refusal = error
                throw error
            }
        }
    }

    private func signature(for message: [UInt8], digest: Digest, _ state: inout State) throws -> [UInt8] {
        do {
            do {
                return try Self.signature(for: message, digest: digest, state)
            } catch let error as OpenSSLError {
                guard TPMAnswer(error).meaning == .unreachable, let reopen else { throw error }
                let source = try reopen(state.source.connection, state.password)
                guard source.publicKey == publicKey else {
                    throw CertificateError(.mismatch, "\(name) is another key than before")
                }
                state.source = source
                return try Self.signature(for: message, digest: digest, state)
            }
        } catch {
            throw Self.explained(error, of: name, hasPassword: state.password != nil)
        }
    }

    private static func signature(for message: [UInt8], digest: Digest, _ state: State) throws -> [UInt8] {
        switch state.source {
        case .persistent(let key): try key.signature(for: message, digest: digest, password: state.password)
        case .loaded(let key): try key.signature(for: message, digest: digest)
        }
    }

    /// The number of a persistent object, `0x81` and six more digits.
    private static func number(of handle: String) throws(CertificateError) -> String {
        var digits = Substring(handle)
        if digits.hasPrefix("handle:") { digits = digits.dropFirst(7) }
        if digits.hasPrefix("0x") || digits.hasPrefix("0X") { digits = digits.dropFirst(2) } else { digits = "" }
        guard digits.utf8.count == 8, digits.hasPrefix("81"), digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            throw CertificateError(
                .malformed, "\(printable(handle, limit: 100)) is not the handle of a key that stays in a TPM",
                hint:
                    "it is 0x81 and six more digits, as in handle:0x81000001; `tpm2_getcap handles-persistent` lists them"
            )
        }
        return "0x\(digits.lowercased())"
    }

    private static func asked(_ ask: () throws -> SecretBytes?, for name: String) throws -> SecretBytes {
        guard let secret = try ask() else {
            throw CertificateError(
                .missingPassphrase, "\(name) has a password, and none was given",
                hint: "name where it is: --passphrase-file FILE")
        }
        return try checked(secret, for: name)
    }

    private static func checked(_ secret: SecretBytes, for name: String) throws(CertificateError) -> SecretBytes {
        // The size of the largest hash.
        let limit = 64
        guard secret.count <= limit else {
            throw CertificateError(
                .wrongPassphrase, "the password for \(name) is longer than a TPM accepts, \(limit) bytes")
        }
        return secret
    }

    private static func explained(_ error: any Error, of name: String, hasPassword: Bool) -> CertificateError {
        switch error {
        case let error as CertificateError: error
        case let error as OpenSSLError: TPMAnswer(error).error(of: name, hasPassword: hasPassword)
        default: CertificateError(.failed, "\(name) cannot be used: \(error)")
        }
    }
}
