// SPDX-License-Identifier: Apache-2.0

import Certificates
package import SystemSupport

/// The address of tokens and of objects in them (RFC 7512): `pkcs11:token=ca;object=root?pin-source=/run/pin`.
///
/// The part before the question mark says what is meant: an attribute that is absent matches everything, one that is
/// there matches only what is equal to it. The part after it says how to get there.
///
/// Two addresses are equal when their attributes are, in whatever order they were written.
package struct PKCS11URI: Sendable {
    /// The kind of object that an address asks for.
    package enum ObjectType: String, Sendable, CaseIterable {
        /// A public key.
        case publicKey = "public"
        /// A private key.
        case privateKey = "private"
        /// A certificate.
        case certificate = "cert"
        /// A secret key.
        case secretKey = "secret-key"
        /// Data without a meaning of its own.
        case data
    }

    /// The version of a library, as `library-version` has it.
    package struct LibraryVersion: Hashable, Sendable {
        /// What stands before the dot.
        package var major: UInt8
        /// What stands after it; zero when there is no dot.
        package var minor: UInt8
    }

    /// The label of the token.
    package var token: String?
    /// Who made the token.
    package var manufacturer: String?
    /// The serial number of the token.
    package var serial: String?
    /// The model of the token.
    package var model: String?

    /// Who made the library.
    package var libraryManufacturer: String?
    /// The library's description of itself.
    package var libraryDescription: String?
    /// The version of the library.
    package var libraryVersion: LibraryVersion?

    /// The number of the slot; zero is a slot like any other.
    package var slotIdentifier: UInt?
    /// Who made the slot.
    package var slotManufacturer: String?
    /// The slot's description.
    package var slotDescription: String?

    /// The label of the object (CKA_LABEL).
    package var object: String?
    /// The kind of object.
    package var type: ObjectType?
    /// The identifier of the object (CKA_ID).
    package var identifier: [UInt8]?

    /// The file that holds the PIN, which is all of its first line.
    package var pinSource: String?
    /// The PIN. No description shows it.
    package var pinValue: SecretBytes?
    /// The name of the module, without directory, `lib` and ending.
    package var moduleName: String?
    /// The file that is the module.
    package var modulePath: String?

    /// An address without attributes, which matches everything.
    init() {}
}

extension PKCS11URI: Equatable {
    /// Whether two addresses have the same attributes.
    package static func == (left: PKCS11URI, right: PKCS11URI) -> Bool {
        left.attributes(withModule: true).elementsEqual(right.attributes(withModule: true), by: ==)
            && areEqual(left.pinValue, right.pinValue)
    }
}

extension PKCS11URI: CustomStringConvertible, CustomDebugStringConvertible {
    /// The address in RFC 7512's form, without the PIN.
    package var description: String { text(withModule: true) }

    /// The same as the description.
    package var debugDescription: String { description }

    /// The part before the question mark: what is meant, not how to get there. It is what a file of a CA may say.
    package var pathText: String { text(withModule: false) }

    private func text(withModule: Bool) -> String {
        let all = attributes(withModule: withModule)
        let path = all.filter { !$0.isQuery }.map { "\($0.name)=\($0.value)" }.joined(separator: ";")
        let query = all.filter(\.isQuery).map { "\($0.name)=\($0.value)" }.joined(separator: "&")
        return "pkcs11:\(path)" + (query.isEmpty ? "" : "?\(query)")
    }
}

extension PKCS11URI {
    /// Every attribute that is there, in a fixed order, as it would be written, but for the PIN.
    private func attributes(withModule: Bool) -> [(name: String, value: String, isQuery: Bool)] {
        let version = libraryVersion.map { "\($0.major).\($0.minor)" }
        let path: [(String, String?)] = [
            ("token", encoded(token)), ("manufacturer", encoded(manufacturer)), ("serial", encoded(serial)),
            ("model", encoded(model)), ("library-manufacturer", encoded(libraryManufacturer)),
            ("library-description", encoded(libraryDescription)), ("library-version", version),
            ("slot-id", slotIdentifier.map { "\($0)" }), ("slot-manufacturer", encoded(slotManufacturer)),
            ("slot-description", encoded(slotDescription)), ("object", encoded(object)), ("type", type?.rawValue),
            ("id", identifier.map { $0.map { "%" + hexadecimal([$0]).uppercased() }.joined() }),
        ]
        let query: [(String, String?)] = [
            ("module-path", encoded(modulePath)), ("module-name", encoded(moduleName)),
            ("pin-source", encoded(pinSource)),
        ]
        return path.compactMap { name, value in value.map { (name, $0, false) } }
            + (withModule ? query : []).compactMap { name, value in value.map { (name, $0, true) } }
    }

    private func encoded(_ text: String?) -> String? { text.map(PercentEncoding.encode) }
}

/// Compares two secrets in a time that does not tell where they differ.
func areEqual(_ left: SecretBytes?, _ right: SecretBytes?) -> Bool {
    guard let left, let right else { return left == nil && right == nil }
    return left.isEqual(to: right)
}
