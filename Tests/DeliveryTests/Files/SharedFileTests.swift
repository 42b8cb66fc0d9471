// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import Synchronization
import SystemSupport
import Testing

@testable import Delivery

@Suite struct SharedFileTests {
    private static let old = "[default]\naws_secret_access_key = OLD-SECRET\n"

    private func setRegion(_ configuration: inout SharedConfiguration) throws {
        try configuration.set([("region", "new")], in: "default")
    }

    @Test func `what is not there reads as nothing`() throws {
        let place = try Place()
        #expect(try SharedFile(path: "\(place.path)/a/config").read() == nil)
        #expect(try SharedFile(path: "/dev/null").read() == nil)
        try place.link("dangling", to: "nowhere")
        #expect(try SharedFile(path: "\(place.path)/dangling").read() == nil)
        try place.write("x", to: "config")
        #expect(try SharedFile(path: "\(place.path)/config").read() == [0x78])
    }

    @Test(arguments: [0o000, 0o022, 0o777] as [mode_t])
    func `a missing file is made in missing directories, whatever the umask says`(_ mask: mode_t) throws {
        let place = try Place()
        try place.withUmask(mask) {
            try SharedFile(path: "\(place.path)/a/b/config").update(isPrivate: false, setRegion)
            try SharedFile(path: "\(place.path)/a/b/credentials").update(isPrivate: true, setRegion)
        }
        #expect(place.mode(of: "a") == 0o700)
        #expect(place.mode(of: "a/b") == 0o700)
        #expect(place.mode(of: "a/b/config") == 0o600)
        #expect(place.mode(of: "a/b/credentials") == 0o600)
        #expect(place.read("a/b/config") == "[default]\nregion = new\n")
        #expect(place.names(in: "a/b") == ["config", "credentials"])
    }

    @Test func `when nothing changes nothing is written`() throws {
        let place = try Place()
        try place.write(Self.old, to: "config", mode: 0o644)
        let inode = place.inode(of: "config")
        try SharedFile(path: "\(place.path)/config").update(isPrivate: false) { _ in }
        #expect(place.inode(of: "config") == inode)
        try SharedFile(path: "\(place.path)/none").update(isPrivate: true) { _ in }
        #expect(place.names() == ["config"])
        try SharedFile(path: "\(place.path)/config").update(isPrivate: true) { _ in }
        #expect(place.mode(of: "config") == 0o600)
        #expect(place.read("config") == Self.old)
    }

    @Test(arguments: [0o600, 0o640, 0o644, 0o666, 0o400, 0o777] as [mode_t])
    func `a file with secrets becomes private, and another keeps its mode`(_ mode: mode_t) throws {
        let place = try Place()
        for name in ["config", "credentials"] { try place.write(Self.old, to: name, mode: mode) }
        try place.withUmask(0o077) {
            try SharedFile(path: "\(place.path)/config").update(isPrivate: false, setRegion)
            try SharedFile(path: "\(place.path)/credentials").update(isPrivate: true, setRegion)
        }
        #expect(place.mode(of: "config") == mode)
        #expect(place.mode(of: "credentials") == 0o600)
        #expect(place.read("config") == Self.old + "region = new\n")
        #expect(place.read("credentials") == Self.old + "region = new\n")
    }

    @Test(.enabled(if: geteuid() == 0)) func `root leaves a file to its owner`() throws {
        let place = try Place()
        try place.write(Self.old, to: "config", mode: 0o640)
        #expect(unsafe chown("\(place.path)/config", 4321, 5432) == 0)
        try SharedFile(path: "\(place.path)/config").update(isPrivate: false, setRegion)
        var status = stat()
        #expect(unsafe stat("\(place.path)/config", &status) == 0)
        #expect(status.st_uid == 4321)
        #expect(status.st_gid == 5432)
        #expect(place.mode(of: "config") == 0o640)
    }

