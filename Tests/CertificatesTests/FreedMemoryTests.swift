// SPDX-License-Identifier: Apache-2.0

import Foundation
import SystemSupport
import Testing

@testable import Certificates

/// Searches a process's own memory, as whoever finds its core would. Each test is a process of its own, because what is
/// dropped in one would be found by another.
@Suite struct FreedMemoryTests {
    @Test func `what is held is found`() async {
        await #expect(processExitsWith: .success) {
            let secret = SecretBytes((0..<40).map { UInt8(truncatingIfNeeded: $0 &* 11 &+ 3) })
            let needle = unsafe secret.withUnsafeBytes { unsafe MaskedBytes(name: "secret", hiding: $0) }
            guard try OwnMemory.occurrences(ofMasked: needle) > 0 else { exit(3) }
            _ = secret.count
        }
    }

    @Test func `nothing of an elliptic key and its passphrase is left when they are dropped`() async {
        await #expect(processExitsWith: .success) { try searchAfterUse(of: .ecP256) }
    }

    @Test func `nothing of an RSA key and its passphrase is left when they are dropped`() async {
        await #expect(processExitsWith: .success) { try searchAfterUse(of: .rsa2048) }
    }
}

/// Makes a key, writes it, reads it plain and encrypted, signs, drops everything, and looks.
private func searchAfterUse(of type: KeyType) throws {
    guard FreedMemory.wipeFromNowOn() else { fail("libcrypto has been used before") }
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("pki-memory-\(getpid())").path
    unsafe mkdir(directory, 0o700)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let needles = try use(type, in: directory)
    guard needles.count > 4 else { fail("nothing was looked for") }
    for needle in needles {
        let count = try OwnMemory.occurrences(ofMasked: needle)
        if count > 0 { fail("\(needle.name) lies in memory \(count) times") }
    }
}

private func use(_ type: KeyType, in directory: String) throws -> [MaskedBytes] {
    var needles: [MaskedBytes] = []
    func look(for name: String, in secret: SecretBytes, _ range: Range<Int>) {
        unsafe secret.withUnsafeBytes { bytes in
            let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[range])
            let needle = unsafe MaskedBytes(name: name, hiding: part)
            needles += [needle, needle.reversed]
        }
    }
    let passphrase = unsafe SecretBytes(capacity: 24) { buffer in
        for index in 0..<24 { unsafe buffer[index] = UInt8.random(in: 0x21...0x7e) }
        return 24
    }
    look(for: "the passphrase", in: passphrase, 0..<24)
    do {
        let key = try PrivateKey(generating: type)
        let text = try key.pemEncoded()
        look(for: "the PEM text", in: text, 100..<124)
        guard case .privateKeyInfo(let encoded) = try Container(reading: text).privateKeys.first?.contents else {
            fail("no PKCS#8")
        }
        // The scalar of a P-256 key; in an RSA key a piece of the private exponent, and one of a prime.
        if type == .ecP256 {
            look(for: "the scalar", in: encoded, 36..<68)
        } else {
            look(for: "the exponent", in: encoded, 340..<372)
            look(for: "a prime", in: encoded, 580..<612)
        }
        try write(text, to: "\(directory)/plain.pem")
        try write(try key.pemEncoded(passphrase: passphrase), to: "\(directory)/encrypted.pem")
    }
    for name in ["plain", "encrypted"] {
        let file = try read("\(directory)/\(name).pem")
        let key = try PrivateKey(reading: file, passphrase: passphrase)
        _ = try key.signature(for: Array("message".utf8), digest: .sha256)
    }
    return needles
}

private func write(_ secret: SecretBytes, to path: String) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
    defer { close(descriptor) }
    let count = unsafe secret.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    guard count == secret.count else { fail("\(path) cannot be written") }
}

private func read(_ path: String) throws -> SecretBytes {
    let descriptor = unsafe open(path, O_RDONLY)
    defer { close(descriptor) }
    return unsafe SecretBytes(capacity: 10_000) { unsafe max(0, Glibc.read(descriptor, $0.baseAddress, $0.count)) }
}

private func fail(_ why: String) -> Never {
    FileHandle.standardError.write(Data("\(why)\n".utf8))
    exit(4)
}
