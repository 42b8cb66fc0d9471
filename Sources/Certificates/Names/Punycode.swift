// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension GeneralName {
    /// Throws ``CertificateError`` if a label of a DNS name begins with `xn--` and is not the Punycode of a label that
    /// needs it (RFC 3492, RFC 5891 §4.2.3). Which characters may stand in a label is not checked.
    package func checkPunycode() throws(CertificateError) {
        guard case .dns(let text) = self else { return }
        for label in text.lowercased().split(separator: ".") where label.hasPrefix("xn--") {
            guard Self.isPunycode(Array(label.utf8.dropFirst(4))) else {
                throw CertificateError(
                    .invalidName, "\"\(printable(text, limit: 300))\" is not a DNS name: \"\(label)\" is not Punycode")
            }
        }
    }

    /// Whether the lower-case octets after `xn--` decode to code points of which one is not ASCII (RFC 3492 §6.2).
    private static func isPunycode(_ octets: [UInt8]) -> Bool {
        let hyphen = UInt8(ascii: "-")
        var (count, rest) = (0, octets[...])
        if let last = octets.lastIndex(of: hyphen) {
            // Without ASCII characters there is no delimiter.
            guard last > 0 else { return false }
            (count, rest) = (last, octets[(last + 1)...])
        }
        guard !rest.isEmpty else { return false }
        var (point, index, bias, isFirst) = (128, 0, 72, true)
        while !rest.isEmpty {
            let before = index
            var (weight, threshold) = (1, 36)
            while true {
                guard let octet = rest.popFirst(), octet != hyphen else { return false }
                // Letters are 0 to 25, digits 26 to 35.
                let digit = octet >= UInt8(ascii: "a") ? Int(octet) - 0x61 : Int(octet) - 0x30 + 26
                index += digit * weight
                // No label of 63 octets has more characters, and Unicode ends at 10FFFF.
                guard index <= 64 * 0x11_0000 else { return false }
                let step = min(max(threshold - bias, 1), 26)
                if digit < step { break }
                weight *= 36 - step
                threshold += 36
            }
            count += 1
            var delta = (index - before) / (isFirst ? 700 : 2)
            delta += delta / count
            bias = 0
            while delta > 455 {
                delta /= 35
                bias += 36
            }
            bias += 36 * delta / (delta + 38)
            isFirst = false
            point += index / count
            index = index % count + 1
            guard Unicode.Scalar(UInt32(point)) != nil else { return false }
        }
        return true
    }
}
