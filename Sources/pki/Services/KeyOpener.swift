// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HardwareKeys
import RolesAnywhere
import SystemSupport

/// Finds certificates and keys where a command line says they are.
struct KeyOpener: Sendable {
    private let device: DeviceSettings
    private let passphrase: Passphrase
    private let tokens: PKCS11Source

    /// Makes an opener.
    ///
    /// - Parameters:
    ///   - device: How tokens and TPMs are spoken to.
    ///   - passphrase: The secret that opens a key: a token's PIN, a TPM key's password.
    init(_ device: DeviceSettings, passphrase: Passphrase) {
        self.device = device
        self.passphrase = passphrase
        tokens = PKCS11Source(module: device.pkcs11Library, reusesPIN: device.reusePin) { request in
            try passphrase.read(
                request.purpose == .signature
                    ? "PIN of \(request.tokenLabel), for one signature" : "PIN of \(request.tokenLabel)"
            )
        }
    }

    /// Where certificates are, for an identity.
    ///
    /// - Parameter place: The place.
    /// - Returns: The source. What can be read only once has been read.
    /// - Throws: `FileError`, ``InputError`` or `HardwareKeyError`.
    func certificates(at place: KeyLocation) throws -> IdentitySource.Certificates {
        switch place {
        case .file(let path):
            SecretOrigins.add(path: path)
            return .file(path)
        case .pkcs11(let text):
            let (address, tokens) = (try PKCS11URI(text), tokens)
            return .found(name: "\(address)", watching: []) { try Self.certificates(at: address, in: tokens) }
        default:
            guard let (bytes, name) = try place.read() else {
                throw UsageError(message: "certificates cannot be read from \(place)")
            }
            return .contents(bytes, name: name)
        }
    }

    /// The certificate that an address means, and the others of its token, of which the chain may be.
    private static func certificates(at address: PKCS11URI, in tokens: PKCS11Source) throws -> [Certificate] {
        let named = try tokens.certificates(at: address)
        guard named.count == 1 else { return named }
        let others = try tokens.allCertificates(at: address).filter { $0.isCA && $0 != named[0] }
        return named + others
    }

    /// Every certificate at a place.
    ///
    /// - Parameter place: The place.
    /// - Returns: The certificates in their order; there may be none.
    /// - Throws: An `ExplainedError` naming the place and what is wrong.
    func allCertificates(at place: KeyLocation) throws -> [Certificate] {
        if case .pkcs11(let text) = place { return try tokens.certificates(at: PKCS11URI(text)) }
        guard let (bytes, name) = try place.read() else {
            throw UsageError(message: "certificates cannot be read from \(place)")
        }
        do {
            do {
                return try Container(reading: bytes).certificates
            } catch {
                guard error.code == .missingPassphrase, let secret = try passphrase.read("passphrase of \(name)") else {
                    throw error
                }
                return try Container(reading: bytes, passphrase: secret).certificates
            }
        } catch let error as CertificateError {
            throw InputError(message: "\(name): \(error.message)", hint: error.hint)
        }
    }

    /// Where a key is, for an identity.
    ///
    /// - Parameters:
    ///   - place: The place; nothing for the certificate's.
    ///   - certificate: The certificate's place.
    /// - Returns: The source.
    /// - Throws: `FileError`, ``InputError`` or `HardwareKeyError`.
    func key(at place: KeyLocation?, beside certificate: KeyLocation) throws -> IdentitySource.Key {
        switch place ?? certificate {
        case .file(let path):
            // It may not be read at all, when there are credentials in the cache, and is no child's all the same.
            SecretOrigins.add(path: path)
            return place == nil ? .besideCertificate : .file(path)
        case .pkcs11(let text):
            let (address, tokens) = (try PKCS11URI(text), tokens)
            return .found(name: "\(address)") { try tokens.key(at: address, certificates: $0) }
        case .agent, .tpm:
            let found = place ?? certificate
            return .found(name: "\(found)") { certificates in try key(at: found, for: certificates) }
        case let other:
            if place == nil || place == certificate { return .besideCertificate }
            guard let (bytes, name) = try other.read(.ownerOnly) else {
                throw UsageError(message: "a key cannot be read from \(other)")
            }
            return .contents(bytes, name: name)
        }
    }

