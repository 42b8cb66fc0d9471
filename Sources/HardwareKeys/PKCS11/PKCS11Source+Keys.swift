// SPDX-License-Identifier: Apache-2.0

package import Certificates
import CPKCS11
import SystemSupport

extension PKCS11Source {
    /// Returns the private key that an address means, proven by a signature. The address may be the key's, or that of a
    /// certificate (its type is `cert` or absent): its key is searched by the same label and identifier, then by the
    /// certificate's label in the token, then by its identifier. The key must belong to one of the given certificates;
    /// without any, the token must hold the public half. If the address means several tokens, the one is used that shows
    /// the key, its public half or its certificate without a PIN: a PIN is never offered to the wrong token.
    package func key(at address: PKCS11URI, certificates: [Certificate] = []) throws -> PKCS11Key {
        switch address.type {
        case nil, .privateKey, .certificate: break
        default:
            throw HardwareKeyError(
                .invalidAddress, "\(printable(address.pathText, limit: 200)) does not name a private key",
                hint: "write type=private, or leave the type out")
        }
        return try withModule(of: address, "the key cannot be used") { module in
            let token = try token(at: address, certificates, in: module)
            let session = try Session(token)
            try pins.logIn(session, to: token, by: address)
            let (signer, publicKey) = try search(in: session, token, address, certificates)
            return try key(signer, publicKey)
        }
    }

    /// A key that finds itself again when its session is lost.
    func key(_ signer: TokenSigner, _ publicKey: PublicKey) throws -> PKCS11Key {
        let address = signer.address
        let (label, identifier) = (signer.key.label, signer.key.identifier)
        let (identity, module) = (signer.token.identity, signer.token.module)
        let pins = pins
        return try PKCS11Key(signer, publicKey: publicKey) {
            try module.initialize()
            // If the module shows another token it works, and that token's sessions are kept.
            // One that cannot even look, such as a client of a token server that was restarted, has lost all of them.
            if (try? Token.all(in: module))?.isEmpty ?? true { try module.restart() }
            let tokens = try Token.matching(address, in: module)
            guard let token = tokens.first(where: { $0.identity == identity }) else {
                throw HardwareKeyError(
                    .absent, "the token \(printable(identity.label, limit: 40)) is gone", hint: "is it plugged in?")
            }
            let session = try Session(token)
            try pins.logIn(session, to: token, by: address)
            let signers = try session.privateKeys(label: label, identifier: identifier).map {
                TokenSigner(session: session, token: token, key: $0, address: address, pins: pins)
            }
            // The name identifies the key, unless the certificate was needed to choose between two of that name.
            for signer in signers where try signers.count == 1 || signer.proven(among: [publicKey]) != nil {
                return signer
            }
            throw HardwareKeyError(
                .notFound,
                "the key \(objectName(label: label, identifier: identifier)) is not in the token \(token.name) any more"
            )
        }
    }

    /// Finds and proves the key in a token that is logged in to.
    private func search(
        in session: Session, _ token: Token, _ address: PKCS11URI, _ certificates: [Certificate]
    ) throws -> (TokenSigner, PublicKey) {
        let label = address.object.map { Array($0.utf8) }
        var mismatch: HardwareKeyError?
        var seen: Set<CK_OBJECT_HANDLE> = []

        func chosen(from keys: [TokenKey]) throws -> (TokenSigner, PublicKey)? {
            let new = keys.filter { seen.insert($0.handle).inserted }
            guard !new.isEmpty else { return nil }
            do {
                let signers = new.map {
                    TokenSigner(session: session, token: token, key: $0, address: address, pins: pins)
                }
                return try choose(among: signers, certificates)
            } catch let error as HardwareKeyError where error.code == .mismatch {
                mismatch = mismatch ?? error
                return nil
            }
        }

        let named = try session.privateKeys(label: label, identifier: address.identifier)
        if let found = try chosen(from: named) { return found }
        if address.type != .privateKey {
            let objects = try session.certificateObjects().filter { object in
                (label ?? object.label) == object.label
                    && (address.identifier ?? object.identifier) == object.identifier
                    && (certificates.isEmpty || certificates.contains { $0.derEncoded == object.value })
            }
            for object in objects where !object.label.isEmpty {
                if let found = try chosen(from: session.privateKeys(label: object.label)) { return found }
            }
            for object in objects where !object.identifier.isEmpty {
                if let found = try chosen(from: session.privateKeys(identifier: object.identifier)) { return found }
            }
        }
        if let mismatch { throw mismatch }
        let all = try session.privateKeys()
        throw HardwareKeyError(
            .notFound,
            "no private key in the token \(token.name) matches \(printable(address.pathText, limit: 200)); "
                + (all.isEmpty ? "it has none" : "available: " + listed(all.map(\.name))),
            hint: all.isEmpty ? nil : "name one by object=… or id=…")
    }

