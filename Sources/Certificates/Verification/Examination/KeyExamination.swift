// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension FindingList {
    /// The kinds of key that have no size or curve to examine, by libcrypto's names.
    private static let soundKinds: Set<String> = ["ED25519", "ED448", "X25519", "X448", "RSA-PSS"]

    /// The curves that everybody reads.
    private static let usualCurves: Set<String> = ["prime256v1", "secp384r1", "secp521r1"]

    /// Examines a certified key.
    mutating func examine(key: PublicKey) {
        switch key.algorithm {
        case .rsa(let bits): examineRSA(key, bits: bits)
        case .ec(let curve): examineEC(key, curve: curve)
        case .mlDSA: break
        case .other(let name):
            if !Self.soundKinds.contains(name) {
                add(KeyRule.algorithm, "is for a key of the kind \(printable(name, limit: 80))")
            }
        }
    }

    private mutating func examineRSA(_ key: PublicKey, bits: Int) {
        if bits < 2048 { add(KeyRule.shortRSA, "has an RSA key of \(bits) bits") }
        guard let numbers = DER.elements(inSequence: key.subjectPublicKey), numbers.count == 2 else { return }
        if numbers[0].contents.last.map({ $0 & 1 == 0 }) ?? true {
            add(KeyRule.evenModulus, "has an RSA key with an even modulus")
        }
        let exponent = numbers[1].contents.drop { $0 == 0 }
        let isNegative = numbers[1].contents.first.map { $0 & 0x80 != 0 } ?? true
        let value = exponent.count > 4 ? Int.max : exponent.reduce(0) { $0 << 8 | Int($1) }
        if isNegative || value < 3 || exponent.last.map({ $0 & 1 == 0 }) ?? true {
            add(KeyRule.exponent, "has an RSA key with the public exponent \(isNegative ? "below zero" : "\(value)")")
        } else if value < 65_537 {
            add(KeyRule.smallExponent, "has an RSA key with the public exponent \(value)")
        }
    }

    private mutating func examineEC(_ key: PublicKey, curve: String) {
        let algorithm = DER.elements(inSequence: key.derEncoded)?.first
        let parameters = algorithm.flatMap { DER.elements(in: $0.contents) }?.dropFirst().first
        if parameters?.tag == DER.sequence {
            add(KeyRule.explicitCurve, "has a key whose curve is written out")
        } else if !Self.usualCurves.contains(curve) {
            add(KeyRule.curve, "has a key on \(key.algorithm)")
        }
        if let first = key.subjectPublicKey.first, first == 2 || first == 3 {
            add(KeyRule.compressedPoint, "has a key whose point is compressed")
        }
    }
}
