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

/// The syntax of an attribute (RFC 5280 Appendix A.1).
private struct AttributeSyntax {
    /// The string types that its value may have.
    enum Kind {
        /// A DirectoryString: UTF8String or PrintableString, formerly others.
        case directory
        case printable, ia5, country
    }

    let name: String
    let kind: Kind
    /// The most characters that a value may have.
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

extension [RuleViolation] {
    mutating func check(name: DER.Element, whose: String) {
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
                check(value: parts[1], syntax, "\(syntax?.name ?? type) of its \(whose)")
            }
        }
    }

    private mutating func check(value: DER.Element, _ syntax: AttributeSyntax?, _ place: String) {
        guard !value.contents.isEmpty else { return add(NameRule.valueEmpty, "has an empty \(place)") }
        if let kind = syntax?.kind, check(type: value, kind, place) == false { return }
        guard let text = Self.characters(of: value) else {
            return add(NameRule.characters, "has characters in the \(place) that its string type does not allow")
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
            add(NameRule.blanks, "has blanks in the \(place), \"\(shown)\", which some programs ignore")
        }
    }

    /// Checks the string's type; returns `false` when the value needs no more checks.
    private mutating func check(type value: DER.Element, _ kind: AttributeSyntax.Kind, _ place: String) -> Bool {
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
                add(NameRule.stringType, "has a \(place) in an obsolete string type")
            default: add(NameRule.syntax, "has a \(place) that is not a DirectoryString")
            }
        default: break
        }
        return true
    }

    /// The characters of a string; `nil` when some are not of its type.
    private static func characters(of value: DER.Element) -> [Unicode.Scalar]? {
        let contents = [UInt8](value.contents)
        switch value.tag {
        case StringTag.utf8:
            return String(validating: contents, as: UTF8.self).map { [Unicode.Scalar]($0.unicodeScalars) }
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

extension CertificateChecks {
    mutating func checkAlternativeNames() {
        let found = extensions[CertificateExtension.subjectAlternativeName]
        let names = found.flatMap { DER.elements(in: DER.sequence, $0.value) } ?? []
        if role == .server, !names.contains(where: { $0.tag == DER.implicit(2) || $0.tag == DER.implicit(7) }) {
            // An extension that is empty is reported as that.
            if found == nil || !names.isEmpty {
                findings.add(AlternativeNameRule.server, "is a server's, and has neither a DNS name nor an IP address")
            }
        }
        guard let found else { return }
        if names.isEmpty {
            findings.add(AlternativeNameRule.empty, "has an extension for alternative names without a name")
        }
        if certificate.subject.isEmpty, !found.isCritical {
            findings.add(
                AlternativeNameRule.critical, "has an empty subject, and alternative names that are not critical")
        } else if !certificate.subject.isEmpty, found.isCritical {
            findings.add(AlternativeNameRule.notCritical, "has a subject, and alternative names that are critical")
        }
        var seen: Set<ArraySlice<UInt8>> = []
        for name in names {
            guard seen.insert(name.encoding).inserted else {
                findings.add(AlternativeNameRule.duplicate, "has an alternative name twice: \(Self.shown(name))")
                continue
            }
            check(name)
        }
    }

    private mutating func check(_ name: DER.Element) {
        let shown = Self.shown(name)
        let text = String(validating: name.contents, as: UTF8.self)
        switch name.tag {
        case DER.implicit(1):
            check(AlternativeNameRule.email, "email address", shown) { _ = try GeneralName.mailbox(text ?? "\u{fffd}") }
        case DER.implicit(2): checkHost(text ?? "\u{fffd}", shown)
        case DER.implicit(6):
            check(AlternativeNameRule.uri, "URI", shown) {
                _ = try GeneralName.uniformResourceIdentifier(text ?? "\u{fffd}")
            }
        case DER.implicit(7):
            if name.contents.count != 4, name.contents.count != 16 {
                findings.add(AlternativeNameRule.ip, "has an IP address of \(name.contents.count) octets, \(shown)")
            }
        default: break
        }
    }

    private mutating func checkHost(_ text: String, _ shown: String) {
        // Underscores are replaced, so that other faults are found.
        let plain = text.replacing("_", with: "x")
        var isWrong = false
        check(AlternativeNameRule.dns, "DNS name", shown, wasWrong: &isWrong) { _ = try GeneralName.dnsName(plain) }
        guard !isWrong else { return }
        if text.contains("_") {
            findings.add(AlternativeNameRule.underscore, "has a DNS name with an underscore, \(shown)")
        }
        if text.hasPrefix("*.") { findings.add(AlternativeNameRule.wildcard, "has a wildcard, \(shown)") }
    }

    private mutating func check(_ rule: ValidationRule, _ kind: String, _ shown: String, _ body: () throws -> Void) {
        var ignored = false
        check(rule, kind, shown, wasWrong: &ignored, body)
    }

    private mutating func check(
        _ rule: ValidationRule, _ kind: String, _ shown: String, wasWrong: inout Bool, _ body: () throws -> Void
    ) {
        do {
            try body()
        } catch {
            wasWrong = true
            let message = (error as? CertificateError)?.message ?? "\(error)"
            // The reason follows the name, which is replaced by one that is safe for a terminal.
            let why = message.firstRange(of: ": ").map { String(message[$0.upperBound...]) } ?? "it is malformed"
            findings.add(rule, "has a malformed \(kind), \(shown): \(printable(why, limit: 200))")
        }
    }

    private static func shown(_ name: DER.Element) -> String {
        switch name.tag {
        case DER.implicit(1), DER.implicit(2), DER.implicit(6):
            "\"\(printable(String(decoding: name.contents, as: UTF8.self), limit: 100))\""
        case DER.implicit(7): IPAddress.text(Array(name.contents.prefix(40)))
        case DER.constructed(4):
            "\"\(printable("\(DistinguishedName(derEncoded: Array(name.contents)))", limit: 100))\""
        default: "of the kind \(name.tag & 0x1f)"
        }
    }

    mutating func checkNameConstraints() {
        guard let found = extensions[CertificateExtension.nameConstraints] else { return }
        if !certificate.isCA {
            return findings.add(AlternativeNameRule.constraintsNotCA, "has name constraints, and is not a CA's")
        }
        if !found.isCritical {
            findings.add(AlternativeNameRule.constraintsCritical, "has name constraints that are not critical")
        }
        let trees = (DER.elements(in: DER.sequence, found.value) ?? []).flatMap { DER.elements(in: $0.contents) ?? [] }
        if trees.isEmpty {
            findings.add(AlternativeNameRule.constraintsEmpty, "has name constraints without any subtree")
        }
        for tree in trees {
            guard let parts = DER.elements(in: tree.contents), let base = parts.first else { continue }
            if parts.count > 1 {
                findings.add(
                    AlternativeNameRule.constraintsDistance, "has a name constraint with a minimum or a maximum")
            }
            check(base: base)
        }
    }

    private mutating func check(base: DER.Element) {
        let shown = Self.shown(base)
        let text = String(decoding: base.contents, as: UTF8.self)
        let kind: String
        switch base.tag {
        case DER.implicit(1): kind = "email"
        case DER.implicit(2): kind = "dns"
        case DER.implicit(6): kind = "uri"
        case DER.implicit(7):
            if !Self.isNetwork(base.contents) {
                findings.add(
                    AlternativeNameRule.constraintsBase,
                    "has a name constraint of \(base.contents.count) octets, \(hexadecimal(base.contents.prefix(40))), "
                        + "which is not an address with its mask")
            }
            return
        default: return
        }
        // An empty base covers every name of its kind.
        guard !text.isEmpty else { return }
        if kind == "dns", text.hasPrefix("."), text.count > 1 {
            findings.add(AlternativeNameRule.constraintsDot, "has the name constraint \(shown) with a leading dot")
        }
        if (try? NameConstraints.Subtree("\(kind):\(text)")) == nil {
            findings.add(
                AlternativeNameRule.constraintsBase, "has the name constraint \(kind):\(shown), which is malformed")
        }
    }

    /// Whether octets are an address and a prefix mask, with no bits of the address outside of the mask.
    private static func isNetwork(_ octets: ArraySlice<UInt8>) -> Bool {
        guard octets.count == 8 || octets.count == 32 else { return false }
        let address = octets.prefix(octets.count / 2)
        let mask = octets.suffix(octets.count / 2)
        return NameConstraints.Subtree.prefixLength(of: mask) != nil && zip(address, mask).allSatisfy { $0 & ~$1 == 0 }
    }
}
