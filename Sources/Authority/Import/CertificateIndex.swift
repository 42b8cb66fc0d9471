// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// The certificate index of `openssl ca` and easy-rsa.
///
/// A line has six fields, separated by tabs: `V`, `R` or `E`; the end of validity; the revocation; the serial number in
/// hexadecimal; a file name, or `unknown`; the subject.
///
/// A line that may revoke a certificate is never left out: where its revocation is not valid, the certificate is revoked
/// all the same, and where the certificate is not known, the whole index is refused.
struct CertificateIndex: Sendable {
    struct Line: Sendable {
        enum Status: Character { case valid = "V", revoked = "R", expired = "E" }

        /// Counted from 1.
        var number: Int
        /// `nil` if it cannot be read, which only a revoked certificate may have.
        var notAfter: Date?
        var revocation: InventoryEntry.Revocation?
        var serialNumber: SerialNumber
        /// The subject with its escapes.
        var writtenSubject: [UInt8]
    }

    /// Why a line is not valid.
    private struct Reason: Error {
        let text: String
        init(_ text: String) { self.text = text }
    }

    let path: String
    private(set) var lines: [Line] = []
    /// The errors in other lines.
    private(set) var findings: [ForeignFinding] = []
    private static let lineLimit = 2_000_000
    private static let findingLimit = 100

    /// Reads an index. A revocation without a time is one of `now`.
    init(_ contents: SecretBytes, path: String, now: Date) throws(AuthorityError) {
        self.path = path
        let objection = unsafe contents.withUnsafeBytes { bytes -> String? in
            var (start, number) = (0, 0)
            while start < bytes.count {
                guard number < Self.lineLimit else { return "has more than \(Self.lineLimit) lines" }
                let end = unsafe bytes[start...].firstIndex(of: 0x0a) ?? bytes.count
                number += 1
                var text = unsafe Array(bytes[start..<end])
                start = end + 1
                if text.last == 0x0d { text.removeLast() }
                guard !text.isEmpty, text[0] != UInt8(ascii: "#") else { continue }
                do throws(Reason) {
                    lines.append(try line(text, number, now: now))
                } catch {
                    guard !Self.mayRevoke(text) else { return "line \(number): \(error.text)" }
                    note(number, "is not valid: \(error.text)")
                }
            }
            return nil
        }
        guard let objection else { return }
        throw AuthorityError(
            .broken, "\(printable(path)) cannot be imported: \(objection)",
            hint: "correct the index first: that line may revoke a certificate")
    }

    private mutating func note(_ number: Int, _ text: String) {
        guard findings.count < Self.findingLimit else { return }
        let message = "\(printable(path)), line \(number), \(text)"
        findings.append(ForeignFinding(.indexLine, message, file: path, line: number))
    }

    /// Whether a line may be about a revoked certificate: its status is not V or E, or it has a revocation.
    private static func mayRevoke(_ text: [UInt8]) -> Bool {
        let fields = fields(of: text)
        return !(fields[0] == Array("V".utf8) || fields[0] == Array("E".utf8)) || fields.count > 2 && !fields[2].isEmpty
    }

    private mutating func line(_ text: [UInt8], _ number: Int, now: Date) throws(Reason) -> Line {
        let fields = Self.fields(of: text)
        guard fields.count == 6 else { throw Reason("it has \(fields.count) fields, not 6") }
        let words = fields.map { String(decoding: $0, as: UTF8.self) }
        func shown(_ index: Int) -> String { "\"\(printable(words[index], limit: 60))\"" }
        guard fields[0].count == 1, let status = Line.Status(rawValue: Character(Unicode.Scalar(fields[0][0]))) else {
            throw Reason("its status is \(shown(0)), not V, R or E")
        }
        let notAfter = Self.date(of: words[1])
        guard notAfter != nil || status == .revoked else {
            throw Reason("the end of validity, \(shown(1)), is not a time")
        }
        guard let serialNumber = SerialNumber(hexadecimal: words[3]) else {
            throw Reason("the serial number, \(shown(3)), is not hexadecimal")
        }
        guard status == .revoked || fields[2].isEmpty else {
            throw Reason("it has a revocation, \(shown(2)), but the status \(status.rawValue)")
        }
        var revocation: InventoryEntry.Revocation?
        if status == .revoked {
            let (read, defect) = Self.revocation(words[2], now: now)
            if let defect { note(number, "has the revocation \(shown(2)), which \(defect)") }
            revocation = read
        }
        return Line(
            number: number, notAfter: notAfter, revocation: revocation, serialNumber: serialNumber,
            writtenSubject: fields[5])
    }

    /// Splits at tabs that do not follow a backslash.
    private static func fields(of text: [UInt8]) -> [[UInt8]] {
        var fields: [[UInt8]] = [[]]
        var isEscaped = false
        for octet in text {
            if octet == 0x09, !isEscaped {
                if fields.count == 7 { break }
                fields.append([])
            } else {
                if octet == 0x09 { fields[fields.count - 1].removeLast() }
                fields[fields.count - 1].append(octet)
            }
            isEscaped = octet == UInt8(ascii: "\\")
        }
        return fields
    }

