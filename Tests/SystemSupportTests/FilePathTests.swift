// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import SystemSupport

@Suite final class FilePathTests {
    private let directory: String

    init() throws {
        var template = Array("/tmp/pki-path-test.XXXXXX".utf8CString)
        directory = try unsafe String(cString: #require(mkdtemp(&template)))
    }

    deinit {
        let names = (try? Directory(directory, for: .reading).names()) ?? []
        for name in names { unsafe unlink("\(directory)/\(name)") }
        unsafe rmdir(directory)
    }

    private func link(_ name: String, to target: String) { unsafe symlink(target, "\(directory)/\(name)") }

    @Test(arguments: [
        ("web-1-cert.pem", "web-1-key.pem"), ("/ca/a b-cert.pem", "/ca/a b-key.pem"), ("-cert.pem", nil),
        ("ca/-cert.pem", nil), ("web-1.pem", nil), ("cert.pem", nil), ("web-1-cert.pem.old", nil), ("", nil),
    ])
    func `B1: a key's file is named after its certificate's`(certificate: String, key: String?) {
        #expect(FilePath.sibling(.key, of: certificate) == key)
    }

    @Test func `links are followed to their end, which need not exist`() throws {
        link("a", to: "b")
        link("b", to: "\(directory)/c")
        link("c", to: "./none")
        #expect(try FilePath.followingLinks("\(directory)/a") == "\(directory)/./none")
        #expect(try FilePath.followingLinks("\(directory)/none") == "\(directory)/none")
        #expect(try FilePath.followingLinks("none") == "none")
        link("x", to: "y")
        link("y", to: "x")
        let error = #expect(throws: FileError.self) { try FilePath.followingLinks("\(directory)/x") }
        #expect(error?.code == .kind)
    }

    @Test(.enabled(if: geteuid() == 0)) func `W15: somebody else's link is not followed to a secret`() throws {
        let opened = try Directory(directory, for: .writing)
        try opened.create("key", SecretBytes("SECRET".utf8), mode: 0o600)
        link("link", to: "key")
        #expect(try FileContents(of: "\(directory)/link", .ownerOnly).bytes.count == 6)
        unsafe lchown("\(directory)/link", 4321, 4321)
        let error = #expect(throws: FileError.self) { try FileContents(of: "\(directory)/link", .ownerOnly) }
        #expect(error?.code == .foreign)
        #expect(try FileContents(of: "\(directory)/link").bytes.count == 6)
        #expect(try FilePath.followingLinks("\(directory)/link", trustsAnybody: true) == "\(directory)/key")
    }

    @Test(arguments: [
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49", "./-----BEGIN EC PRIVATE KEY-----MHcCAQEEIE1phJFGDWbH6",
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNNlmVaP8LDlJp6AAYX4+ggzcgqikjsFAWLVnKNWk",
        "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVFSUUxcGhKRkdEV2JINldLcXNFN3laTlg0Y",
    ])
    func `F1: a key in the place of a path is not repeated`(key: String) throws {
        let error = try #require(throws: FileError.self) { try FileContents(of: key, .ownerOnly) }
        let text = "\(error.message) \(error.hint ?? "")"
        let pieces = (0...key.utf8.count - 12).map {
            String(decoding: key.utf8.dropFirst($0).prefix(12), as: UTF8.self)
        }
        #expect(!pieces.contains { text.contains($0) })
        #expect(text.contains("\(key.utf8.count) bytes"))
    }

    @Test(arguments: [
        "Makefile", "/etc/none.pem", "MyCompany/keys/web-1-key.pem",
        "M/a/very/long/path/of/names/of/many/a/directory/of/x-key.pem",
    ])
    func `a path is`(path: String) throws {
        let error = try #require(throws: FileError.self) { try FileContents(of: "\(path)\u{1}") }
        #expect(error.message.contains(path))
    }

    @Test func `a lock keeps its note, and is made anew when it was removed`() throws {
        let opened = try Directory(directory, for: .writing)
        do {
            let lock = try opened.lock("lock")
            lock.note = "a longer one"
            lock.note = "short"
            #expect(lock.note == "short")
            opened.removeUnlocked("lock")
            #expect(opened.status(of: "lock")?.mode == 0o600)
        }
        unsafe chmod("\(directory)/lock", 0o400)
        opened.removeUnlocked("lock", if: { false })
        if geteuid() != 0 { unsafe chmod("\(directory)/lock", 0o600) }
        #expect(try opened.lock("lock").note == "short")
        #expect(opened.status(of: "lock")?.mode == 0o600)
        opened.removeUnlocked("lock")
        #expect(!opened.contains("lock"))
        #expect(throws: FileError.self) { try opened.lock("../lock") }
        link("other", to: "lock")
        #expect(throws: FileError.self) { try opened.lock("other") }
        #expect(!opened.contains("lock"))
    }
}
