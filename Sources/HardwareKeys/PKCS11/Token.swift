// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import SystemSupport

/// A token in a slot, as it was when it was asked.
struct Token: Sendable {
    let module: CryptokiModule
    let slot: CK_SLOT_ID
    let label: String
    let manufacturer: String
    let model: String
    let serial: String
    let flags: CK_FLAGS

    /// The part that stays the same when the token moves to another slot.
    struct Identity: Hashable, Sendable {
        var label: String
        var manufacturer: String
        var model: String
        var serial: String
    }

    var identity: Identity { Identity(label: label, manufacturer: manufacturer, model: model, serial: serial) }

    /// The token's label for messages, without the serial number, which is private.
    var name: String { label.isEmpty ? "(without a label) in slot \(slot)" : printable(label, limit: 40) }

    var needsLogin: Bool { flags & CKF_LOGIN_REQUIRED != 0 }

    init(_ module: CryptokiModule, slot: CK_SLOT_ID) throws(CryptokiError) {
        var information = CK_TOKEN_INFO()
        try module.call("C_GetTokenInfo") { unsafe $0.C_GetTokenInfo?(slot, &information) }
        self.module = module
        self.slot = slot
        label = paddedText(of: information.label)
        manufacturer = paddedText(of: information.manufacturerID)
        model = paddedText(of: information.model)
        serial = paddedText(of: information.serialNumber)
        flags = information.flags
    }

    /// The tokens of a module, those that were never set up left out.
    static func all(in module: CryptokiModule) throws(CryptokiError) -> [Token] {
        var slots: [CK_SLOT_ID] = []
        // The number of slots may grow between two calls.
        for _ in 0..<5 {
            var count: CK_ULONG = 0
            try module.call("C_GetSlotList") { unsafe $0.C_GetSlotList?(1, nil, &count) }
            guard count > 0, count <= 4096 else { break }
            slots = [CK_SLOT_ID](repeating: 0, count: Int(count))
            do {
                try module.call("C_GetSlotList") { unsafe $0.C_GetSlotList?(1, &slots, &count) }
            } catch {
                guard error.value == CKR_BUFFER_TOO_SMALL else { throw error }
                continue
            }
            slots = Array(slots.prefix(Int(count)))
            break
        }
        var tokens: [Token] = []
        for slot in slots {
            // A token that is being removed, or that its driver cannot read, does not hide the others.
            guard let token = try? Token(module, slot: slot) else { continue }
            if token.flags & CKF_TOKEN_INITIALIZED != 0 || !token.label.isEmpty { tokens.append(token) }
        }
        return tokens
    }

    /// Returns the tokens that an address means, at least one.
    static func matching(_ address: PKCS11URI, in module: CryptokiModule) throws -> [Token] {
        let all = try all(in: module)
        var matching: [Token] = []
        if try isMatch(address, module) {
            for token in all where try token.isMatch(address) { matching.append(token) }
        }
        guard matching.isEmpty else { return matching }
        throw HardwareKeyError(
            .absent,
            "there is no token that is \(printable(address.pathText, limit: 200)), "
                + (all.isEmpty ? "and no other" : "only " + listed(all.map(\.name))),
            hint: all.isEmpty
                ? "is it plugged in, and does \(module.name) know it?" : "name one of them: pkcs11:token=…")
    }

    private func isMatch(_ address: PKCS11URI) throws(CryptokiError) -> Bool {
        guard address.token ?? label == label, address.manufacturer ?? manufacturer == manufacturer,
            address.model ?? model == model, address.serial ?? serial == serial,
            address.slotIdentifier ?? slot == slot
        else { return false }
        guard address.slotManufacturer != nil || address.slotDescription != nil else { return true }
        var information = CK_SLOT_INFO()
        try module.call("C_GetSlotInfo") { unsafe $0.C_GetSlotInfo?(slot, &information) }
        let description = paddedText(of: information.slotDescription)
        let maker = paddedText(of: information.manufacturerID)
        return address.slotDescription ?? description == description && address.slotManufacturer ?? maker == maker
    }

    private static func isMatch(_ address: PKCS11URI, _ module: CryptokiModule) throws(CryptokiError) -> Bool {
        guard address.libraryManufacturer != nil || address.libraryDescription != nil || address.libraryVersion != nil
        else { return true }
        var information = CK_INFO()
        try module.call("C_GetInfo") { unsafe $0.C_GetInfo?(&information) }
        let maker = paddedText(of: information.manufacturerID)
        let description = paddedText(of: information.libraryDescription)
        let version = PKCS11URI.LibraryVersion(
            major: information.libraryVersion.major, minor: information.libraryVersion.minor)
        return address.libraryManufacturer ?? maker == maker && address.libraryDescription ?? description == description
            && address.libraryVersion ?? version == version
    }
}

/// A text of fixed length, filled up with blanks.
private func paddedText<Field: BitwiseCopyable>(of field: Field) -> String {
    let octets = unsafe withUnsafeBytes(of: field) { unsafe Array($0.prefix { $0 != 0 }) }
    let end = octets.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
    return String(decoding: octets.prefix(end), as: UTF8.self)
}

/// A few names for a message.
func listed(_ names: [String]) -> String {
    let limit = 10
    let rest = names.count > limit ? ", and \(names.count - limit) more" : ""
    return names.prefix(limit).joined(separator: ", ") + rest
}
