// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// The index of certificates that `openssl ca` keeps, and easy-rsa with it.
///
/// A line has six fields between tabs: `V`, `R` or `E`; the end of validity; the revocation; the serial number in
/// hexadecimal; the name of a file, or `unknown`; the subject.
struct CertificateIndex: Sendable {
    /// One line.
    struct Line: Sendable {
        /// What the first letter says.
        enum Status: Character { case valid = "V", revoked = "R", expired = "E" }

        /// Counted from 1.
        var number: Int
        var status: Status
        var notAfter: Date
        var revocation: InventoryEntry.Revocation?
        var serialNumber: SerialNumber
        /// The subject as it is written.
        var writtenSubject: [UInt8]
    }

    /// The path, below the directory that is read.
    let path: String

    /// The lines that make sense.
    private(set) var lines: [Line] = []

    /// The others, and why they make none.
    private(set) var findings: [ForeignFinding] = []

    /// More lines than anybody has certificates.
    private static let lineLimit = 2_000_000

    /// Beyond this, an index is not one that is to be repaired line by line.
    private static let findingLimit = 100

    /// Reads an index.
    ///
    /// - Parameters:
    ///   - contents: The file's contents.
    ///   - path: What it is called.
    init(_ contents: SecretBytes, path: String) {
        self.path = path
        unsafe contents.withUnsafeBytes { bytes in
            var start = 0
            var number = 0
            while start < bytes.count, number < Self.lineLimit {
                let end = unsafe bytes[start...].firstIndex(of: 0x0a) ?? bytes.count
                number += 1
                unsafe read(bytes[start..<end], number)
                start = end + 1
            }
        }
    }

    private mutating func read(_ line: Slice<UnsafeRawBufferPointer>, _ number: Int) {
        var text = unsafe Array(line)
        if text.last == 0x0d { text.removeLast() }
        guard !text.isEmpty, text[0] != UInt8(ascii: "#") else { return }
        let result = Self.line(text, number)
        switch result {
        case .success(let line): lines.append(line)
        case .failure(let reason):
            guard findings.count < Self.findingLimit else { return }
            let message = "\(printable(path)), line \(number), makes no sense: \(reason.text)"
            findings.append(ForeignFinding(.indexLine, message, file: path, line: number))
        }
    }

    private struct Reason: Error { let text: String }

    private static func line(_ text: [UInt8], _ number: Int) -> Result<Line, Reason> {
        let fields = fields(of: text)
        guard fields.count == 6 else {
            return .failure(Reason(text: "it has \(fields.count) fields between tabs and not 6"))
        }
        func word(_ index: Int) -> String { String(decoding: fields[index], as: UTF8.self) }
        func shown(_ index: Int) -> String { "\"\(printable(word(index), limit: 60))\"" }
        guard fields[0].count == 1, let status = Line.Status(rawValue: Character(Unicode.Scalar(fields[0][0]))) else {
            return .failure(Reason(text: "its status is \(shown(0)) and not V, R or E"))
        }
        guard let notAfter = date(of: word(1)) else {
            return .failure(Reason(text: "the end of validity, \(shown(1)), is no time"))
        }
        guard let serialNumber = SerialNumber(hexadecimal: word(3)) else {
            return .failure(Reason(text: "the serial number, \(shown(3)), is not hexadecimal"))
        }
        var revocation: InventoryEntry.Revocation?
        if status == .revoked {
            switch Self.revocation(word(2)) {
            case .success(let found): revocation = found
            case .failure(let reason): return .failure(reason)
            }
        } else if !fields[2].isEmpty {
            return .failure(Reason(text: "it has a revocation, \(shown(2)), and the status \(status.rawValue)"))
        }
        return .success(
            Line(
                number: number,
                status: status,
                notAfter: notAfter,
                revocation: revocation,
                serialNumber: serialNumber,
                writtenSubject: fields[5]
            )
        )
    }

