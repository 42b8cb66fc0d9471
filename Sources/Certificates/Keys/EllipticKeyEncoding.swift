// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The usual encodings of the keys on a curve: each has its bytes in fixed places.
///
/// libcrypto 3.0 searches all its decoders and encoders for every key, which takes longer than making or using it. Keys
/// in the usual encodings are therefore read and written here; libcrypto handles all others.
struct EllipticKeyEncoding {
    let curve: NamedCurve
    /// What precedes the point in a SubjectPublicKeyInfo (RFC 5480 §2).
    private let publicPrefix: [UInt8]
    /// What precedes the private number in a PrivateKeyInfo (RFC 5958 §2), and follows it up to the point (RFC 5915 §3).
    private let privatePrefix: [UInt8]
    private let privateMiddle: [UInt8]

    static let all = NamedCurve.allCases.map(Self.init(making:))

    init(_ curve: NamedCurve) { self = Self.all.first { $0.curve == curve } ?? Self(making: curve) }

    private init(making curve: NamedCurve) {
        self.curve = curve
        let point = [UInt8](repeating: 0, count: curve.pointSize)
        let number = [UInt8](repeating: 0, count: curve.orderSize)
        let parameters = DER.objectIdentifier(curve.objectIdentifier)
        publicPrefix = PublicKey.ecEncoding(parameters: parameters, point: point).dropLast(point.count)
        let publicPart = DER.encode(DER.constructed(1), DER.bitString(point))
        let key = DER.sequence([
            DER.unsignedInteger([1]), DER.encode(DER.octetString, number), publicPart,
        ])
        let algorithm = DER.sequence([DER.objectIdentifier("1.2.840.10045.2.1"), parameters])
        let whole = DER.sequence([DER.unsignedInteger([]), algorithm, DER.encode(DER.octetString, key)])
        privateMiddle = publicPart.dropLast(point.count)
        privatePrefix = whole.dropLast(number.count + publicPart.count)
    }

    /// The point of a public key; `nil` if it is not in this encoding.
    func point(of publicKey: [UInt8]) -> ArraySlice<UInt8>? {
        let point = publicKey.dropFirst(publicPrefix.count)
        return point.count == curve.pointSize && point.first == 0x04 && publicKey.starts(with: publicPrefix)
            ? point : nil
    }

    /// The public key with a point.
    func publicKey(_ point: [UInt8]) -> [UInt8] { publicPrefix + point }

    /// A private key: `write` fills in the number.
    func privateKey(
        _ point: ArraySlice<UInt8>, _ write: (UnsafeMutableRawBufferPointer) -> Bool
    ) -> SecretBytes? {
        let start = privatePrefix.count
        let end = start + curve.orderSize
        var isWritten = false
        let encoded = unsafe SecretBytes(capacity: end + privateMiddle.count + point.count) { buffer in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            unsafe bytes.copyBytes(from: privatePrefix)
            unsafe isWritten = write(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end]))
            unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[end...]).copyBytes(from: privateMiddle + point)
            return buffer.count
        }
        return isWritten ? encoded : nil
    }

    /// The number and the point of a private key; `nil` if it is not in this encoding.
    func parts(of privateKey: SecretBytes) -> (number: SecretBytes, point: [UInt8])? {
        let start = privatePrefix.count
        let end = start + curve.orderSize
        return unsafe privateKey.withUnsafeBytes { bytes in
            guard bytes.count == end + privateMiddle.count + curve.pointSize,
                unsafe bytes[..<start].elementsEqual(privatePrefix),
                unsafe bytes[end...].starts(with: privateMiddle)
            else { return nil }
            let point = unsafe Array(bytes.suffix(curve.pointSize))
            guard point.first == 0x04 else { return nil }
            return unsafe (SecretBytes(UnsafeRawBufferPointer(rebasing: bytes[start..<end])), point)
        }
    }
}