    /// Opens a key.
    ///
    /// - Parameters:
    ///   - place: Where it is.
    ///   - certificates: Those that it may belong to.
    ///   - allowsInsecurePermissions: Whether a file may be one that others can read.
    /// - Returns: The key.
    /// - Throws: An `ExplainedError` naming the place and what is wrong.
    func key(
        at place: KeyLocation,
        for certificates: [Certificate] = [],
        allowsInsecurePermissions: Bool = false
    ) throws -> any SigningKey {
        switch place {
        case .pkcs11(let text): return try tokens.key(at: PKCS11URI(text), certificates: certificates)
        case .tpm(let handle): return try TPMKey(handle: handle, password: tpmPassword)
        case .agent(let fingerprint): return try agent.key(fingerprint: fingerprint)
        default:
            guard let (bytes, name) = try place.read(allowsInsecurePermissions ? .anyone : .ownerOnly) else {
                throw UsageError(message: "a key cannot be read from \(place)")
            }
            return try key(in: bytes, name: name)
        }
    }

    private func key(in bytes: SecretBytes, name: String) throws -> any SigningKey {
        func explained(_ error: CertificateError) -> InputError {
            InputError(message: "\(name): \(error.message)", hint: error.hint)
        }
        do {
            let container = try? Container(reading: bytes)
            if container?.privateKeys.first?.form == .tss2 { return try tpmKey(in: bytes, name: name) }
            return try PrivateKey(reading: bytes)
        } catch let error as CertificateError {
            guard error.code == .missingPassphrase, let secret = try passphrase.read("passphrase of \(name)") else {
                throw explained(error)
            }
            do {
                return try PrivateKey(reading: bytes, passphrase: secret)
            } catch {
                throw explained(error)
            }
        }
    }

    /// Opens a file that refers to a key in a TPM.
    func tpmKey(in file: SecretBytes, name: String) throws -> any SigningKey {
        try TPMKey(reading: file, password: tpmPassword, place: name)
    }

    /// Makes a key in a token.
    ///
    /// - Parameters:
    ///   - text: Its address.
    ///   - type: The kind of key.
    /// - Returns: The key.
    /// - Throws: `HardwareKeyError`.
    func generateKey(at text: String, type: KeyType) throws -> any SigningKey {
        try tokens.generateKey(at: PKCS11URI(text), type: type)
    }

    /// The certificates of a token.
    func certificates(inToken text: String) throws -> [Certificate] { try tokens.allCertificates(at: PKCS11URI(text)) }

    /// A key of a token for one of its certificates.
    func key(inToken text: String, for certificate: Certificate) throws -> any SigningKey {
        try tokens.key(at: PKCS11URI(text), certificates: [certificate])
    }

    /// A password that was given is given to the TPM at once: to find out whether a key has one may count as a wrong try.
    private var tpmPassword: TPMKey.Password {
        get throws {
            if device.noTpmKeyPassword { return .none }
            if let password = try passphrase.given() { return .given(password) }
            return .ask { [passphrase] in try passphrase.read("password of the TPM key") }
        }
    }

    private var agent: SSHAgent {
        get throws {
            guard let socket = ProcessInfo.processInfo.environment["SSH_AUTH_SOCK"], !socket.isEmpty else {
                throw HardwareKeyError(
                    .absent,
                    "there is no SSH agent: SSH_AUTH_SOCK is not set",
                    hint: "start one and give it the key: eval \"$(ssh-agent)\"; ssh-add KEY"
                )
            }
            return SSHAgent(socket: socket)
        }
    }
}

extension KeyLocation: CustomStringConvertible {
    /// The place without what may be secret.
    var description: String {
        switch self {
        case .file(let path): path
        case .standardInput: "standard input"
        case .environment(let name): "env:\(name)"
        case .descriptor(let number): "fd:\(number)"
        case .pkcs11(let text): (try? PKCS11URI(text)).map { "\($0)" } ?? "pkcs11:…"
        case .tpm(let handle): handle
        case .agent(let fingerprint): "ssh-agent:\(fingerprint)"
        }
    }
}
