// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// A distinguished name (RFC 5280 §4.1.2.4), known by its bytes: that is how an issuer is matched to a subject.
public struct DistinguishedName: Hashable, Sendable {
    /// One attribute of a relative distinguished name.
    public struct Attribute: Hashable, Sendable {
        /// The short name of the type (`CN`, `O`, `OU`, …), or its object identifier in dots when it has none.
        public let type: String

        /// The value as text.
        public let value: String

        /// Creates an attribute; the type is a short name, a long name or an object identifier in dots.
        public init(type: String, value: String) {
            self.type = type
            self.value = value
        }
    }

    /// The DER encoding of the Name.
    public let derEncoded: [UInt8]

    /// Adopts an encoded name without looking inside.
    package init(derEncoded: [UInt8]) { self.derEncoded = derEncoded }

    /// Reads the text form of RFC 4514, the most specific part first (`CN=web-1,OU=Ops,O=Acme`; `\,` and `\2C` escape,
    /// `"…"` quotes), or the form of `openssl -subj`: `/O=Acme/OU=Ops/CN=web-1`. Throws ``CertificateError`` naming the
    /// part that is malformed, unknown or too long.
    public init(_ text: String) throws(CertificateError) {
        let sets = try text.hasPrefix("/") ? Self.parseSlashes(text) : Self.parseRFC4514(text)
        try self.init(relativeNames: sets)
    }

    /// Whether the name has no attribute at all. Roles Anywhere wants a subject that has some.
    public var isEmpty: Bool { derEncoded == [0x30, 0x00] }

    /// The last common name, which is the most specific one.
    public var commonName: String? { relativeNames.joined().last { $0.type == "CN" }?.value }

    /// The same name with another common name, appended where there was none.
    package func replacingCommonName(with value: String) throws(CertificateError) -> DistinguishedName {
        var names = relativeNames
        let attribute = Attribute(type: "CN", value: value)
        for (position, set) in names.enumerated().reversed() {
            if let index = set.lastIndex(where: { $0.type == "CN" }) {
                names[position][index] = attribute
                return try DistinguishedName(relativeNames: names)
            }
        }
        return try DistinguishedName(relativeNames: names + [[attribute]])
    }
}

extension DistinguishedName {
    private static func malformed(_ text: String, _ why: String) -> CertificateError {
        CertificateError(
            .invalidName, "the name \"\(text)\" is not a distinguished name: \(why)",
            hint: "write it as in RFC 4514, for example \"CN=web-1,OU=Operations,O=Example\"")
    }

    /// `/type=value/type=value`, with `\` escaping the next character and ` + ` never joining.
    private static func parseSlashes(_ text: String) throws(CertificateError) -> [[Attribute]] {
        var parts: [String] = []
        var escaped = false
        for character in text.dropFirst() {
            if escaped {
                if character != "/" { parts[parts.count - 1].append("\\") }
                parts[parts.count - 1].append(character)
                escaped = false
                continue
            }
            if parts.isEmpty { parts.append("") }
            switch character {
            case "\\": escaped = true
            case "/": parts.append("")
            default: parts[parts.count - 1].append(character)
            }
        }
        var names: [[Attribute]] = []
        for part in parts where !part.isEmpty {
            guard let equals = part.firstIndex(of: "=") else { throw malformed(text, "\"\(part)\" has no \"=\"") }
            names.append([Attribute(type: String(part[..<equals]), value: String(part[part.index(after: equals)...]))])
        }
        return names
    }

    private static func parseRFC4514(_ text: String) throws(CertificateError) -> [[Attribute]] {
        var parser = RFC4514Parser(text)
        let sets = try parser.parse()
        return sets.reversed()
    }

    /// Reads RFC 4514 §3, one octet after the other.
    private struct RFC4514Parser {
        let text: String
        let octets: [UInt8]
        var position = 0

        init(_ text: String) {
            self.text = text
            octets = Array(text.utf8)
        }

        private var current: UInt8? { position < octets.count ? octets[position] : nil }

        private mutating func skipBlanks() {
            while current == UInt8(ascii: " ") { position += 1 }
        }

        mutating func parse() throws(CertificateError) -> [[Attribute]] {
            var sets: [[Attribute]] = []
            skipBlanks()
            guard current != nil else { return [] }
            var startsSet = true
            while true {
                let attribute = try parseAttribute()
                if startsSet { sets.append([attribute]) } else { sets[sets.count - 1].append(attribute) }
                guard let separator = current else { return sets }
                position += 1
                startsSet = separator != UInt8(ascii: "+")
            }
        }

        private mutating func parseAttribute() throws(CertificateError) -> Attribute {
            skipBlanks()
            let start = position
            while let octet = current, octet != UInt8(ascii: "="), octet != UInt8(ascii: ","),
                octet != UInt8(ascii: "+")
            {
                position += 1
            }
            let type = String(decoding: octets[start..<position], as: UTF8.self).trimmingSuffix { $0 == " " }
            guard current == UInt8(ascii: "=") else { throw malformed(text, "\"\(type)\" has no \"=\"") }
            guard !type.isEmpty else { throw malformed(text, "an attribute has no type before \"=\"") }
            position += 1
            skipBlanks()
            if current == UInt8(ascii: "#") {
                throw malformed(text, "values as hexadecimal BER (\"#…\") are not supported")
            }
            let value = try current == UInt8(ascii: "\"") ? parseQuoted() : parsePlain()
            guard let string = String(validating: value, as: UTF8.self) else {
                throw malformed(text, "the value of \(type) is not UTF-8")
            }
            return Attribute(type: type, value: string)
        }

        private mutating func parsePlain() throws(CertificateError) -> [UInt8] {
            var value: [UInt8] = []
            var significant = 0
            while let octet = current, octet != UInt8(ascii: ","), octet != UInt8(ascii: "+"),
                octet != UInt8(ascii: ";")
            {
                if octet == UInt8(ascii: "\\") {
                    value.append(try parseEscape())
                    significant = value.count
                } else {
                    value.append(octet)
                    position += 1
                    if octet != UInt8(ascii: " ") { significant = value.count }
                }
            }
            return Array(value.prefix(significant))
        }

        private mutating func parseQuoted() throws(CertificateError) -> [UInt8] {
            position += 1
            var value: [UInt8] = []
            while let octet = current {
                if octet == UInt8(ascii: "\"") {
                    position += 1
                    skipBlanks()
                    if let next = current, next != UInt8(ascii: ","), next != UInt8(ascii: "+") {
                        throw malformed(text, "there is text after a closing quotation mark")
                    }
                    return value
                }
                if octet == UInt8(ascii: "\\") {
                    value.append(try parseEscape())
                } else {
                    value.append(octet)
                    position += 1
                }
            }
            throw malformed(text, "a quotation mark is not closed")
        }

        private mutating func parseEscape() throws(CertificateError) -> UInt8 {
            position += 1
            guard let first = current else { throw malformed(text, "it ends in a backslash") }
            position += 1
            guard let high = Character(Unicode.Scalar(first)).hexDigitValue else { return first }
            guard let second = current, let low = Character(Unicode.Scalar(second)).hexDigitValue else {
                throw malformed(text, "\"\\\" is followed by one hexadecimal digit, not two")
            }
            position += 1
            return UInt8(high << 4 | low)
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> String {
        var result = Substring(self)
        while let last = result.last, predicate(last) { result.removeLast() }
        return String(result)
    }
}
