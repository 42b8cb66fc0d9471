// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import Synchronization
import SystemSupport

/// PINs that tokens have refused. A token counts attempts and locks itself, so none of them is offered a second time.
struct PINRefusals: Sendable {
    private var refused: [(token: Token.Identity, user: CK_USER_TYPE, pin: SecretBytes)] = []

    func contains(_ pin: SecretBytes, _ token: Token, _ user: CK_USER_TYPE) -> Bool {
        refused.contains { $0.token == token.identity && $0.user == user && areEqual($0.pin, pin) }
    }

    mutating func insert(_ pin: SecretBytes, _ token: Token, _ user: CK_USER_TYPE) {
        refused.append((token.identity, user, pin))
    }
}

/// Logs in to tokens: knows where PINs come from, keeps those that were accepted, and never offers one twice that was not.
final class PINKeeper: Sendable {
    private let reusesPIN: Bool
    private let ask: @Sendable (PINRequest) throws -> SecretBytes?
    private let accepted = Mutex<[Token.Identity: SecretBytes]>([:])

    init(reusesPIN: Bool, ask: @escaping @Sendable (PINRequest) throws -> SecretBytes?) {
        self.reusesPIN = reusesPIN
        self.ask = ask
    }

    /// Logs in as the token's user, when that is needed and has not been done.
    func logIn(_ session: Session, to token: Token, by address: PKCS11URI) throws {
        guard token.needsLogin, !session.isLoggedIn else { return }
        try attempt(CKU_USER, session, token) { flags in
            try self.pin(for: token, address, .login, flags)
        }
    }

    /// Logs in for the signature that has just begun in a session (CKA_ALWAYS_AUTHENTICATE).
    func logInForSignature(_ session: Session, to token: Token, by address: PKCS11URI) throws {
        try attempt(CKU_CONTEXT_SPECIFIC, session, token) { flags in
            if self.reusesPIN { return try self.pin(for: token, address, .signature, flags) }
            return try self.ask(PINRequest(token, .signature, flags))
        }
    }

    private func pin(
        for token: Token, _ address: PKCS11URI, _ purpose: PINRequest.Purpose, _ flags: CK_FLAGS
    ) throws -> SecretBytes? {
        if let pin = accepted.withLock({ $0[token.identity] }) ?? address.pinValue { return pin }
        if let source = address.pinSource { return try HardwareKeys.pin(inFirstLineOf: source) }
        return try ask(PINRequest(token, purpose, flags))
    }

    /// Offers a PIN to the token, once.
    private func attempt(
        _ user: CK_USER_TYPE, _ session: Session, _ token: Token, pin obtain: (CK_FLAGS) throws -> SecretBytes?
    ) throws {
        let flags = try checkedFlags(of: token)
        if flags & CKF_PROTECTED_AUTHENTICATION_PATH != 0 {
            _ = try token.module.refusals.withLock { _ in try offer(nil, user, session, token) }
            return
        }
        guard let pin = try obtain(flags) else {
            throw HardwareKeyError(
                .pinNeeded, "the token \(token.name) needs its PIN" + (user == CKU_USER ? "" : " for each signature"),
                hint: user == CKU_USER
                    ? "name where it is: --passphrase-file FILE, or ?pin-source=/path in the address"
                    : "name where it is: --passphrase-file FILE; or let the PIN of the login be used again: --reuse-pin"
            )
        }
        guard pin.count > 0 else {
            throw HardwareKeyError(.pinNeeded, "the PIN for the token \(token.name) is empty; it was not tried")
        }
        // Asking a person may have taken long: the token is checked again, by one thread at a time.
        try token.module.refusals.withLock { refusals in
            if user == CKU_USER, session.isLoggedIn { return }
            guard !refusals.contains(pin, token, user) else {
                throw HardwareKeyError(
                    .wrongPIN, "the token \(token.name) has refused this PIN before; it was not tried again",
                    hint: "give the right PIN")
            }
            _ = try checkedFlags(of: token)
            let isProven: Bool
            do {
                isProven = try offer(pin, user, session, token)
            } catch let error as HardwareKeyError where error.code == .wrongPIN || error.code == .locked {
                refusals.insert(pin, token, user)
                accepted.withLock { if areEqual($0[token.identity], pin) { $0[token.identity] = nil } }
                throw error
            }
            if isProven, user == CKU_USER || reusesPIN { accepted.withLock { $0[token.identity] = pin } }
        }
    }