    /// What stands between tabs; one behind a backslash is none.
    private static func fields(of text: [UInt8]) -> [[UInt8]] {
        var fields: [[UInt8]] = [[]]
        var isEscaped = false
        for octet in text {
            if octet == 0x09, !isEscaped {
                // A seventh field is one too many, however many there are.
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
        guard text.hasSuffix("Z") else { return nil }
        let digits = Array(text.utf8.dropLast())
        guard digits.count == 12 || digits.count == 14, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        func number(_ range: Range<Int>) -> Int { range.reduce(0) { $0 * 10 + Int(digits[$1] - 0x30) } }
        let isLong = digits.count == 14
        let start = isLong ? 4 : 2
        let short = number(0..<2)
        let parts = (0..<5).map { number(start + 2 * $0..<start + 2 * $0 + 2) }
        return CivilTime(
            year: isLong ? number(0..<4) : short < 50 ? 2000 + short : 1900 + short,
            month: parts[0],
            day: parts[1],
            hour: parts[2],
            minute: parts[3],
            second: parts[4]
        )?.date
    }

    /// `TIME`, `TIME,reason`, or `TIME,reason,more`: since when the key was in other hands, or what to do in case of a hold.
    private static func revocation(_ text: String) -> Result<InventoryEntry.Revocation?, Reason> {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        func failure(_ what: String) -> Result<InventoryEntry.Revocation?, Reason> {
            .failure(Reason(text: "the revocation, \"\(printable(text, limit: 60))\", \(what)"))
        }
        guard let date = date(of: parts[0]) else { return failure("does not begin with a time") }
        guard parts.count <= 3 else { return failure("has too many parts") }
        guard parts.count > 1 else {
            return .success(InventoryEntry.Revocation(date: date, reason: .unspecified, invalidityDate: nil))
        }
        var reason = RevocationReason.unspecified
        var invalidityDate: Date?
        switch parts[1].lowercased() {
        case "keytime", "cakeytime":
            reason = parts[1].lowercased() == "keytime" ? .keyCompromise : .cACompromise
            guard parts.count == 3, let moment = Self.date(of: parts[2]) else {
                return failure("does not say since when the key was in other hands")
            }
            invalidityDate = moment
        case "holdinstruction": reason = .certificateHold
        case let name:
            guard let found = RevocationReason.allCases.first(where: { $0.name.lowercased() == name }) else {
                return failure("has a reason that RFC 5280 does not know")
            }
            // Taken back: it is revoked no more.
            if found == .removeFromCRL { return .success(nil) }
            reason = found
        }
        return .success(InventoryEntry.Revocation(date: date, reason: reason, invalidityDate: invalidityDate))
    }
}

extension CertificateIndex.Line {
    /// The subject as text, with its escapes undone.
    var subject: String {
        Self.parts(of: writtenSubject).map { $0.separator + String(decoding: $0.text, as: UTF8.self) }.joined()
    }

    /// The subject as a name; nothing when the text cannot be made into one.
    ///
    /// libcrypto 3 puts a backslash before a `/` and a `+` of a value's own, older ones do not: then what follows is a part
    /// of its own only when it looks like one.
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

    /// What stands behind each `/` and `+`, with `\xNN` turned back into the bytes that they were.
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
    /// Reads hexadecimal digits, as `openssl ca` writes them.
    ///
    /// - Parameter text: An odd or even number of digits, in either case; blanks around them are allowed.
    init?(hexadecimal text: some StringProtocol) {
        let digits = text.utf8.drop { $0 <= 0x20 }.reversed().drop { $0 <= 0x20 }.reversed()
            .map { UInt8(hexadecimalDigit: $0) }
        guard (1...64).contains(digits.count), !digits.contains(nil) else { return nil }
        let known = digits.compactMap(\.self)
        let even = known.count.isMultiple(of: 2) ? known : [0] + known
        self.init(stride(from: 0, to: even.count, by: 2).map { even[$0] << 4 | even[$0 + 1] })
    }

    /// The number above this one.
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
