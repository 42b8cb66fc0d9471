// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport
import Testing

@testable import Authority

@Suite struct CADirectoryTests {
    private func file(_ name: String, _ text: String = "new") -> CADirectory.PlannedFile {
        .init(name: name, contents: SecretBytes(text.utf8), mode: 0o600)
    }

    private func place(_ draft: String, _ name: String, replaces: Bool = false) -> FileMove {
        FileMove(name: name, kind: .place(draft: ".new/\(draft)", replaces: replaces), stage: .keys)
    }

    @Test func `a name that is taken is never written over`() throws {
        let place = try TemporaryDirectory()
        try place.write("old", to: "b")
        let directory = try CADirectory(path: place.path, for: .writing)
        try directory.writeDrafts([(".new/1-0", file("a")), (".new/1-1", file("b"))], links: [])
        #expect {
            try directory.settle([self.place("1-0", "a"), self.place("1-1", "b")])
        } throws: { error in
            guard let error = error as? AuthorityError else { return false }
            return error.code == .exists && error.hint?.contains(".new/1-1") == true
        }
        #expect(try place.read("b") == "old")
        #expect(try place.read("a") == "new")
        // As the error says: once it is out of the way, the draft gets its name.
        try directory.moveAside("b", to: "archive/b")
        try directory.settle([self.place("1-0", "a"), self.place("1-1", "b")])
        #expect(try place.read("b") == "new" && place.read("archive/b") == "old")
    }

    @Test func `moves are done once however often they are asked for`() throws {
        let place = try TemporaryDirectory()
        try place.write("old", to: "b")
        try place.write("goes", to: "c")
        let directory = try CADirectory(path: place.path, for: .writing)
        try directory.writeDrafts(
            [(".new/1-0", file("a")), (".new/1-1", file("b"))], links: [("b", ".new/1-2"), ("c", ".new/1-3")])
        let moves = [
            FileMove(name: "archive/b", kind: .place(draft: ".new/1-2", replaces: false), stage: .archive),
            FileMove(name: "archive/c", kind: .place(draft: ".new/1-3", replaces: false), stage: .archive),
            self.place("1-0", "a"), self.place("1-1", "b", replaces: true),
            FileMove(name: "c", kind: .remove(copy: "archive/c"), stage: .removals),
        ]
        // Whatever of it was done when the process ended, the next one does the rest.
        for count in 0...moves.count {
            try directory.settle(Array(moves.prefix(count)))
            #expect(place.names().contains("b"))
        }
        try directory.settle(moves)
        #expect(place.names() == ["a", "archive", "b"])
        #expect(try place.read("b") == "new" && place.read("archive/b") == "old" && place.read("archive/c") == "goes")
        #expect(place.names(in: ".new").isEmpty)
    }

    @Test func `a file that changed after it was archived is not removed`() throws {
        let place = try TemporaryDirectory()
        try place.write("other", to: "c")
        let directory = try CADirectory(path: place.path, for: .writing)
        try directory.writeDrafts([(".new/1-0", file("archive/c"))], links: [])
        try directory.settle([
            FileMove(name: "archive/c", kind: .place(draft: ".new/1-0", replaces: false), stage: .archive),
            FileMove(name: "c", kind: .remove(copy: "archive/c"), stage: .removals),
        ])
        #expect(try place.read("c") == "other")
    }

    @Test func `drafts that nothing names are swept`() throws {
        let place = try TemporaryDirectory()
        let directory = try CADirectory(path: place.path, for: .writing)
        try directory.writeDrafts([(".new/1-0", file("a")), (".new/1-1", file("b"))], links: [])
        directory.sweepDrafts()
        #expect(place.names(in: ".new").isEmpty)
    }

    @Test func `what is no draft's name stays when drafts are swept`() throws {
        let place = try TemporaryDirectory()
        try place.write("kept", to: ".new/authorized_keys")
        let directory = try CADirectory(path: place.path, for: .writing)
        directory.sweepDrafts()
        #expect(place.names(in: ".new") == ["authorized_keys"])
    }

    @Test(arguments: ["/etc/passwd", "../x", "a/b", "archive/../x", ".new/../../x", "archive/", "", ".", "archive/a/b"])
    func `B1: a name that leads out of the directory is refused`(name: String) throws {
        let place = try TemporaryDirectory()
        try place.write("x", to: "archive/x")
        let directory = try CADirectory(path: place.path, for: .writing)
        #expect(throws: AuthorityError.self) { try directory.read(name, isPrivate: false) }
        #expect(name == "." || !directory.contains(name))
        #expect(throws: AuthorityError.self) { try directory.writeDrafts([(name, self.file("x"))], links: []) }
        try directory.writeDrafts([(".new/1-1", file("x"))], links: [])
        #expect(throws: AuthorityError.self) { try directory.settle([self.place("1-1", name, replaces: true)]) }
    }

    @Test(arguments: [
        ("web-1-cert.pem", true), ("archive/web-1-cert-20260101T000000Z.pem", true), ("root.p12-passphrase", true),
        ("a b.pem", true), ("", false), (".", false), ("..", false), ("/x", false), ("archive", false),
        ("archive/", false),
        ("archive/.x", false), (".x", false), ("-x", false), ("a/b", false), ("archive/a/b", false),
        ("inventory.sqlite", false), ("inventory.sqlite-wal", false), ("a\u{0}b", false), ("a\nb", false), ("é", false),
        (String(repeating: "a", count: 256), false),
    ])
    func `the grammar of names that the inventory may hold`(path: String, isPath: Bool) {
        #expect(AuthorityFiles.isPath(path) == isPath)
    }

    @Test(arguments: [
        ("pkcs11:object=root", true), ("pkcs11:token=a;id=%01", true), ("handle:0x81000001", true),
        ("ssh-agent:SHA256:abc", true), ("pkcs11:object=root?module-path=/tmp/m.so", false),
        ("pkcs11:object=root?pin-source=file:/etc/shadow", false), ("env:AWS_SECRET_ACCESS_KEY", false),
        ("fd:3", false),
        ("/etc/passwd", false), ("-", false), ("pkcs11:object=a b", false),
    ])
    func `B3: the address of a key in a directory names a token and an object only`(address: String, isLasting: Bool) {
        #expect(AuthorityFiles.isLastingAddress(address) == isLasting)
    }

    @Test(arguments: [".new", "archive"])
    func `B2: what is behind a link in place of a directory stays`(name: String) throws {
        let (place, other) = (try TemporaryDirectory(), try TemporaryDirectory())
        try other.write("kept", to: "1-1")
        try #require(unsafe symlink(other.path, "\(place.path)/\(name)") == 0)
        let refused = #expect(throws: AuthorityError.self) { try CADirectory(path: place.path, for: .writing) }
        #expect(refused?.message.contains("symbolic link") == true)
        // Who only reads sees nothing there.
        let reading = try CADirectory(path: place.path, for: .reading)
        reading.sweepDrafts()
        #expect(reading.names(in: name).isEmpty && other.names() == ["1-1"])
    }

    @Test(arguments: [0o777, 0o770, 0o722] as [UInt32])
    func `W16: a directory that others can write to is read and not written`(mode: UInt32) throws {
        let place = try TemporaryDirectory()
        try place.write("x", to: "a")
        unsafe chmod(place.path, mode)
        let refused = #expect(throws: AuthorityError.self) { try CADirectory(path: place.path, for: .writing) }
        #expect(refused?.code == .permissions && refused?.hint?.contains("chmod go-w") == true)
        #expect(try CADirectory(path: place.path, for: .reading).contains("a"))
    }

    @Test func `B1: a directory that is a link is not opened`() throws {
        let (place, other) = (try TemporaryDirectory(), try TemporaryDirectory())
        let link = "\(place.path)/link"
        try #require(unsafe symlink(other.path, link) == 0)
        for path in [link, "\(link)/", "\(link)//"] {
            for use in [Directory.Use.reading, .writing, .repairing] {
                #expect(throws: AuthorityError.self) { try CADirectory(path: path, for: use) }
            }
        }
    }
}
