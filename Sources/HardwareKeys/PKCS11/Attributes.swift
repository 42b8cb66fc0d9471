// SPDX-License-Identifier: Apache-2.0

import CPKCS11

/// An attribute of an object in a token, to look for or to give.
struct Attribute {
    /// CKA_…
    let type: CK_ATTRIBUTE_TYPE
    /// The value as it lies in memory.
    let value: [UInt8]

    init(_ type: CK_ATTRIBUTE_TYPE, _ value: [UInt8]) {
        self.type = type
        self.value = value
    }

    init(_ type: CK_ATTRIBUTE_TYPE, _ text: String) { self.init(type, Array(text.utf8)) }

    init(_ type: CK_ATTRIBUTE_TYPE, _ flag: Bool) { self.init(type, [flag ? 1 : 0]) }

    init(_ type: CK_ATTRIBUTE_TYPE, _ number: CK_ULONG) {
        self.init(type, unsafe withUnsafeBytes(of: number) { unsafe Array($0) })
    }
}

/// Lends attributes to a closure in Cryptoki's form.
///
/// - Parameters:
///   - attributes: The attributes.
///   - body: Must not let the pointer escape, nor write through it.
/// - Returns: What the closure returns.
func withTemplate<Result>(
    _ attributes: [Attribute],
    _ body: (UnsafeMutablePointer<CK_ATTRIBUTE>?, CK_ULONG) -> Result
) -> Result {
    var values = attributes.flatMap(\.value)
    return unsafe values.withUnsafeMutableBytes { bytes in
        var offset = 0
        var template: [CK_ATTRIBUTE] = unsafe []
        for attribute in attributes {
            let place = unsafe bytes.baseAddress.map { unsafe $0 + offset }
            let count = CK_ULONG(attribute.value.count)
            unsafe template.append(CK_ATTRIBUTE(type: attribute.type, pValue: place, ulValueLen: count))
            offset += attribute.value.count
        }
        return unsafe template.withUnsafeMutableBufferPointer {
            unsafe body($0.baseAddress, CK_ULONG($0.count))
        }
    }
}

/// The number that an attribute's value is.
func number(_ value: [UInt8]?) -> CK_ULONG? {
    guard let value, value.count == MemoryLayout<CK_ULONG>.size else { return nil }
    return unsafe value.withUnsafeBytes { unsafe $0.loadUnaligned(as: CK_ULONG.self) }
}
