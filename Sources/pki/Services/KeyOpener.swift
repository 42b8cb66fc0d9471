// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HardwareKeys
import RolesAnywhere
import SystemSupport

/// Finds certificates and keys where a command line says they are.
struct KeyOpener: Sendable {
    private let device: DeviceOptions
    private let passphrase: Passphrase
    private let tokens: PKCS11Source

    /// - Parameters:
    ///   - device: How tokens and TPMs are used.
    ///   - passphrase: The secret that opens a key: a passphrase, a token's PIN, a TPM key's password.
    init(_ device: DeviceOptions, passphrase: Passphrase) {
        self.device = device
        self.passphrase = passphrase
        tokens = PKCS11Source(module: device.pkcs11Library, reusesPIN: device.reusePin) { request in
            try passphrase.read(
                request.purpose == .signature
                    ? "PIN of \(request.tokenLabel), for one signature" : "PIN of \(request.tokenLabel)")
        }
    }

    // MARK: - For an identity, which is read later and again

    /// The certificates at a location. What can be read only once is read now.
    func certificateSource(at location: KeyLocation) throws -> IdentitySource.Certificates {
        switch location {
        case .file(let path):
            SecretOrigins.add(path: path)
            return .file(path)
        case .pkcs11(let text):
            let (address, tokens) = (try PKCS11URI(text), tokens)
            return .found(name: "\(address)", watching: []) {
                // With one certificate go the CAs of its token, of which the chain may be.
                let named = try tokens.certificates(at: address)
                guard named.count == 1 else { return named }
                return try named + tokens.allCertificates(at: address).filter { $0.isCA && $0 != named[0] }
            }
        default:
            let (bytes, name) = try contents(of: location, "certificates")
            return .contents(bytes, name: name)
        }
    }

    /// The key at a location; without one, where the certificate is. What can be read only once is read now.
    func keySource(at location: KeyLocation?, beside certificate: KeyLocation) throws -> IdentitySource.Key {
        switch location ?? certificate {
        case .file(let path):
            // With credentials in the cache it is never read, and is still no child's.
            SecretOrigins.add(path: path)
            return location == nil ? .besideCertificate : .file(path)
        case .pkcs11, .agent, .tpm:
            let found = location ?? certificate
            if case .pkcs11(let text) = found { _ = try PKCS11URI(text) }
            return .found(name: "\(found)") { certificates in try key(at: found, for: certificates) }
        case let other:
            if location == nil || location == certificate { return .besideCertificate }
            let (bytes, name) = try contents(of: other, "a key", .ownerOnly)
            return .contents(bytes, name: name)
        }
    }

    // MARK: - At once

    /// The certificates at a location in their order; there may be none.
    ///
    /// - Parameter wholeToken: Whether a token's certificates are returned whichever of its objects is named.
    func certificates(at location: KeyLocation, wholeToken: Bool = false) throws -> [Certificate] {
        if case .pkcs11(let text) = location {
            let address = try PKCS11URI(text)
            return try wholeToken ? tokens.allCertificates(at: address) : tokens.certificates(at: address)
        }
        let (bytes, name) = try contents(of: location, "certificates")
        return try open(name) { (secret) throws(CertificateError) in
            try Container(reading: bytes, passphrase: secret).certificates
        }
    }

    /// The key at a location.
    ///
    /// - Parameters:
    ///   - location: Where it is.
    ///   - certificates: Those that it may belong to.
    ///   - rule: Who may be able to read its file.
    func key(
        at location: KeyLocation, for certificates: [Certificate] = [], _ rule: FileContents.Rule = .ownerOnly
    ) throws -> any SigningKey {
        switch location {
        case .pkcs11(let text): return try tokens.key(at: PKCS11URI(text), certificates: certificates)
        case .tpm(let handle): return try TPMKey(handle: handle, password: tpmPassword)
        case .agent(let fingerprint): return try agent.key(fingerprint: fingerprint)
        default:
            let (bytes, name) = try contents(of: location, "a key", rule)
            let container = try? Container(reading: bytes)
            if container?.privateKeys.first?.form == .tss2 { return try tpmKey(in: bytes, name: name) }
            return try open(name) { (secret) throws(CertificateError) in
                try PrivateKey(reading: bytes, passphrase: secret)
            }
        }
    }

    /// The key that a file refers to, in a TPM.
    func tpmKey(in file: SecretBytes, name: String) throws -> any SigningKey {
        try TPMKey(reading: file, password: tpmPassword, place: name)
    }

    /// Makes a key in a token.
    func generateKey(at text: String, type: KeyType) throws -> any SigningKey {
        try tokens.generateKey(at: PKCS11URI(text), type: type)
    }

    private func contents(
        of location: KeyLocation, _ what: String, _ rule: FileContents.Rule = .anyone
    ) throws -> (SecretBytes, name: String) {
        guard let contents = try location.read(rule) else {
            throw UsageError(message: "\(what) cannot be read from \(location)")
        }
        return contents
    }

    /// Opens something that may be encrypted; errors name it.
    private func open<Value>(_ name: String, _ body: (SecretBytes?) throws(CertificateError) -> Value) throws -> Value {
        do {
            return try askingForPassphrase(passphrase.tries("passphrase of \(name)"), body)
        } catch let error as CertificateError {
            throw InputError(message: "\(name): \(error.message)", hint: error.hint)
        }
    }

    /// A password that was given goes to the TPM at once: finding out whether a key has one may count as a wrong try.
    private var tpmPassword: TPMKey.Password {
        get throws {
            if device.noTpmKeyPassword { return .none }
            if let password = try passphrase.given() { return .given(password) }
            return .ask { [passphrase] in try passphrase.read("password of the TPM key") }
        }
    }

    private var agent: SSHAgent { SSHAgent(socket: ProcessInfo.processInfo.environment["SSH_AUTH_SOCK"] ?? "") }
}