    /// Takes the one key of some that is meant, and proves it.
    private func choose(
        among signers: [TokenSigner], _ certificates: [Certificate]
    ) throws -> (TokenSigner, PublicKey) {
        var signers = signers
        let wanted = certificates.map(\.publicKey)
        if signers.count > 1, !wanted.isEmpty {
            let shown = try signers.filter { signer in
                try signer.session.publicKeys(of: signer.key).contains { wanted.contains($0) }
            }
            // A token that does not show public keys is tried by signatures.
            signers = try shown.isEmpty ? signers.filter { try $0.proven(among: wanted) != nil } : shown
        }
        guard let signer = signers.first else {
            throw mismatch("none of the keys is that of a certificate given")
        }
        // Keys with the same signatures are one key that is stored twice.
        if signers.count > 1, !wanted.isEmpty {
            let proven = try signers.compactMap { signer in try signer.proven(among: wanted).map { (signer, $0) } }
            if let first = proven.first, Set(proven.map(\.1)).count == 1 { return first }
        }
        guard signers.count == 1 else {
            throw HardwareKeyError(
                .ambiguous,
                "several private keys in the token \(signer.token.name) are meant: " + listed(signers.map(\.key.name)),
                hint: "name one by its id=…, and by object=… too")
        }
        guard wanted.isEmpty else {
            guard let publicKey = try signer.proven(among: wanted) else {
                throw mismatch("the key \(signer.key.name) in the token \(signer.token.name) is not the certificate's")
            }
            return (signer, publicKey)
        }
        let shown = try signer.session.publicKeys(of: signer.key)
        guard !shown.isEmpty else {
            throw HardwareKeyError(
                .unsupported,
                "the token \(signer.token.name) does not show the public half of the key \(signer.key.name)",
                hint: "give the key's certificate too, or put its public key into the token under the same id")
        }
        guard let publicKey = try signer.proven(among: shown) else {
            throw mismatch(
                "the public key that the token \(signer.token.name) shows for \(signer.key.name) is another key's")
        }
        return (signer, publicKey)
    }

    private func mismatch(_ message: String) -> HardwareKeyError {
        HardwareKeyError(.mismatch, message, hint: "certificate and key must belong together: name both by the same id")
    }
}

extension PKCS11Source {
    /// The one token of an address in which to look for a key.
    private func token(
        at address: PKCS11URI, _ certificates: [Certificate], in module: CryptokiModule
    ) throws -> Token {
        let tokens = try Token.matching(address, in: module)
        guard tokens.count > 1 else { return tokens[0] }
        var holders: [Token] = []
        var closed: [Token] = []
        for token in tokens {
            let session = try Session(token)
            if try session.shows(address, certificates) {
                holders.append(token)
            } else if token.needsLogin, !session.isLoggedIn {
                closed.append(token)
            }
        }
        let possible = holders.isEmpty ? closed : holders
        guard let token = possible.first else {
            throw HardwareKeyError(
                .notFound,
                "no private key matches \(printable(address.pathText, limit: 200)) in the tokens "
                    + listed(tokens.map(\.name)))
        }
        guard possible.count == 1 else {
            throw HardwareKeyError(
                .ambiguous,
                "\(printable(address.pathText, limit: 200)) may be in several tokens: \(listed(possible.map(\.name)))",
                hint: "name one: pkcs11:token=…")
        }
        return token
    }
}

extension Session {
    /// Whether the token shows, without more login, an object that an address means: a private key, a public key or
    /// certificate of the same name, or one of some certificates.
    fileprivate func shows(_ address: PKCS11URI, _ certificates: [Certificate]) throws(CryptokiError) -> Bool {
        let label = address.object.map { Array($0.utf8) }
        if try !privateKeys(label: label, identifier: address.identifier).isEmpty { return true }
        for object in try certificateObjects() where certificates.contains(where: { $0.derEncoded == object.value }) {
            return true
        }
        var name: [Attribute] = []
        if let label { name.append(Attribute(CKA_LABEL, label)) }
        if let identifier = address.identifier { name.append(Attribute(CKA_ID, identifier)) }
        guard !name.isEmpty else { return false }
        for kind in [CKO_PUBLIC_KEY, CKO_CERTIFICATE] where try !objects([Attribute(CKA_CLASS, kind)] + name).isEmpty {
            return true
        }
        return false
    }
}

