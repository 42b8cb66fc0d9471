// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import Synchronization
import SystemSupport

/// A session with a token, closed when the last reference goes. Closing the last session of a token logs out of it.
final class Session: Sendable {
    let module: CryptokiModule
    let handle: CK_SESSION_HANDLE
    private let generation: Int

    init(_ token: Token, isWritable: Bool = false) throws(CryptokiError) {
        module = token.module
        generation = module.generation.load(ordering: .sequentiallyConsistent)
        var handle = CK_SESSION_HANDLE()
        let flags = CKF_SERIAL_SESSION | (isWritable ? CKF_RW_SESSION : 0)
        try module.call("C_OpenSession") { unsafe $0.C_OpenSession?(token.slot, flags, nil, nil, &handle) }
        self.handle = handle
    }

    deinit {
        guard isCurrent else { return }
        try? module.call("C_CloseSession") { $0.C_CloseSession?(handle) }
    }

    /// Whether the module has not been initialized again since.
    var isCurrent: Bool { generation == module.generation.load(ordering: .sequentiallyConsistent) }

    /// Whether this process is logged in to the token as its user, through whatever session.
    var isLoggedIn: Bool {
        var information = CK_SESSION_INFO()
        do throws(CryptokiError) {
            try module.call("C_GetSessionInfo") { unsafe $0.C_GetSessionInfo?(handle, &information) }
        } catch {
            return false
        }
        return information.state == CKS_RO_USER_FUNCTIONS || information.state == CKS_RW_USER_FUNCTIONS
    }

    /// The objects that have all of some attributes.
    func objects(_ attributes: [Attribute]) throws(CryptokiError) -> [CK_OBJECT_HANDLE] {
        try module.call("C_FindObjectsInit") { functions in
            unsafe withTemplate(attributes) { unsafe functions.C_FindObjectsInit?(handle, $0, $1) }
        }
        defer { try? module.call("C_FindObjectsFinal") { $0.C_FindObjectsFinal?(handle) } }
        var found: [CK_OBJECT_HANDLE] = []
        while true {
            var page = [CK_OBJECT_HANDLE](repeating: 0, count: 64)
            var count: CK_ULONG = 0
            try module.call("C_FindObjects") { functions in
                unsafe functions.C_FindObjects?(handle, &page, CK_ULONG(page.count), &count)
            }
            guard count > 0 else { return found }
            found += page.prefix(Int(min(count, 64)))
        }
    }

    /// The value of an attribute; `nil` if the object does not have it, or does not show it.
    func value(_ type: CK_ATTRIBUTE_TYPE, of object: CK_OBJECT_HANDLE) throws(CryptokiError) -> [UInt8]? {
        var attribute = unsafe CK_ATTRIBUTE(type: type, pValue: nil, ulValueLen: 0)
        guard try unsafe isThere(object, &attribute) else { return nil }
        let count = unsafe attribute.ulValueLen
        guard count <= Self.largestValue else { return nil }
        var value = [UInt8](repeating: 0, count: Int(count))
        var isThere = false
        var failure: CryptokiError?
        unsafe value.withUnsafeMutableBytes { bytes in
            unsafe attribute.pValue = bytes.baseAddress
            do throws(CryptokiError) { isThere = try unsafe self.isThere(object, &attribute) } catch { failure = error }
        }
        if let failure { throw failure }
        let written = unsafe attribute.ulValueLen
        return isThere && written <= count ? Array(value.prefix(Int(written))) : nil
    }

    /// More than any certificate or key has. The largest number of all means that there is no value.
    private static let largestValue: CK_ULONG = 1 << 20

    private func isThere(_ object: CK_OBJECT_HANDLE, _ attribute: inout CK_ATTRIBUTE) throws(CryptokiError) -> Bool {
        do {
            try module.call("C_GetAttributeValue") { functions in
                unsafe functions.C_GetAttributeValue?(handle, object, &attribute, 1)
            }
            return true
        } catch {
            switch error.value {
            case CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_SENSITIVE: return false
            default: throw error
            }
        }
    }

    func text(_ type: CK_ATTRIBUTE_TYPE, of object: CK_OBJECT_HANDLE) throws(CryptokiError) -> String {
        String(decoding: try value(type, of: object) ?? [], as: UTF8.self)
    }

    /// Whether an attribute is there and true.
    func flag(_ type: CK_ATTRIBUTE_TYPE, of object: CK_OBJECT_HANDLE) throws(CryptokiError) -> Bool? {
        try value(type, of: object)?.first.map { $0 != 0 }
    }

    func logIn(_ user: CK_USER_TYPE, _ pin: UnsafeRawBufferPointer?) throws(CryptokiError) {
        try module.call("C_Login") { functions in
            // C_Login only reads the PIN, although its type is mutable.
            let bytes = unsafe pin.map { unsafe UnsafeMutableRawBufferPointer(mutating: $0) }
            let place = unsafe bytes?.bindMemory(to: UInt8.self).baseAddress
            return unsafe functions.C_Login?(handle, user, place, CK_ULONG(bytes?.count ?? 0))
        }
    }

