// SPDX-License-Identifier: Apache-2.0

import Certificates
package import SystemSupport

/// The address of tokens and of objects in them (RFC 7512): `pkcs11:token=ca;object=root?pin-source=/run/pin`. The path,
/// before the question mark, selects objects: an absent attribute matches all. The query says how to access them. Equal
/// addresses have the same attributes in any order.
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
        package var major: UInt8
        /// Zero without a dot.
        package var minor: UInt8
    }

    package var token: String?
    package var manufacturer: String?
    package var serial: String?
    package var model: String?

    package var libraryManufacturer: String?
    package var libraryDescription: String?
    package var libraryVersion: LibraryVersion?

    /// The number of the slot; zero is a slot like any other.
    package var slotIdentifier: UInt?
    package var slotManufacturer: String?
    package var slotDescription: String?

    /// The label of the object (CKA_LABEL).
    package var object: String?
    package var type: ObjectType?
    /// The identifier of the object (CKA_ID).
    package var identifier: [UInt8]?

    /// The file that holds the PIN, which is all of its first line.
    package var pinSource: String?
    /// The PIN. No description shows it.
    package var pinValue: SecretBytes?
    /// The name of the module, without directory, `lib` and ending.
    package var moduleName: String?
    package var modulePath: String?

    init() {}
}

extension PKCS11URI: Equatable {
    package static func == (left: PKCS11URI, right: PKCS11URI) -> Bool {
        left.attributes(withModule: true).elementsEqual(right.attributes(withModule: true), by: ==)
            && areEqual(left.pinValue, right.pinValue)
    }
}

extension PKCS11URI: CustomStringConvertible, CustomDebugStringConvertible {
    /// The address in RFC 7512's form, without the PIN.
    package var description: String { text(withModule: true) }

    package var debugDescription: String { description }

    /// The path alone, without the query. This is what files of a CA may contain.
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

extension PKCS11URI {
    /// Reads an address. Unknown attributes of the query are ignored; unknown ones of the path are refused, because
    /// nothing could match them (RFC 7512 §2.5). The text may hold the PIN; the caller must wipe it.
    package init(_ text: String) throws(HardwareKeyError) {
        self.init()
        guard Self.isAddress(text) else {
            throw Self.invalid("an address of a token begins with pkcs11:")
        }
        let parts = text.utf8.dropFirst(Self.scheme.utf8.count)
            .split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)

        var seen: Set<String> = []
        for attribute in Self.split(parts[0], at: ";") {
            let (name, value) = try Self.parts(of: attribute)
            guard seen.insert(name).inserted else { throw Self.doubled(name) }
            try Self.refuseQuery(in: value)
            try setPath(name, try Self.decoded(value, of: name, also: ":[]@!$'()*+,=&"))
        }
        seen = []
        for attribute in parts.count > 1 ? Self.split(parts[1], at: "&") : [] {
            let (name, value) = try Self.parts(of: attribute)
            guard Self.queryNames.contains(name) else { continue }
            guard seen.insert(name).inserted else { throw Self.doubled(name) }
            var octets = try Self.decoded(value, of: name, also: ":[]@!$'()*+,=/?|")
            try setQuery(name, octets)
            wipe(&octets)
        }
    }

    /// Whether a text is meant as an address of a token.
    package static func isAddress(_ text: String) -> Bool { text.prefix(7).lowercased() == scheme }

    private static let scheme = "pkcs11:"

    private static let queryNames: Set<String> = ["pin-source", "pin-value", "module-name", "module-path"]

    private mutating func setPath(_ name: String, _ octets: [UInt8]) throws(HardwareKeyError) {
        switch name {
        case "token": token = try Self.text(octets, of: name)
        case "manufacturer": manufacturer = try Self.text(octets, of: name)
        case "serial": serial = try Self.text(octets, of: name)
        case "model": model = try Self.text(octets, of: name)
        case "library-manufacturer": libraryManufacturer = try Self.text(octets, of: name)
        case "library-description": libraryDescription = try Self.text(octets, of: name)
        case "library-version": libraryVersion = try Self.version(octets, of: name)
        case "slot-id":
            guard let number = Self.number(octets[...], as: UInt.self) else {
                throw Self.invalid("the \(name) of a pkcs11: address is not a number")
            }
            slotIdentifier = number
        case "slot-manufacturer": slotManufacturer = try Self.text(octets, of: name)
        case "slot-description": slotDescription = try Self.text(octets, of: name)
        case "object": object = try Self.text(octets, of: name)
        case "type":
            guard let known = ObjectType(rawValue: try Self.text(octets, of: name)) else {
                throw Self.invalid(
                    "the type of a pkcs11: address is not one of public, private, cert, secret-key, data")
            }
            type = known
        case "id": identifier = octets
        case _ where Self.queryNames.contains(name): throw Self.misplaced(name)
        default:
            throw Self.invalid(
                "the attribute \(redacted(printable(name, limit: 40))) of a pkcs11: address is not known, so nothing can match it",
                hint: "known are token, manufacturer, serial, model, object, type, id, slot-… and library-…")
        }
    }