    @Test(arguments: ["other/config", "./other//config", "/", "middle", "other/dangling", "missing/config"])
    func `a link stays one, and its target is replaced`(_ target: String) throws {
        let place = try Place()
        try place.makeDirectory("other")
        try place.write(Self.old, to: "other/config")
        try place.link("middle", to: "other/link")
        try place.link("other/link", to: "config")
        try place.link("other/dangling", to: "../fresh")
        try place.link("config", to: target == "/" ? "\(place.path)/other/config" : target)
        try SharedFile(path: "\(place.path)/config").update(isPrivate: true, setRegion)
        #expect(place.isLink("config"))
        #expect(place.isLink("middle"))
        #expect(place.isLink("other/link"))
        let isNew = target.contains("dangling") || target.contains("missing")
        #expect(place.read("config") == (isNew ? "[default]\n" : Self.old) + "region = new\n")
        #expect(place.read("other/config") == (isNew ? Self.old : Self.old + "region = new\n"))
        #expect(place.names(in: "other") == ["config", "dangling", "link"])
        if target.contains("missing") { #expect(place.mode(of: "missing") == 0o700) }
    }

    @Test func `links in a circle, a directory and a pipe are refused`() throws {
        let place = try Place()
        try place.link("a", to: "b")
        try place.link("b", to: "a")
        try place.makeDirectory("directory")
        #expect(unsafe mkfifo("\(place.path)/pipe", 0o600) == 0)
        for name in ["a", "directory", "directory/", "pipe", "directory/..", ""] {
            let error = #expect(throws: DeliveryError.self) {
                try SharedFile(path: "\(place.path)/\(name)").update(isPrivate: true, setRegion)
            }
            #expect(error?.code == .unsafePlace)
            #expect(error?.message.contains(place.path) == true)
            #expect(throws: DeliveryError.self) { try SharedFile(path: "\(place.path)/\(name)").read() }
        }
        #expect(place.names() == ["a", "b", "directory", "pipe"])
        #expect(place.names(in: "directory").isEmpty)
        #expect(throws: DeliveryError.self) { try SharedFile(path: "").update(isPrivate: true, setRegion) }
    }

