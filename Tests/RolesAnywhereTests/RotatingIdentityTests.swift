// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

@testable import RolesAnywhere

@Suite final class RotatingIdentityTests {
    private let directory: String
    private let authority: TestAuthority

    init() throws {
        var template = Array("\(FileManager.default.temporaryDirectory.path)/rotation-XXXXXX".utf8CString)
        directory = unsafe String(cString: try #require(mkdtemp(&template)))
        authority = try TestAuthority()
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private struct Pair {
        var certificate: Certificate
        var certificateText: String
        var keyText: String
    }

    private func pair(_ type: KeyType) throws -> Pair {
        let key = try PrivateKey(generating: type)
        let certificate = try authority.client(key: key)
        let text = try unsafe key.pemEncoded().withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        return Pair(certificate: certificate, certificateText: certificate.pemEncoded, keyText: text)
    }

    private var files: IdentitySource {
        IdentitySource(certificate: "\(directory)/cert.pem", privateKey: "\(directory)/key.pem")
    }

    private func write(_ name: String, _ text: String) throws {
        let path = "\(directory)/\(name)"
        // In place: the file is the same one, with other contents and a later time.
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        let bytes = Array(text.utf8)
        #expect(unsafe Glibc.write(file, bytes, bytes.count) == bytes.count)
        // Times of files are coarse: make this one differ.
        var times = [timespec(tv_sec: 0, tv_nsec: 0), timespec(tv_sec: 1_900_000_000 + counter, tv_nsec: 0)]
        counter += 1
        unsafe futimens(file, &times)
    }

    private var counter = 0

    @Test func `files that stay as they are lead to nothing`() throws {
        let first = try pair(.ecP256)
        try write("cert.pem", first.certificateText)
        try write("key.pem", first.keyText)
        let identity = try RotatingIdentity(files) { nil }
        #expect(!identity.hasChanged)
        #expect(identity.update() == nil)
        #expect(identity.identity.certificate == first.certificate)
    }

    @Test(arguments: [(KeyType.ecP256, KeyType.rsa2048), (.rsa2048, .ecP384), (.ecP384, .ecP256)])
    func `half a rotation keeps the old identity, the whole of it brings the new one`(from: KeyType, to: KeyType) throws
    {
        let (first, second) = (try pair(from), try pair(to))
        for order in [["cert.pem", "key.pem"], ["key.pem", "cert.pem"]] {
            try write("cert.pem", first.certificateText)
            try write("key.pem", first.keyText)
            let identity = try RotatingIdentity(files) { nil }
            let texts = ["cert.pem": second.certificateText, "key.pem": second.keyText]
            try write(order[0], texts[order[0]] ?? "")
            #expect(identity.hasChanged)
            for _ in 0..<3 {
                guard case .kept(let error) = identity.update() else { throw SocketFailure() }
                #expect(error is RolesAnywhereError)
                #expect(identity.identity.certificate == first.certificate)
                #expect(identity.identity.key.publicKey == first.certificate.publicKey)
            }
            try write(order[1], texts[order[1]] ?? "")
            guard case .replaced(let new) = identity.update() else { throw SocketFailure() }
            #expect(new.certificate == second.certificate)
            #expect(identity.identity.key.publicKey == second.certificate.publicKey)
            #expect(identity.update() == nil)
        }
    }

    @Test(arguments: ["", "-----BEGIN CERTIFICATE-----\nMIIB", "nothing of the kind"])
    func `a file that is being written keeps the old identity`(text: String) throws {
        let first = try pair(.ecP256)
        try write("cert.pem", first.certificateText)
        try write("key.pem", first.keyText)
        let identity = try RotatingIdentity(files) { nil }
        try write("cert.pem", text)
        guard case .kept = identity.update() else { throw SocketFailure() }
        #expect(identity.identity.certificate == first.certificate)
        unsafe unlink("\(directory)/cert.pem")
        guard case .kept = identity.update() else { throw SocketFailure() }
        try write("cert.pem", first.certificateText)
        // The same as before: nothing new.
        #expect(identity.update() == nil)
        #expect(!identity.hasChanged)
    }

    @Test func `a directory of links that is swapped brings the new identity`() throws {
        let (first, second) = (try pair(.ecP256), try pair(.ecP256))
        for (name, pair) in [("one", first), ("two", second)] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(name)", withIntermediateDirectories: false)
            try write("\(name)/cert.pem", pair.certificateText)
            try write("\(name)/key.pem", pair.keyText)
        }
        let link = "\(directory)/current"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "one")
        let files = IdentitySource(certificate: "\(link)/cert.pem", privateKey: "\(link)/key.pem")
        let identity = try RotatingIdentity(files) { nil }
        try FileManager.default.createSymbolicLink(atPath: "\(link).new", withDestinationPath: "two")
        #expect(unsafe rename("\(link).new", link) == 0)
        guard case .replaced(let new) = identity.update() else { throw SocketFailure() }
        #expect(new.certificate == second.certificate)
    }

    @Test func `the first time nothing can stand in`() throws {
        #expect(throws: RolesAnywhereError.self) { try RotatingIdentity(self.files) { nil } }
    }
}