    private mutating func setQuery(_ name: String, _ octets: [UInt8]) throws(HardwareKeyError) {
        switch name {
        case "pin-value": pinValue = SecretBytes(octets)
        case "pin-source": pinSource = try Self.file(try Self.text(octets, of: name))
        case "module-name":
            let value = try Self.text(octets, of: name)
            guard !value.isEmpty, !value.utf8.contains(UInt8(ascii: "/")) else {
                throw Self.invalid(
                    "the module-name of a pkcs11: address is not a name", hint: "give a file by module-path")
            }
            moduleName = value
        default:
            let value = try Self.text(octets, of: name)
            guard value.hasPrefix("/") else {
                throw Self.invalid("the module-path of a pkcs11: address does not begin with a /")
            }
            modulePath = value
        }
    }

    /// The file of a `pin-source`: a path, or one after `file:` (RFC 7512 §2.4).
    private static func file(_ value: String) throws(HardwareKeyError) -> String {
        guard !value.hasPrefix("|") else {
            throw HardwareKeyError(
                .unsupported, "the pin-source of a pkcs11: address is a command, and commands are not run",
                hint: "name a file that holds the PIN: pin-source=file:/run/pin")
        }
        var path = value[...]
        if path.prefix(5).lowercased() == "file:" {
            path = path.dropFirst(5)
            if path.hasPrefix("//localhost/") {
                path = path.dropFirst(11)
            } else if path.hasPrefix("///") {
                path = path.dropFirst(2)
            }
            guard path.hasPrefix("/"), !path.hasPrefix("//") else {
                throw invalid("the pin-source of a pkcs11: address is not a file of this machine")
            }
        }
        guard !path.isEmpty else { throw invalid("the pin-source of a pkcs11: address is empty") }
        return String(path)
    }

    private static func version(_ octets: [UInt8], of name: String) throws(HardwareKeyError) -> LibraryVersion {
        let parts = octets.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, let major = number(parts[0], as: UInt8.self),
            let minor = parts.count == 1 ? 0 : number(parts[1], as: UInt8.self)
        else {
            throw invalid("the \(name) of a pkcs11: address is not a version such as 2 or 2.6")
        }
        return LibraryVersion(major: major, minor: minor)
    }

    private static func number<Number: FixedWidthInteger>(_ digits: ArraySlice<UInt8>, as: Number.Type) -> Number? {
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Number(String(decoding: digits, as: UTF8.self))
    }

    private static func text(_ octets: [UInt8], of name: String) throws(HardwareKeyError) -> String {
        guard let text = String(validating: octets, as: UTF8.self), !octets.contains(0) else {
            throw invalid("the \(name) of a pkcs11: address is not a text in UTF-8")
        }
        return text
    }

    private static func split(_ part: Substring.UTF8View, at separator: Unicode.Scalar) -> [Substring.UTF8View] {
        guard !part.isEmpty else { return [] }
        return part.split(separator: UInt8(ascii: separator), omittingEmptySubsequences: false)
    }

    /// The name of an attribute, and its encoded value.
    private static func parts(
        of attribute: Substring.UTF8View
    ) throws(HardwareKeyError) -> (String, Substring.UTF8View) {
        guard let equals = attribute.firstIndex(of: UInt8(ascii: "=")) else {
            // An attribute without a name may be part of a PIN, so it is not shown.
            throw invalid(
                "an attribute of a pkcs11: address has no = in it",
                hint: "attributes are NAME=VALUE with ; between them, and & after the question mark")
        }
        let name = attribute[..<equals]
        guard !name.isEmpty,
            name.allSatisfy({ PercentEncoding.isUnreserved($0) && $0 != UInt8(ascii: ".") && $0 != UInt8(ascii: "~") })
        else {
            throw invalid("the name of an attribute of a pkcs11: address is not made of letters, digits, - and _")
        }
        return (String(decoding: name, as: UTF8.self), attribute[attribute.index(after: equals)...])
    }

    private static func decoded(
        _ value: Substring.UTF8View, of name: String, also allowed: String
    ) throws(HardwareKeyError) -> [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(value.count)
        var rest = value
        while let octet = rest.popFirst() {
            if octet == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(UInt8.init(hexadecimalDigit:)),
                    let low = rest.popFirst().flatMap(UInt8.init(hexadecimalDigit:))
                else {
                    throw invalid("the \(name) of a pkcs11: address has a % without two hexadecimal digits")
                }
                octets.append(high << 4 | low)
            } else {
                guard PercentEncoding.isUnreserved(octet) || allowed.utf8.contains(octet) else {
                    throw invalid(
                        "the \(name) of a pkcs11: address has a character that must be encoded",
                        hint: "write it as % and two hexadecimal digits: a blank as %20, a / as %2F, a ; as %3B")
                }
                octets.append(octet)
            }
        }
        return octets
    }

    /// Refuses a path value that continues with an attribute of the query: it would be shown, even if it is a PIN.
    private static func refuseQuery(in value: Substring.UTF8View) throws(HardwareKeyError) {
        for part in value.split(separator: UInt8(ascii: "&")).dropFirst() {
            let name = String(decoding: part.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
            if queryNames.contains(name) { throw misplaced(name) }
        }
    }

    private static func misplaced(_ name: String) -> HardwareKeyError {
        invalid(
            "the \(name) of a pkcs11: address is before the question mark",
            hint: "write it after one: pkcs11:token=…?\(name)=…")
    }

    private static func doubled(_ name: String) -> HardwareKeyError {
        invalid("the \(name) of a pkcs11: address is given twice")
    }

    private static func invalid(_ message: String, hint: String? = nil) -> HardwareKeyError {
        HardwareKeyError(.invalidAddress, message, hint: hint)
    }
}
