// SPDX-License-Identifier: Apache-2.0

package import Certificates
import CPKCS11
package import SystemSupport

/// Certificates and keys in PKCS#11 tokens: smart cards, USB tokens, HSMs and software tokens. A module is opened when it
/// is first needed and stays open until the process ends. Calls block. A PIN is offered to a token once: one that was
/// refused is never tried again by this process, and none is tried when the next wrong one would lock the token. An
/// accepted one is kept. PINs come from the address (`pin-value`, then `pin-source`), else from a closure.
package struct PKCS11Source: Sendable {
    let pins: PINKeeper
    let open: @Sendable (PKCS11URI) throws -> CryptokiModule

    /// Creates a source. The module is used if an address has no `module-path`; without both, the address's `module-name`
    /// is searched in the directories of distributions, and without all of them p11-kit gives the modules of the system.
    /// A key that requires the PIN for each signature gets that of the login if `reusesPIN` is set, else the closure is
    /// called for each; it may block, and returns `nil` without a PIN.
    package init(
        module: String? = nil,
        reusesPIN: Bool = false,
        pin: @escaping @Sendable (PINRequest) throws -> SecretBytes? = { _ in nil }
    ) {
        self.init(reusesPIN: reusesPIN, pin: pin) { address in
            try CryptokiModule.opened(try ModuleLocation.file(for: address, module: module))
        }
    }

    /// Creates a source with its own way to open modules.
    init(
        reusesPIN: Bool, pin: @escaping @Sendable (PINRequest) throws -> SecretBytes?,
        open: @escaping @Sendable (PKCS11URI) throws -> CryptokiModule
    ) {
        pins = PINKeeper(reusesPIN: reusesPIN, ask: pin)
        self.open = open
    }

    /// Returns the X.509 certificates that an address means, at least one, in the order of the tokens. No PIN is used
    /// unless no public one is found and the address means one token.
    package func certificates(at address: PKCS11URI) throws -> [Certificate] {
        guard address.type ?? .certificate == .certificate else {
            throw HardwareKeyError(
                .invalidAddress, "\(printable(address.pathText, limit: 200)) does not name a certificate",
                hint: "write type=cert, or leave the type out")
        }
        return try withModule(of: address, "certificates cannot be read") { module in
            let objects = try certificateObjects(at: address, in: module) {
                ($0.label == address.object.map { Array($0.utf8) } ?? $0.label)
                    && ($0.identifier == address.identifier ?? $0.identifier)
            }
            guard !objects.isEmpty else {
                let all = try certificateObjects(at: address, in: module) { _ in true }
                throw HardwareKeyError(
                    .notFound,
                    "no certificate matches \(printable(address.pathText, limit: 200)); "
                        + (all.isEmpty ? "the token has none" : "available: " + listed(all.map(\.name))),
                    hint: "name one by object=… or id=…; one that the token keeps private needs its PIN")
            }
            let certificates = objects.compactMap { try? Certificate(derEncoded: $0.value) }
            guard !certificates.isEmpty else {
                throw HardwareKeyError(
                    .failed, "the certificate \(objects[0].name) in the token cannot be read: it is malformed")
            }
            return unique(certificates)
        }
    }

    /// Returns every X.509 certificate in the tokens that an address means, except malformed ones.
    package func allCertificates(at address: PKCS11URI) throws -> [Certificate] {
        try withModule(of: address, "certificates cannot be read") { module in
            let objects = try certificateObjects(at: address, in: module) { _ in true }
            return unique(objects.compactMap { try? Certificate(derEncoded: $0.value) })
        }
    }

    private func unique(_ certificates: [Certificate]) -> [Certificate] {
        var seen: Set<Certificate> = []
        return certificates.filter { seen.insert($0).inserted }
    }

    private func certificateObjects(
        at address: PKCS11URI, in module: CryptokiModule, where isWanted: (CertificateObject) -> Bool
    ) throws -> [CertificateObject] {
        let tokens = try Token.matching(address, in: module)
        var found: [CertificateObject] = []
        for token in tokens { found += try Session(token).certificateObjects().filter(isWanted) }
        guard found.isEmpty, tokens.count == 1, tokens[0].needsLogin else { return found }
        let session = try Session(tokens[0])
        do {
            try pins.logIn(session, to: tokens[0], by: address)
        } catch let error as HardwareKeyError where error.code == .pinNeeded {
            return []
        }
        return try session.certificateObjects().filter(isWanted)
    }

    /// Calls a closure with the module of an address, and again if other code of this process has closed the module, or the token
    /// was inserted again.
    func withModule<Result>(
        of address: PKCS11URI, _ what: String, _ body: (CryptokiModule) throws -> Result
    ) throws -> Result {
        let module = try open(address)
        do {
            do {
                return try body(module)
            } catch let error as CryptokiError where error.isLostSession {
                try module.initialize()
                return try body(module)
            }
        } catch let error as CryptokiError {
            throw error.explained(what)
        }
    }
}

struct CertificateObject {
    let label: [UInt8]
    let identifier: [UInt8]
    let value: [UInt8]

    var name: String { objectName(label: label, identifier: identifier) }
}

extension Session {
    /// The X.509 certificates in the token that this session may see.
    func certificateObjects() throws(CryptokiError) -> [CertificateObject] {
        let attributes = [Attribute(CKA_CLASS, CKO_CERTIFICATE), Attribute(CKA_CERTIFICATE_TYPE, CKC_X_509)]
        var found: [CertificateObject] = []
        for handle in try objects(attributes) {
            // A certificate may be kept elsewhere, with only its address in the token.
            guard let value = try value(CKA_VALUE, of: handle), !value.isEmpty else { continue }
            found.append(
                CertificateObject(
                    label: try self.value(CKA_LABEL, of: handle) ?? [],
                    identifier: try self.value(CKA_ID, of: handle) ?? [], value: value))
        }
        return found
    }
}