extension PKCS11Source {
    /// Generates a key in a token, sensitive and not extractable. The address must mean one token and name the key by
    /// `object`; without `id`, the key gets 20 octets of the SHA-256 of the public key. The key is proven by a signature.
    package func generateKey(at address: PKCS11URI, type: KeyType) throws -> PKCS11Key {
        guard let label = address.object, !label.isEmpty else {
            throw HardwareKeyError(
                .invalidAddress, "the address of a key to make does not name it",
                hint: "write pkcs11:token=…;object=NAME")
        }
        guard address.type ?? .privateKey == .privateKey else {
            throw HardwareKeyError(.invalidAddress, "the address of a key to create does not name a key")
        }
        let (mechanism, parameters) = try generation(of: type)
        return try withModule(of: address, "the key cannot be made") { module in
            let tokens = try Token.matching(address, in: module)
            guard tokens.count == 1 else {
                throw HardwareKeyError(
                    .ambiguous, "several tokens could hold the key: \(listed(tokens.map(\.name)))",
                    hint: "name one: pkcs11:token=…")
            }
            let session = try Session(tokens[0], isWritable: true)
            try pins.logIn(session, to: tokens[0], by: address)
            try requireFree(label, address.identifier, session, tokens[0])

            let common =
                [Attribute(CKA_TOKEN, true), Attribute(CKA_LABEL, label)]
                + (address.identifier.map { [Attribute(CKA_ID, $0)] } ?? [])
            let made = try session.generatePair(
                mechanism,
                publicKey: common + [Attribute(CKA_VERIFY, true)] + parameters,
                privateKey: common + [
                    Attribute(CKA_PRIVATE, true), Attribute(CKA_SENSITIVE, true), Attribute(CKA_EXTRACTABLE, false),
                    Attribute(CKA_SIGN, true),
                ]
            )
            do {
                return try proven(made.privateKey, label, address, session, tokens[0], publicObject: made.publicKey)
            } catch {
                // A key that cannot be used must not keep the name.
                try? session.destroy(made.privateKey)
                try? session.destroy(made.publicKey)
                throw error
            }
        }
    }

    private func requireFree(_ label: String, _ identifier: [UInt8]?, _ session: Session, _ token: Token) throws {
        let names = [Attribute(CKA_LABEL, label)] + (identifier.map { [Attribute(CKA_ID, $0)] } ?? [])
        for kind in [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY] {
            for name in names where try !session.objects([Attribute(CKA_CLASS, kind), name]).isEmpty {
                let what = name.type == CKA_LABEL ? printable(label, limit: 60) : "id \(hexadecimal(name.value))"
                throw HardwareKeyError(
                    .ambiguous, "the token \(token.name) has a key \(what) already",
                    hint: "choose another name, or remove the old key with the token's own tool")
            }
        }
    }

    /// The new key, with an identifier, in a session that can only read.
    private func proven(
        _ handle: CK_OBJECT_HANDLE, _ label: String, _ address: PKCS11URI, _ session: Session, _ token: Token,
        publicObject: CK_OBJECT_HANDLE
    ) throws -> PKCS11Key {
        let made = try session.privateKeys(label: Array(label.utf8), identifier: address.identifier)
        guard let object = made.first(where: { $0.handle == handle }),
            let publicKey = try session.publicKeys(of: object).first
        else {
            throw HardwareKeyError(.failed, "the token \(token.name) does not show the public half of the new key")
        }
        var found = address
        if address.identifier == nil {
            let identifier = Attribute(CKA_ID, Array(Digest.sha256.hash(publicKey.derEncoded).prefix(20)))
            // A token that chooses identifiers itself may refuse; the label identifies the key.
            try? session.set(identifier, of: handle)
            try? session.set(identifier, of: publicObject)
            found.identifier = try session.value(CKA_ID, of: handle).flatMap { $0.isEmpty ? nil : $0 }
        }
        let reading = try Session(token)
        let keys = try reading.privateKeys(label: Array(label.utf8), identifier: found.identifier)
        guard let key = keys.first else {
            throw HardwareKeyError(.failed, "the token \(token.name) does not show the new key")
        }
        let signer = TokenSigner(session: reading, token: token, key: key, address: address, pins: pins)
        guard try signer.proven(among: [publicKey]) != nil else {
            throw HardwareKeyError(.mismatch, "the new key in the token \(token.name) does not sign as it should")
        }
        return try self.key(signer, publicKey)
    }

    private func generation(of type: KeyType) throws(HardwareKeyError) -> (CK_MECHANISM_TYPE, [Attribute]) {
        func rsa(_ bits: CK_ULONG) -> (CK_MECHANISM_TYPE, [Attribute]) {
            let parameters = [Attribute(CKA_MODULUS_BITS, bits), Attribute(CKA_PUBLIC_EXPONENT, [0x01, 0x00, 0x01])]
            return (CKM_RSA_PKCS_KEY_PAIR_GEN, parameters)
        }
        func ec(_ curve: NamedCurve) -> (CK_MECHANISM_TYPE, [Attribute]) {
            (CKM_EC_KEY_PAIR_GEN, [Attribute(CKA_EC_PARAMS, DER.objectIdentifier(curve.objectIdentifier))])
        }
        switch type {
        case .rsa2048: return rsa(2048)
        case .rsa3072: return rsa(3072)
        case .rsa4096: return rsa(4096)
        case .ecP256: return ec(.p256)
        case .ecP384: return ec(.p384)
        case .mlDSA44, .mlDSA65, .mlDSA87:
            throw HardwareKeyError(
                .unsupported, "tokens do not make \(type.rawValue) keys",
                hint: "choose one of ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096")
        }
    }
}
