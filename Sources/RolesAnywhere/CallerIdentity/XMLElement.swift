// SPDX-License-Identifier: Apache-2.0

/// An element of a small XML document (XML 1.0), as the query services of AWS answer: elements with text or elements in them.
///
/// What such answers do not have is refused, not skipped: document types, and with them entities of one's own, comments,
/// CDATA, processing instructions, and text beside elements.
struct XMLElement: Hashable {
    /// The name, with its prefix if it has one.
    let name: String

    /// The elements in it, in order.
    private(set) var children: [XMLElement] = []

    /// The text in it, decoded; empty when it has elements.
    private(set) var text = ""

    /// The largest document that is read, in bytes.
    private static let sizeLimit = 65_536

    /// Reads the outermost element of a document; nothing when the document is not such a one.
    ///
    /// - Parameter document: UTF-8.
    init?(_ document: [UInt8]) {
        guard document.count <= Self.sizeLimit, String(validating: document, as: UTF8.self) != nil else { return nil }
        var reader = Reader(rest: document[...])
        reader.skipDeclaration()
        reader.skipBlanks()
        guard let element = reader.element(depth: 0) else { return nil }
        reader.skipBlanks()
        guard reader.rest.isEmpty else { return nil }
        self = element
    }

    private init(name: String) { self.name = name }

    /// The one element of a name in this one.
    ///
    /// - Parameter name: The name.
    /// - Returns: The element; nothing when there is none or more than one.
    func child(_ name: String) -> XMLElement? {
        let found = children.filter { $0.name == name }
        return found.count == 1 ? found.first : nil
    }

    /// What is left of a document.
    private struct Reader {
        var rest: ArraySlice<UInt8>

        private static let depthLimit = 16

        mutating func skipBlanks() { rest = rest.drop(while: Self.isBlank) }

        /// Skips a declaration such as `<?xml version="1.0"?>`, which may stand at the very beginning.
        mutating func skipDeclaration() {
            guard rest.starts(with: "<?xml ".utf8), let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return }
            rest = rest[(end + 1)...]
        }

        mutating func element(depth: Int) -> XMLElement? {
            guard depth < Self.depthLimit, take("<"), let name = name() else { return nil }
            var element = XMLElement(name: name)
            guard let isEmpty = attributes() else { return nil }
            if isEmpty { return element }
            while !rest.starts(with: "</".utf8) {
                if rest.first == UInt8(ascii: "<") {
                    guard let child = self.element(depth: depth + 1) else { return nil }
                    element.children.append(child)
                } else {
                    guard let text = text() else { return nil }
                    element.text += text
                }
            }
            guard take("</"), self.name() == name else { return nil }
            skipBlanks()
            guard take(">") else { return nil }
            if !element.children.isEmpty {
                // Between elements stands nothing but blanks.
                guard element.text.utf8.allSatisfy(Self.isBlank) else { return nil }
                element.text = ""
            }
            return element
        }

        /// Skips the attributes of a tag and its end.
        ///
        /// - Returns: Whether the element ends with the tag; nothing when it is malformed.
        private mutating func attributes() -> Bool? {
            while true {
                let hasBlank = rest.first.map(Self.isBlank) ?? false
                skipBlanks()
                if take(">") { return false }
                if take("/>") { return true }
                guard hasBlank, name() != nil, take("=") else { return nil }
                guard let quote = rest.popFirst(), quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"),
                    let end = rest.firstIndex(of: quote), !rest[..<end].contains(UInt8(ascii: "<"))
                else { return nil }
                rest = rest[(end + 1)...]
            }
        }

        private mutating func name() -> String? {
            let name = rest.prefix {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"): true
                case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"): true
                default: false
                }
            }
            guard let first = name.first, !"0123456789-.".utf8.contains(first) else { return nil }
            rest = rest[name.endIndex...]
            return String(decoding: name, as: UTF8.self)
        }

        /// Text up to the next tag; nothing when there is none.
        private mutating func text() -> String? {
            guard let end = rest.firstIndex(of: UInt8(ascii: "<")) else { return nil }
            var raw = rest[..<end]
            rest = rest[end...]
            var octets: [UInt8] = []
            while let octet = raw.popFirst() {
                guard octet == UInt8(ascii: "&") else {
                    octets.append(octet)
                    continue
                }
                guard let semicolon = raw.prefix(10).firstIndex(of: UInt8(ascii: ";")),
                    let character = Self.character(String(decoding: raw[..<semicolon], as: UTF8.self))
                else { return nil }
                octets += Array(String(character).utf8)
                raw = raw[(semicolon + 1)...]
            }
            return String(decoding: octets, as: UTF8.self)
        }

        /// What a reference such as `amp` or `#x41` stands for.
        private static func character(_ reference: String) -> Unicode.Scalar? {
            switch reference {
            case "amp": return "&"
            case "lt": return "<"
            case "gt": return ">"
            case "quot": return "\""
            case "apos": return "'"
            default: break
            }
            guard reference.hasPrefix("#") else { return nil }
            let isHexadecimal = reference.hasPrefix("#x")
            let digits = reference.dropFirst(isHexadecimal ? 2 : 1)
            guard digits.allSatisfy(\.isHexDigit), let number = UInt32(digits, radix: isHexadecimal ? 16 : 10),
                number != 0
            else { return nil }
            return Unicode.Scalar(number)
        }

        private mutating func take(_ text: StaticString) -> Bool {
            let wanted = "\(text)".utf8
            guard rest.starts(with: wanted) else { return false }
            rest = rest.dropFirst(wanted.count)
            return true
        }

        private static func isBlank(_ octet: UInt8) -> Bool {
            octet == 0x20 || octet == 0x09 || octet == 0x0a || octet == 0x0d
        }
    }
}