    func beginSignature(_ mechanism: CK_MECHANISM_TYPE, key: CK_OBJECT_HANDLE) throws(CryptokiError) {
        try module.call("C_SignInit") { functions in
            var mechanism = unsafe CK_MECHANISM(mechanism: mechanism, pParameter: nil, ulParameterLen: 0)
            return unsafe functions.C_SignInit?(handle, &mechanism, key)
        }
    }

    func signature(of data: [UInt8]) throws(CryptokiError) -> [UInt8] {
        var data = data
        // 16384 bits of RSA, more than any token has.
        var signature = [UInt8](repeating: 0, count: 2048)
        var count = CK_ULONG(signature.count)
        try module.call("C_Sign") { unsafe $0.C_Sign?(handle, &data, CK_ULONG(data.count), &signature, &count) }
        return Array(signature.prefix(Int(min(count, CK_ULONG(signature.count)))))
    }
}

extension Session {
    func generatePair(
        _ mechanism: CK_MECHANISM_TYPE, publicKey: [Attribute], privateKey: [Attribute]
    ) throws(CryptokiError) -> (publicKey: CK_OBJECT_HANDLE, privateKey: CK_OBJECT_HANDLE) {
        var made = (publicKey: CK_OBJECT_HANDLE(), privateKey: CK_OBJECT_HANDLE())
        try module.call("C_GenerateKeyPair") { functions in
            var mechanism = unsafe CK_MECHANISM(mechanism: mechanism, pParameter: nil, ulParameterLen: 0)
            return unsafe withTemplate(publicKey) { publicTemplate, publicCount in
                unsafe withTemplate(privateKey) { privateTemplate, privateCount in
                    unsafe functions.C_GenerateKeyPair?(
                        handle, &mechanism, publicTemplate, publicCount, privateTemplate, privateCount, &made.publicKey,
                        &made.privateKey)
                }
            }
        }
        return made
    }

    func set(_ attribute: Attribute, of object: CK_OBJECT_HANDLE) throws(CryptokiError) {
        try module.call("C_SetAttributeValue") { functions in
            unsafe withTemplate([attribute]) { unsafe functions.C_SetAttributeValue?(handle, object, $0, $1) }
        }
    }

    func destroy(_ object: CK_OBJECT_HANDLE) throws(CryptokiError) {
        try module.call("C_DestroyObject") { $0.C_DestroyObject?(handle, object) }
    }
}

/// An attribute of an object in a token, for a search or a new object.
struct Attribute {
    let type: CK_ATTRIBUTE_TYPE
    let value: [UInt8]

    init(_ type: CK_ATTRIBUTE_TYPE, _ value: [UInt8]) {
        self.type = type
        self.value = value
    }

    init(_ type: CK_ATTRIBUTE_TYPE, _ text: String) { self.init(type, Array(text.utf8)) }

    init(_ type: CK_ATTRIBUTE_TYPE, _ flag: Bool) { self.init(type, [flag ? 1 : 0]) }

    init(_ type: CK_ATTRIBUTE_TYPE, _ number: CK_ULONG) {
        self.init(type, unsafe withUnsafeBytes(of: number) { unsafe Array($0) })
    }
}

/// Lends attributes to a closure as a Cryptoki template.
func withTemplate<Result>(
    _ attributes: [Attribute], _ body: (UnsafeMutablePointer<CK_ATTRIBUTE>?, CK_ULONG) -> Result
) -> Result {
    var values = attributes.flatMap(\.value)
    return unsafe values.withUnsafeMutableBytes { bytes in
        var offset = 0
        var template: [CK_ATTRIBUTE] = unsafe []
        for attribute in attributes {
            let place = unsafe bytes.baseAddress.map { unsafe $0 + offset }
            let count = CK_ULONG(attribute.value.count)
            unsafe template.append(CK_ATTRIBUTE(type: attribute.type, pValue: place, ulValueLen: count))
            offset += attribute.value.count
        }
        return unsafe template.withUnsafeMutableBufferPointer {
            unsafe body($0.baseAddress, CK_ULONG($0.count))
        }
    }
}

/// The number that an attribute's value is.
func number(_ value: [UInt8]?) -> CK_ULONG? {
    guard let value, value.count == MemoryLayout<CK_ULONG>.size else { return nil }
    return unsafe value.withUnsafeBytes { unsafe $0.loadUnaligned(as: CK_ULONG.self) }
}

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
            "no token matches \(printable(address.pathText, limit: 200)); "
                + (all.isEmpty ? "there is none" : "available: " + listed(all.map(\.name))),
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