    /// Logs in, and returns whether it was by this PIN: another part of this process may already have logged in.
    private func offer(_ pin: SecretBytes?, _ user: CK_USER_TYPE, _ session: Session, _ token: Token) throws -> Bool {
        do throws(CryptokiError) {
            if let pin {
                try unsafe pin.withUnsafeBytes { bytes throws(CryptokiError) in try unsafe session.logIn(user, bytes) }
            } else {
                try unsafe session.logIn(user, nil)
            }
            return true
        } catch {
            switch error.value {
            case CKR_USER_ALREADY_LOGGED_IN: return false
            case CKR_PIN_INCORRECT, CKR_PIN_LEN_RANGE, CKR_PIN_INVALID:
                let flags = (try? Token(token.module, slot: token.slot))?.flags ?? 0
                throw HardwareKeyError(
                    .wrongPIN, "the token \(token.name) refused the PIN (\(error.name)); it is not tried again",
                    hint: Self.hint(flags))
            case CKR_PIN_LOCKED: throw Self.locked(token)
            case CKR_PIN_EXPIRED, CKR_USER_PIN_NOT_INITIALIZED:
                throw HardwareKeyError(
                    .failed, "the token \(token.name) has no PIN that could be used (\(error.name))",
                    hint: "set its PIN with the token's own tool")
            default: throw error
            }
        }
    }

    /// The token's flags as they are now, when they allow an attempt.
    private func checkedFlags(of token: Token) throws -> CK_FLAGS {
        let flags = try Token(token.module, slot: token.slot).flags
        if flags & CKF_USER_PIN_LOCKED != 0 { throw Self.locked(token) }
        if flags & CKF_USER_PIN_FINAL_TRY != 0 {
            throw HardwareKeyError(
                .locked, "one more wrong PIN would lock the token \(token.name), so none was tried",
                hint: "verify the PIN with another tool first, which sets the count back: pkcs11-tool --login --test")
        }
        return flags
    }

    private static func locked(_ token: Token) -> HardwareKeyError {
        HardwareKeyError(
            .locked, "the PIN of the token \(token.name) is locked",
            hint: "unlock it with the token's own tool, by its security officer's PIN or PUK")
    }

    private static func hint(_ flags: CK_FLAGS) -> String {
        if flags & CKF_USER_PIN_LOCKED != 0 { return "the token is locked now: unlock it with its own tool" }
        if flags & CKF_USER_PIN_FINAL_TRY != 0 {
            return "one attempt is left before it locks: verify the PIN with another tool first"
        }
        if flags & CKF_USER_PIN_COUNT_LOW != 0 { return "few attempts are left before it locks: give the right PIN" }
        return "give the right PIN; the token locks itself after a few wrong ones"
    }
}

extension PINRequest {
    init(_ token: Token, _ purpose: Purpose, _ flags: CK_FLAGS) {
        self.init(tokenLabel: token.name, purpose: purpose, hasFewAttempts: flags & CKF_USER_PIN_COUNT_LOW != 0)
    }
}

package struct PINRequest: Hashable, Sendable {
    /// What the PIN is for.
    package enum Purpose: Hashable, Sendable {
        /// The token, for as long as the process uses it.
        case login
        /// One signature, with a key that requires the PIN for each.
        case signature
    }

    package let tokenLabel: String

    package let purpose: Purpose

    /// Whether the token says that a wrong PIN was given lately, so that few attempts are left.
    package let hasFewAttempts: Bool
}

/// Returns the PIN in the first line of a file, which only its owner may be able to read; a pipe is allowed.
func pin(inFirstLineOf path: String) throws(HardwareKeyError) -> SecretBytes {
    let line: SecretBytes
    do {
        line = try FileContents(of: path, .ownerOnly).bytes.firstLine
    } catch {
        throw HardwareKeyError(.pinNeeded, "the pin-source \(error.message)", hint: error.hint)
    }
    guard line.count > 0 else {
        throw HardwareKeyError(.pinNeeded, "the pin-source \(printable(path, limit: 200)) has an empty first line")
    }
    guard line.count < 1024 else {
        throw HardwareKeyError(
            .pinNeeded, "the first line of the pin-source \(printable(path, limit: 200)) is too long to be a PIN")
    }
    return line
}
