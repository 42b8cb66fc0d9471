// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// The certificate index of `openssl ca` and easy-rsa.
///
/// A line has six fields, separated by tabs: `V`, `R` or `E`; the end of validity; the revocation; the serial number in
/// hexadecimal; a file name, or `unknown`; the subject.
struct CertificateIndex: Sendable {
    struct Line: Sendable {
        enum Status: Character { case valid = "V", revoked = "R", expired = "E" }

        /// Counted from 1.
        var number: Int
        var notAfter: Date
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

    init(_ contents: SecretBytes, path: String) {
        self.path = path
        unsafe contents.withUnsafeBytes { bytes in
            var (start, number) = (0, 0)
            while start < bytes.count, number < Self.lineLimit {
                let end = unsafe bytes[start...].firstIndex(of: 0x0a) ?? bytes.count
                number += 1
                var text = unsafe Array(bytes[start..<end])
                start = end + 1
                if text.last == 0x0d { text.removeLast() }
                guard !text.isEmpty, text[0] != UInt8(ascii: "#") else { continue }
                do throws(Reason) {
                    lines.append(try Self.line(text, number))
                } catch {
                    guard findings.count < Self.findingLimit else { continue }
                    let message = "\(printable(path)), line \(number), is not valid: \(error.text)"
                    findings.append(ForeignFinding(.indexLine, message, file: path, line: number))
                }
            }
        }
    }

    private static func line(_ text: [UInt8], _ number: Int) throws(Reason) -> Line {
        let fields = fields(of: text)
        guard fields.count == 6 else { throw Reason("it has \(fields.count) fields, not 6") }
        let words = fields.map { String(decoding: $0, as: UTF8.self) }
        func shown(_ index: Int) -> String { "\"\(printable(words[index], limit: 60))\"" }
        guard fields[0].count == 1, let status = Line.Status(rawValue: Character(Unicode.Scalar(fields[0][0]))) else {
            throw Reason("its status is \(shown(0)), not V, R or E")
        }
        guard let notAfter = date(of: words[1]) else { throw Reason("the end of validity, \(shown(1)), is not a time") }
        guard let serialNumber = SerialNumber(hexadecimal: words[3]) else {
            throw Reason("the serial number, \(shown(3)), is not hexadecimal")
        }
        guard status == .revoked || fields[2].isEmpty else {
            throw Reason("it has a revocation, \(shown(2)), but the status \(status.rawValue)")
        }
        return Line(
            number: number, notAfter: notAfter, revocation: status == .revoked ? try revocation(words[2]) : nil,
            serialNumber: serialNumber, writtenSubject: fields[5])
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

    /// `TIME`, `TIME,reason`, or `TIME,reason,more`, where `more` is the time of a compromise or the instruction of a
    /// hold.
    private static func revocation(_ text: String) throws(Reason) -> InventoryEntry.Revocation? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        func failure(_ what: String) -> Reason {
            Reason("the revocation, \"\(printable(text, limit: 60))\", \(what)")
        }
        guard let date = date(of: parts[0]) else { throw failure("does not begin with a time") }
        guard parts.count <= 3 else { throw failure("has too many parts") }
        var reason = RevocationReason.unspecified
        var invalidityDate: Date?
        switch parts.count == 1 ? "unspecified" : parts[1].lowercased() {
        case let name where name == "keytime" || name == "cakeytime":
            reason = name == "keytime" ? .keyCompromise : .cACompromise
            guard parts.count == 3, let time = Self.date(of: parts[2]) else {
                throw failure("has no time of the compromise")
            }
            invalidityDate = time
        case "holdinstruction": reason = .certificateHold
        case let name:
            guard let found = RevocationReason.allCases.first(where: { $0.name.lowercased() == name }) else {
                throw failure("has a reason that is not in RFC 5280")
            }
            // Released from a hold.
            if found == .removeFromCRL { return nil }
            reason = found
        }
        return InventoryEntry.Revocation(date: date, reason: reason, invalidityDate: invalidityDate)
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

/// Decodes an even or odd number of hexadecimal digits; `nil` if there are none, or other characters.
func octets(hexadecimal digits: [UInt8]) -> [UInt8]? {
    let known = digits.compactMap { UInt8(hexadecimalDigit: $0) }
    guard !known.isEmpty, known.count == digits.count else { return nil }
    let even = known.count.isMultiple(of: 2) ? known : [0] + known
    return stride(from: 0, to: even.count, by: 2).map { even[$0] << 4 | even[$0 + 1] }
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