    @Test func `when the change fails the file is as it was`() throws {
        struct Refused: Error {}
        let place = try Place()
        try place.write(Self.old, to: "config", mode: 0o644)
        let inode = place.inode(of: "config")
        let file = SharedFile(path: "\(place.path)/config")
        #expect(throws: Refused.self) {
            try file.update(isPrivate: true) { configuration in
                try setRegion(&configuration)
                throw Refused()
            }
        }
        #expect(throws: DeliveryError.self) {
            try file.update(isPrivate: true) { try $0.set([("a", "b\nc")], in: "default") }
        }
        let error = #expect(throws: DeliveryError.self) {
            try file.update(isPrivate: true) { configuration in
                configuration = SharedConfiguration([UInt8](repeating: 0x20, count: SharedFile.maximumSize + 1))
            }
        }
        #expect(error?.message == "\(place.path)/config cannot be written: it would be larger than 16 MiB")
        #expect(place.inode(of: "config") == inode)
        #expect(place.mode(of: "config") == 0o644)
        #expect(place.names() == ["config"])
    }

    @Test func `a file that cannot be one of these is not read`() throws {
        let place = try Place()
        try place.write("", to: "config")
        #expect(unsafe truncate("\(place.path)/config", off_t(SharedFile.maximumSize + 1)) == 0)
        let file = SharedFile(path: "\(place.path)/config")
        for action in [{ _ = try file.read() }, { try file.update(isPrivate: true) { _ in } }] {
            let error = #expect(throws: DeliveryError.self) { try action() }
            #expect(error?.message.contains("\(place.path)/config\" cannot be read: it is larger than 16 MiB") == true)
        }
    }

    @Test(.enabled(if: geteuid() != 0)) func `a directory that may not be written is named with the file`() throws {
        let place = try Place()
        try place.makeDirectory("directory")
        try place.write(Self.old, to: "directory/config")
        #expect(unsafe chmod("\(place.path)/directory", 0o500) == 0)
        defer { unsafe chmod("\(place.path)/directory", 0o700) }
        let error = #expect(throws: DeliveryError.self) {
            try SharedFile(path: "\(place.path)/directory/config").update(isPrivate: true, setRegion)
        }
        #expect(error?.message.contains("\(place.path)/directory/config") == true)
        #expect(error?.hint != nil)
        #expect(place.read("directory/config") == Self.old)
    }

    @Test(arguments: [EBUSY, EXDEV, EACCES, EPERM, EROFS, ENOSPC])
    func `what cannot be replaced is explained`(_ reason: CInt) throws {
        let error = SharedFile.failure(FileError("/somewhere/else/config", cannotBe: "written", reason))
        #expect(error.message.hasPrefix("\"/somewhere/else/config\" cannot be written: "))
        #expect((error.hint == nil) == (reason == ENOSPC))
        #expect(
            error.hint?.contains("mount its directory")
                == ([EBUSY, EXDEV].contains(reason) ? true : error.hint.map { _ in false })
        )
    }

    @Test(.enabled(if: geteuid() == 0)) func `W15: root changes nothing through somebody else's link`() throws {
        let place = try Place()
        try place.write(Self.old, to: "passwd")
        try place.link("config", to: "passwd")
        #expect(unsafe lchown("\(place.path)/config", 4321, 4321) == 0)
        let file = SharedFile(path: "\(place.path)/config")
        let error = #expect(throws: DeliveryError.self) { try file.update(isPrivate: true, setRegion) }
        #expect(error?.code == .unsafePlace)
        #expect(error?.message.contains("4321") == true)
        #expect(place.read("passwd") == Self.old)
        #expect(try file.read() == Array(Self.old.utf8))
    }

    @Test func `the directory is locked while the file is changed, and free again afterwards`() throws {
        let place = try Place()
        let other = unsafe open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(other) }
        try SharedFile(path: "\(place.path)/config").update(isPrivate: true) { configuration in
            try setRegion(&configuration)
            #expect(flock(other, LOCK_EX | LOCK_NB) != 0)
            #expect(errno == EWOULDBLOCK)
        }
        #expect(flock(other, LOCK_EX | LOCK_NB) == 0)
    }

    @Test(arguments: [nil, "[default]\na = 1\n"] as [String?])
    func `what a program that knows no lock writes meanwhile is not lost`(_ contents: String?) throws {
        let place = try Place()
        if let contents { try place.write(contents, to: "config") }
        let file = SharedFile(path: "\(place.path)/config")
        var calls = 0
        try file.update(isPrivate: false) { configuration in
            calls += 1
            try setRegion(&configuration)
            guard calls == 1 else { return }
            unsafe unlink(file.path)
            try place.write("[other]\nb = 2", to: "config")
        }
        #expect(calls == 2)
        #expect(place.read("config") == "[other]\nb = 2\n\n[default]\nregion = new\n")
        #expect(place.names() == ["config"])
    }

    @Test func `a program that does not stop changing the file is told of`() throws {
        let place = try Place()
        try place.write("", to: "config")
        var length = 0
        let error = #expect(throws: DeliveryError.self) {
            try SharedFile(path: "\(place.path)/config").update(isPrivate: true) { configuration in
                length += 1
                #expect(unsafe truncate("\(place.path)/config", length) == 0)
                configuration = SharedConfiguration([])
                try setRegion(&configuration)
            }
        }
        #expect(error?.message.contains("again and again") == true)
        #expect(place.names() == ["config"])
    }

    @Test func `what a killed process left behind is swept`() throws {
        let place = try Place()
        for name in [".pki-new.1.0", ".pki-new.\(getpid()).0", ".pki-newer", "config.new"] {
            try place.write("SECRET", to: name)
        }
        try SharedFile(path: "\(place.path)/config").update(isPrivate: true, setRegion)
        #expect(place.names() == [".pki-newer", "config", "config.new"])
        #expect(place.read("config") == "[default]\nregion = new\n")
    }

    @Test func `no change is lost among threads, and nobody reads half a file`() throws {
        let place = try Place()
        try place.write(Self.old, to: "real")
        try place.link("link", to: "real")
        let failures = Mutex(0)
        let threads = 8
        let changes = 12
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
            let file = SharedFile(path: "\(place.path)/\(thread.isMultiple(of: 2) ? "real" : "link")")
            for number in 0..<changes {
                do {
                    try file.update(isPrivate: true) {
                        try $0.set([("t\(thread)n\(number)", "v\(number)")], in: "section \(number % 3)")
                    }
                    let bytes = try file.read() ?? []
                    if !bytes.starts(with: Self.old.utf8) || bytes.last != .lineFeed { failures.withLock { $0 += 1 } }
                } catch {
                    failures.withLock { $0 += 1 }
                }
            }
        }
        #expect(failures.withLock { $0 } == 0)
        let result = SharedConfiguration(try SharedFile(path: "\(place.path)/real").read() ?? [])
        for thread in 0..<threads {
            for number in 0..<changes {
                #expect(result.value(of: "t\(thread)n\(number)", in: "section \(number % 3)") == "v\(number)")
            }
        }
        #expect(place.names() == ["link", "real"])
        #expect(place.isLink("link"))
    }
}
