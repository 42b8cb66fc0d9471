// SPDX-License-Identifier: Apache-2.0

public import Certificates
import SystemSupport

/// Which certificate of many is meant: what its subject, its issuer, its serial number and its fingerprint must be.
///
/// Names are compared as names, attribute by attribute, not as text: blanks, escapes, the case of letters and the kind of
/// string do not count (RFC 5280 §7.1).
public struct CertificateSelector: Hashable, Sendable {
    /// What the subject must be; nothing allows any.
    public var subject: DistinguishedName?

    /// What the issuer must be.
    public var issuer: DistinguishedName?

    /// What the serial number must be.
    public var serialNumber: SerialNumber?

    /// What the SHA-256 of the certificate must be, in lower-case hexadecimal.
    public var fingerprint: String?

    /// A selector that every certificate matches.
    public init() {}

    /// Reads a selector: `Key=x509Subject,Value=CN=web-1 Key=x509Serial,Value=15D196`.
    ///
    /// The keys are `x509Subject` and `x509Issuer` with names as in RFC 4514, `x509Serial` with hexadecimal digits, and
    /// `x509Fingerprint` with those of a SHA-256.
    ///
    /// - Parameter text: The pairs, with blanks between them.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/invalidArgument`` naming the pair.
    public init(_ text: String) throws(RolesAnywhereError) {
        var pairs: [(key: String, value: String)] = []
        var rest = text.drop { $0.isWhitespace }
        while !rest.isEmpty {
            guard rest.hasPrefix("Key="), let comma = rest.firstRange(of: ",Value=") else {
                throw Self.malformed("\"\(printable(String(rest), limit: 80))\" is not Key=…,Value=…")
            }
            let key = rest[rest.index(rest.startIndex, offsetBy: 4)..<comma.lowerBound]
            rest = rest[comma.upperBound...]
            let end = Self.nextPair(in: rest) ?? rest.endIndex
            pairs.append((String(key), Self.trimmed(rest[..<end])))
            rest = rest[end...].drop { $0.isWhitespace }
        }
        try self.init(pairs)
    }

    /// Reads the pairs of a selector.
    ///
    /// - Parameter pairs: Keys and values.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/invalidArgument`` naming the pair.
    public init(_ pairs: [(key: String, value: String)]) throws(RolesAnywhereError) {
        guard !pairs.isEmpty else { throw Self.malformed("it is empty") }
        var seen: Set<String> = []
        for (key, value) in pairs {
            guard seen.insert(key).inserted else {
                throw Self.malformed("\(printable(key, limit: 40)) appears in it twice")
            }
            switch key {
            case "x509Subject": subject = try Self.name(value, of: key)
            case "x509Issuer": issuer = try Self.name(value, of: key)
            case "x509Serial": serialNumber = SerialNumber(try Self.octets(value, of: key))
            case "x509Fingerprint":
                let octets = try Self.octets(value, of: key)
                guard octets.count == 32 else {
                    throw Self.malformed("\(key) has \(octets.count) bytes; a SHA-256 has 32")
                }
                fingerprint = hexadecimal(octets)
            default:
                throw Self.malformed(
                    "there is no key \"\(printable(key, limit: 40))\"; "
                        + "there are x509Subject, x509Issuer, x509Serial and x509Fingerprint")
            }
        }
    }

    /// Whether a certificate is meant.
    ///
    /// - Parameter certificate: The certificate.
    /// - Returns: Whether all of what was asked for is so.
    public func matches(_ certificate: Certificate) -> Bool {
        (subject.map { Self.isSame($0, certificate.subject) } ?? true)
            && (issuer.map { Self.isSame($0, certificate.issuer) } ?? true)
            && (serialNumber.map { $0 == certificate.serialNumber } ?? true)
            && (fingerprint.map { $0 == certificate.fingerprint } ?? true)
    }

    /// Chooses the one certificate that is meant.
    ///
    /// - Parameters:
    ///   - certificates: Those to choose from.
    ///   - place: Where they are, for messages.
    ///   - takesLatest: Whether of several the one that ends last is meant; otherwise several are refused.
    /// - Returns: The certificate.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/unusableIdentity`` when none or several match.
    public func choose(
        from certificates: [Certificate], in place: String, takesLatest: Bool
    ) throws(RolesAnywhereError) -> Certificate {
        var matching: [Certificate] = []
        for certificate in certificates where matches(certificate) && !matching.contains(certificate) {
            matching.append(certificate)
        }
        func listed(_ certificates: [Certificate]) -> String {
            let lines = certificates.prefix(5).map {
                "\"\(printable($0.subject.description, limit: 80))\" with serial number \($0.serialNumber.hexadecimal), until "
                    + CivilTime($0.notAfter).extended
            }
            return lines.joined(separator: "; ") + (certificates.count > 5 ? "; and more" : "")
        }
        guard let latest = matching.max(by: { $0.notAfter < $1.notAfter }) else {
            throw RolesAnywhereError(
                .unusableIdentity,
                certificates.isEmpty
                    ? "there is no certificate in \"\(printable(place))\""
                    : "none of the certificates in \"\(printable(place))\" is what the selector asks for: "
                        + listed(certificates), hint: "choose one of those that are there")
        }
        guard matching.count == 1 || takesLatest else {
            throw RolesAnywhereError(
                .unusableIdentity,
                "\(matching.count) certificates in \"\(printable(place))\" are what the selector asks for: "
                    + listed(matching), hint: "add x509Serial to it, or --use-latest-expiring-certificate")
        }
        return latest
    }

    /// Where, after a blank, the next pair begins.
    private static func nextPair(in text: Substring) -> Substring.Index? {
        var position = text.startIndex
        while let found = text[position...].firstRange(of: "Key=") {
            if found.lowerBound > text.startIndex, text[text.index(before: found.lowerBound)].isWhitespace {
                return found.lowerBound
            }
            position = found.upperBound
        }
        return nil
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop { $0.isWhitespace }
        while text.last?.isWhitespace ?? false { text.removeLast() }
        return String(text)
    }

    private static func name(_ text: String, of key: String) throws(RolesAnywhereError) -> DistinguishedName {
        do {
            return try DistinguishedName(text)
        } catch {
            throw malformed("\(key): \(error.message)")
        }
    }

    private static func octets(_ text: String, of key: String) throws(RolesAnywhereError) -> [UInt8] {
        var digits = text.filter { $0 != ":" }
        if digits.lowercased().hasPrefix("0x") { digits.removeFirst(2) }
        if digits.count % 2 == 1 { digits = "0" + digits }
        let values = digits.compactMap { $0.isASCII ? $0.hexDigitValue : nil }
        guard !values.isEmpty, values.count == digits.count else {
            throw malformed("\(key) is \"\(printable(text, limit: 80))\", which is not hexadecimal")
        }
        return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
    }

    private static func isSame(_ left: DistinguishedName, _ right: DistinguishedName) -> Bool {
        func folded(_ name: DistinguishedName) -> [Set<[String]>] {
            name.relativeNames.map { set in
                Set(set.map { [$0.type, $0.value.lowercased().split { $0.isWhitespace }.joined(separator: " ")] })
            }
        }
        return left == right || folded(left) == folded(right)
    }

    private static func malformed(_ why: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .invalidArgument, "the certificate selector cannot be read: \(why)",
            hint: "write for example Key=x509Subject,Value=CN=web-1")
    }
}