    /// `YYMMDDhhmmssZ`, or with four digits of the year from 2050.
    private static func date(of text: some StringProtocol) -> Date? {
        let digits = text.utf8.dropLast().map { Int($0) - 0x30 }
        guard text.hasSuffix("Z"), digits.count == 12 || digits.count == 14, digits.allSatisfy((0...9).contains) else {
            return nil
        }
        let pairs = stride(from: 0, to: digits.count, by: 2).map { digits[$0] * 10 + digits[$0 + 1] }
        let rest = pairs.suffix(5).map(\.self)
        return CivilTime(
            year: pairs.count == 7 ? pairs[0] * 100 + pairs[1] : pairs[0] + (pairs[0] < 50 ? 2000 : 1900),
            month: rest[0], day: rest[1], hour: rest[2], minute: rest[3], second: rest[4])?.date
    }

    /// Reads `TIME`, `TIME,reason`, or `TIME,reason,more`, where `more` is the time of a compromise or the instruction of a
    /// hold; with what is not valid in it, in words that follow the text.
    private static func revocation(
        _ text: String, now: Date
    ) -> (revocation: InventoryEntry.Revocation, defect: String?) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let date = date(of: parts[0])
        var defect = date == nil ? "does not begin with a time: it counts from now" : nil
        if parts.count > 3 { defect = "has too many parts" }
        var reason = RevocationReason.unspecified
        var invalidityDate: Date?
        switch parts.count == 1 ? "unspecified" : parts[1].lowercased() {
        case let name where name == "keytime" || name == "cakeytime":
            reason = name == "keytime" ? .keyCompromise : .cACompromise
            invalidityDate = parts.count > 2 ? Self.date(of: parts[2]) : nil
            if invalidityDate == nil { defect = "has no time of the compromise" }
        case "holdinstruction": reason = .certificateHold
        case let name:
            switch RevocationReason.allCases.first(where: { $0.name.lowercased() == name }) {
            case .removeFromCRL:
                // Released by a delta CRL, and revoked by the index.
                (reason, defect) = (.certificateHold, "is a release from hold: it stays on hold")
            case let found?: reason = found
            case nil: defect = "has a reason that is not in RFC 5280"
            }
        }
        return (InventoryEntry.Revocation(date: date ?? now, reason: reason, invalidityDate: invalidityDate), defect)
    }
}

extension CertificateIndex.Line {
    /// The subject as text, without escapes.
    var subject: String {
        Self.parts(of: writtenSubject).map { $0.separator + String(decoding: $0.text, as: UTF8.self) }.joined()
    }

    /// The subject as a name; `nil` if it cannot be parsed.
    ///
    /// libcrypto 3 escapes a `/` and a `+` in a value, older versions do not: then the text that follows is a new
    /// attribute only if it looks like one.
    var subjectName: DistinguishedName? {
        var names: [[DistinguishedName.Attribute]] = []
        for (separator, octets) in Self.parts(of: writtenSubject) {
            let text = String(decoding: octets, as: UTF8.self)
            let type = text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") }
            guard !type.isEmpty, type.endIndex < text.endIndex, text[type.endIndex] == "=" else {
                guard let last = names.last?.last else { return nil }
                names[names.count - 1].removeLast()
                names[names.count - 1].append(.init(type: last.type, value: last.value + separator + text))
                continue
            }
            let value = String(text[text.index(after: type.endIndex)...])
            let attribute = DistinguishedName.Attribute(type: String(type), value: value)
            if separator == "+", !names.isEmpty {
                names[names.count - 1].append(attribute)
            } else {
                names.append([attribute])
            }
        }
        return names.isEmpty ? nil : try? DistinguishedName(relativeNames: names)
    }

    /// The texts after each `/` and `+`, with `\xNN` decoded.
    private static func parts(of text: [UInt8]) -> [(separator: String, text: [UInt8])] {
        var parts: [(separator: String, text: [UInt8])] = []
        var position = 0
        while position < text.count {
            let octet = text[position]
            position += 1
            if octet == UInt8(ascii: "/") || octet == UInt8(ascii: "+") && !parts.isEmpty {
                parts.append((String(Unicode.Scalar(octet)), []))
                continue
            }
            if parts.isEmpty { parts.append(("", [])) }
            var value = octet
            if octet == UInt8(ascii: "\\"), position < text.count {
                let next = text[position]
                if next == UInt8(ascii: "/") || next == UInt8(ascii: "+") {
                    value = next
                    position += 1
                } else if next == UInt8(ascii: "x"), position + 2 < text.count,
                    let high = UInt8(hexadecimalDigit: text[position + 1]),
                    let low = UInt8(hexadecimalDigit: text[position + 2])
                {
                    value = high << 4 | low
                    position += 3
                }
            }
            parts[parts.count - 1].text.append(value)
        }
        return parts
    }
}

extension SerialNumber {
    /// Reads up to 64 hexadecimal digits as `openssl ca` writes them: in either case, perhaps an odd number, between
    /// blanks.
    init?(hexadecimal text: some StringProtocol) {
        let digits = Array(text.utf8.drop { $0 <= 0x20 }.reversed().drop { $0 <= 0x20 }.reversed())
        guard digits.count <= 64, let octets = octets(hexadecimal: digits) else { return nil }
        self.init(octets)
    }

    var successor: SerialNumber {
        var octets = magnitude
        for index in octets.indices.reversed() {
            if octets[index] < 0xff {
                octets[index] += 1
                return SerialNumber(octets)
            }
            octets[index] = 0
        }
        return SerialNumber([1] + octets)
    }
}
