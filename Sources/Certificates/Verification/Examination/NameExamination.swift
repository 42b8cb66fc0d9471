// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The string types that occur in names (X.680 §8.6).
private enum StringTag {
    static let utf8: UInt8 = 0x0c
    static let printable: UInt8 = 0x13
    static let teletex: UInt8 = 0x14
    static let ia5: UInt8 = 0x16
    static let universal: UInt8 = 0x1c
    static let bmp: UInt8 = 0x1e
}

/// What RFC 5280 Appendix A.1 says of an attribute.
private struct AttributeSyntax {
    /// What its value may be written as.
    enum Kind {
        /// A DirectoryString: UTF8String or PrintableString, formerly others.
        case directory
        case printable, ia5, country
    }

    let name: String
    let kind: Kind
    /// How many characters a value may have.
    let bound: Int?

    static let known: [String: AttributeSyntax] = [
        "2.5.4.3": .init(name: "CN", kind: .directory, bound: 64),
        "2.5.4.4": .init(name: "SN", kind: .directory, bound: 32_768),
        "2.5.4.5": .init(name: "serialNumber", kind: .printable, bound: 64),
        "2.5.4.6": .init(name: "C", kind: .country, bound: nil),
        "2.5.4.7": .init(name: "L", kind: .directory, bound: 128),
        "2.5.4.8": .init(name: "ST", kind: .directory, bound: 128),
        "2.5.4.9": .init(name: "street", kind: .directory, bound: nil),
        "2.5.4.10": .init(name: "O", kind: .directory, bound: 64),
        "2.5.4.11": .init(name: "OU", kind: .directory, bound: 64),
        "2.5.4.12": .init(name: "title", kind: .directory, bound: 64),
        "2.5.4.42": .init(name: "GN", kind: .directory, bound: 32_768),
        "2.5.4.43": .init(name: "initials", kind: .directory, bound: 32_768),
        "2.5.4.44": .init(name: "generationQualifier", kind: .directory, bound: 32_768),
        "2.5.4.46": .init(name: "dnQualifier", kind: .printable, bound: nil),
        "2.5.4.65": .init(name: "pseudonym", kind: .directory, bound: 128),
        "0.9.2342.19200300.100.1.1": .init(name: "UID", kind: .directory, bound: 256),
        "0.9.2342.19200300.100.1.25": .init(name: "DC", kind: .ia5, bound: 63),
        "1.2.840.113549.1.9.1": .init(name: "emailAddress", kind: .ia5, bound: 255),
    ]
}

extension FindingList {
    /// Examines a distinguished name.
    ///
    /// - Parameters:
    ///   - name: The whole Name.
    ///   - whose: Whose name it is: `subject`.
    mutating func examine(name: DER.Element, whose: String) {
        for set in DER.elements(in: name.contents) ?? [] {
            guard let attributes = DER.elements(in: set.contents) else { continue }
            if attributes.isEmpty {
                add(NameRule.relativeName, "has an empty relative distinguished name in its \(whose)")
            }
            var types: Set<String> = []
            for attribute in attributes {
                guard let parts = DER.elements(in: attribute.contents), parts.count == 2 else { continue }
                let type = DER.objectIdentifierText(parts[0].contents) ?? hexadecimal(parts[0].contents)
                let syntax = AttributeSyntax.known[type]
                if !types.insert(type).inserted {
                    let shown = syntax?.name ?? type
                    add(NameRule.relativeName, "has \(shown) twice in one relative distinguished name of its \(whose)")
                }
                examine(value: parts[1], syntax, "\(syntax?.name ?? type) of its \(whose)")
            }
        }
    }

    private mutating func examine(value: DER.Element, _ syntax: AttributeSyntax?, _ place: String) {
        guard !value.contents.isEmpty else { return add(NameRule.valueEmpty, "has an empty \(place)") }
        if let kind = syntax?.kind, examine(type: value, kind, place) == false { return }
        guard let text = Self.characters(of: value) else {
            return add(NameRule.characters, "has characters in the \(place) that do not go with the string's type")
        }
        let shown = printable(String(String.UnicodeScalarView(text)), limit: 80)
        if text.contains(where: { $0.properties.generalCategory == .control }) {
            add(NameRule.characters, "has a control character in the \(place), \"\(shown)\"")
        }
        if let bound = syntax?.bound, text.count > bound {
            add(NameRule.valueLength, "has \(text.count) characters in the \(place), and \(bound) are allowed")
        }
        let hasDouble = zip(text, text.dropFirst()).contains { $0 == " " && $1 == " " }
        if text.first == " " || text.last == " " || hasDouble {
            add(NameRule.blanks, "has blanks in the \(place), \"\(shown)\", that some programs take out")
        }
    }

    /// Examines the string's type; gives `false` when there is nothing more to say of the value.
    private mutating func examine(type value: DER.Element, _ kind: AttributeSyntax.Kind, _ place: String) -> Bool {
        switch kind {
        case .country:
            let letters = value.contents.allSatisfy { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a }
            guard value.tag == StringTag.printable, value.contents.count == 2, letters else {
                add(NameRule.country, "has a \(place) that is not a PrintableString of two letters")
                return false
            }
        case .printable where value.tag != StringTag.printable:
            add(NameRule.syntax, "has a \(place) that is not a PrintableString")
        case .ia5 where value.tag != StringTag.ia5:
            add(NameRule.syntax, "has a \(place) that is not an IA5String")
        case .directory:
            switch value.tag {
            case StringTag.utf8, StringTag.printable: break
            case StringTag.teletex, StringTag.bmp, StringTag.universal:
                add(NameRule.stringType, "has a \(place) in a string type that was given up")
            default: add(NameRule.syntax, "has a \(place) that is not a DirectoryString")
            }
        default: break
        }
        return true
    }

    /// The characters of a string; nothing when there are some that its type does not have.
    private static func characters(of value: DER.Element) -> [Unicode.Scalar]? {
        let contents = Array(value.contents)
        switch value.tag {
        case StringTag.utf8:
            return String(validating: contents, as: UTF8.self).map { Array($0.unicodeScalars) }
        case StringTag.printable:
            let others = Set(" '()+,-./:=?".utf8)
            let areAllowed = contents.allSatisfy { octet in
                (0x30...0x39).contains(octet) || (0x61...0x7a).contains(octet | 0x20) || others.contains(octet)
            }
            return areAllowed ? contents.map(Unicode.Scalar.init) : nil
        case StringTag.ia5: return contents.allSatisfy { $0 < 0x80 } ? contents.map(Unicode.Scalar.init) : nil
        case StringTag.bmp: return wide(contents, 2)
        case StringTag.universal: return wide(contents, 4)
        default: return contents.map(Unicode.Scalar.init)
        }
    }

    private static func wide(_ contents: [UInt8], _ width: Int) -> [Unicode.Scalar]? {
        guard contents.count.isMultiple(of: width) else { return nil }
        var scalars: [Unicode.Scalar] = []
        for start in stride(from: 0, to: contents.count, by: width) {
            let code = contents[start..<start + width].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            guard let scalar = Unicode.Scalar(code) else { return nil }
            scalars.append(scalar)
        }
        return scalars
    }
}
