// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension CertificateChecks {
    /// Examines the alternative names.
    mutating func examineAlternativeNames() {
        let found = extensions[CertificateExtension.subjectAlternativeName]
        let names = found.flatMap { DER.elements(in: DER.sequence, $0.value) } ?? []
        if role == .server, !names.contains(where: { $0.tag == DER.implicit(2) || $0.tag == DER.implicit(7) }) {
            // An extension that is empty is reported as that.
            if found == nil || !names.isEmpty {
                list.add(AlternativeNameRule.server, "is a server's, and has no DNS name and no IP address")
            }
        }
        guard let found else { return }
        if names.isEmpty {
            list.add(AlternativeNameRule.empty, "has an extension for alternative names, and none in it")
        }
        if certificate.subject.isEmpty, !found.isCritical {
            list.add(AlternativeNameRule.critical, "has an empty subject, and alternative names that are not critical")
        } else if !certificate.subject.isEmpty, found.isCritical {
            list.add(AlternativeNameRule.notCritical, "has a subject, and alternative names that are critical")
        }
        var seen: Set<ArraySlice<UInt8>> = []
        for name in names {
            guard seen.insert(name.encoding).inserted else {
                list.add(AlternativeNameRule.duplicate, "has an alternative name twice: \(Self.shown(name))")
                continue
            }
            examine(name)
        }
    }

    private mutating func examine(_ name: DER.Element) {
        let shown = Self.shown(name)
        let text = String(validating: name.contents, as: UTF8.self)
        switch name.tag {
        case DER.implicit(1):
            check(AlternativeNameRule.email, "email address", shown) { _ = try GeneralName.mailbox(text ?? "\u{fffd}") }
        case DER.implicit(2): examineHost(text ?? "\u{fffd}", shown)
        case DER.implicit(6):
            check(AlternativeNameRule.uri, "URI", shown) {
                _ = try GeneralName.uniformResourceIdentifier(text ?? "\u{fffd}")
            }
        case DER.implicit(7):
            if name.contents.count != 4, name.contents.count != 16 {
                list.add(AlternativeNameRule.ip, "has an IP address of \(name.contents.count) octets, \(shown)")
            }
        default: break
        }
    }

    private mutating func examineHost(_ text: String, _ shown: String) {
        // A host with an underscore is asked for without it, so that what else is wrong with it is found.
        let plain = text.replacing("_", with: "x")
        var isWrong = false
        check(AlternativeNameRule.dns, "DNS name", shown, wasWrong: &isWrong) { _ = try GeneralName.dnsName(plain) }
        guard !isWrong else { return }
        if text.contains("_") {
            list.add(AlternativeNameRule.underscore, "has a DNS name with an underscore, \(shown)")
        }
        if text.hasPrefix("*.") { list.add(AlternativeNameRule.wildcard, "has a wildcard, \(shown)") }
    }

    private mutating func check(
        _ rule: AlternativeNameRule,
        _ kind: String,
        _ shown: String,
        _ body: () throws -> Void
    ) {
        var ignored = false
        check(rule, kind, shown, wasWrong: &ignored, body)
    }

    private mutating func check(
        _ rule: AlternativeNameRule,
        _ kind: String,
        _ shown: String,
        wasWrong: inout Bool,
        _ body: () throws -> Void
    ) {
        do {
            try body()
        } catch {
            wasWrong = true
            let message = (error as? CertificateError)?.message ?? "\(error)"
            // What is wrong stands behind the name, which is shown in a form fit for a terminal instead.
            let why = message.components(behind: ": ") ?? "it is malformed"
            list.add(rule, "has a \(kind) that is none, \(shown): \(printable(why, limit: 200))")
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

    /// Examines the names that a CA may certify.
    mutating func examineNameConstraints() {
        guard let found = extensions[CertificateExtension.nameConstraints] else { return }
        if !certificate.isCA {
            return list.add(AlternativeNameRule.constraintsNotCA, "has name constraints, and is not a CA's")
        }
        if !found.isCritical {
            list.add(AlternativeNameRule.constraintsCritical, "has name constraints that are not critical")
        }
        let trees = (DER.elements(in: DER.sequence, found.value) ?? []).flatMap { DER.elements(in: $0.contents) ?? [] }
        if trees.isEmpty { list.add(AlternativeNameRule.constraintsEmpty, "has name constraints without any subtree") }
        for tree in trees {
            guard let parts = DER.elements(in: tree.contents), let base = parts.first else { continue }
            if parts.count > 1 {
                list.add(AlternativeNameRule.constraintsDistance, "has a name constraint with a minimum or a maximum")
            }
            examine(base: base)
        }
    }

    private mutating func examine(base: DER.Element) {
        let shown = Self.shown(base)
        let text = String(decoding: base.contents, as: UTF8.self)
        let kind: String
        switch base.tag {
        case DER.implicit(1): kind = "email"
        case DER.implicit(2): kind = "dns"
        case DER.implicit(6): kind = "uri"
        case DER.implicit(7):
            if !Self.isNetwork(base.contents) {
                list.add(
                    AlternativeNameRule.constraintsBase,
                    "has a name constraint of \(base.contents.count) octets, \(hexadecimal(base.contents.prefix(40))), "
                        + "that are no address with its mask"
                )
            }
            return
        default: return
        }
        // An empty base stands for every name of its kind.
        guard !text.isEmpty else { return }
        if kind == "dns", text.hasPrefix("."), text.count > 1 {
            list.add(AlternativeNameRule.constraintsDot, "has the name constraint \(shown) with a leading dot")
        }
        if (try? NameConstraints.Subtree("\(kind):\(text)")) == nil {
            list.add(AlternativeNameRule.constraintsBase, "has the name constraint \(kind):\(shown), which is none")
        }
    }

    /// Whether octets are an address and a mask that begins with ones and ends in zeros, with no bits of the address behind.
    private static func isNetwork(_ octets: ArraySlice<UInt8>) -> Bool {
        guard octets.count == 8 || octets.count == 32 else { return false }
        let address = octets.prefix(octets.count / 2)
        let mask = octets.suffix(octets.count / 2)
        let ones = mask.reduce(0) { $0 + $1.nonzeroBitCount }
        let isPrefix = mask.enumerated().allSatisfy { index, octet in
            octet == UInt8(truncatingIfNeeded: 0xff00 >> max(0, min(8, ones - index * 8)))
        }
        return isPrefix && zip(address, mask).allSatisfy { $0 & ~$1 == 0 }
    }
}

extension String {
    /// What stands behind the first occurrence of a separator.
    fileprivate func components(behind separator: String) -> String? {
        firstRange(of: separator).map { String(self[$0.upperBound...]) }
    }
}
