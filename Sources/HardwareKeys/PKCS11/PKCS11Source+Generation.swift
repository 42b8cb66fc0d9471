// SPDX-License-Identifier: Apache-2.0

package import Certificates
import CPKCS11
import SystemSupport

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
            throw HardwareKeyError(.invalidAddress, "the address of a key to make asks for another thing than a key")
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
