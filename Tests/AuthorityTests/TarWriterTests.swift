// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

@testable import Authority

@Suite struct TarWriterTests {
    private struct File {
        var name: String
        var contents: [UInt8]
        var mode: UInt16
    }

    private static let time = 1_700_000_000

    private static let files = [
        File(name: "web-1-key.pem", contents: Array("a key\n".utf8), mode: 0o600),
        File(name: "web-1-cert.pem", contents: Array("a certificate\n".utf8), mode: 0o644),
        File(name: "empty", contents: [], mode: 0o400),
        File(name: "fleet/one-block", contents: [UInt8](repeating: 7, count: 512), mode: 0o644),
        File(name: "fleet/more", contents: (0..<100_001).map { UInt8(truncatingIfNeeded: $0) }, mode: 0o755),
        File(name: String(repeating: "h", count: 100), contents: [1], mode: 0o600),
        File(name: "fleet/" + String(repeating: "long-", count: 40) + "cert.pem", contents: [2], mode: 0o600),
        File(name: "fleet/grüße-日本.pem", contents: [3], mode: 0o600),
        File(name: "a = b\nc", contents: [4], mode: 0o600),
    ]

    private func write(_ files: [File], to path: String) throws {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var writer = TarWriter(descriptor: descriptor, path: path)
        for file in files {
            try writer.add(
                file.name,
                SecretBytes(file.contents),
                mode: file.mode,
                modified: Date(timeIntervalSince1970: Double(Self.time) + 0.75)
            )
        }
        try writer.finish()
    }

    /// Runs a program that must succeed, with its output in a file.
    private func run(_ command: [String], in directory: TemporaryDirectory) throws -> String {
        let shell = "cd \"$0\" && exec \"$@\" >output 2>&1"
        var arguments = unsafe Self.copies(["/bin/sh", "-c", shell, directory.path] + command)
        defer { unsafe Self.free(arguments) }
        var environment = unsafe Self.copies(["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"])
        defer { unsafe Self.free(environment) }
        var process: pid_t = 0
        let reason = unsafe posix_spawn(&process, "/bin/sh", nil, nil, &arguments, &environment)
        try #require(reason == 0)
        var status: CInt = -1
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        let output = try directory.read("output")
        try #require(status == 0, "\(output)")
        return output
    }

    private static func copies(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        var copies: [UnsafeMutablePointer<CChar>?] = unsafe []
        for text in texts { unsafe copies.append(strdup(text)) }
        unsafe copies.append(nil)
        return unsafe copies
    }

    private static func free(_ copies: [UnsafeMutablePointer<CChar>?]) {
        for index in unsafe copies.indices { unsafe Glibc.free(copies[index]) }
    }

    private func bytes(of path: String) throws -> [UInt8] {
        unsafe try FileContents(of: path).bytes.withUnsafeBytes { unsafe Array($0) }
    }

    @Test func `GNU tar unpacks what was written`() throws {
        let directory = try TemporaryDirectory()
        try write(Self.files, to: "\(directory.path)/archive.tar")
        let listing = try run(["tar", "--utc", "--full-time", "-tvf", "archive.tar", "web-1-key.pem"], in: directory)
        #expect(listing == "-rw------- root/root         6 2023-11-14 22:13:20 web-1-key.pem\n")
        let made = unsafe mkdir("\(directory.path)/unpacked", 0o700)
        try #require(made == 0)
        let output = try run(["tar", "-xpf", "archive.tar", "--no-same-owner", "-C", "unpacked"], in: directory)
        #expect(output.isEmpty)
        for file in Self.files {
            #expect(directory.mode(of: "unpacked/\(file.name)") == mode_t(file.mode))
            #expect(try bytes(of: "\(directory.path)/unpacked/\(file.name)") == file.contents)
        }
    }

    @Test func `Python's tarfile reads the same names, modes, owners, times and contents`() throws {
        let directory = try TemporaryDirectory()
        try write(Self.files, to: "\(directory.path)/archive.tar")
        try directory.write(
            """
            import hashlib, tarfile
            archive = tarfile.open("archive.tar", "r:", errorlevel=2)
            for member in archive:
                assert member.isreg() and member.mtime == \(Self.time), member
                assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "root", "root"), member
                print(ascii(member.name), oct(member.mode), len(archive.extractfile(member).read()))

            """,
            to: "read.py"
        )
        let output = try run(["python3", "-I", "read.py"], in: directory)
        let lines = Self.files.map { file in
            let name = file.name.unicodeScalars.map { scalar in
                switch scalar.value {
                case 0x0a: "\\n"
                case 0..<0x7f: String(scalar)
                case ..<0x100: "\\x\(String(scalar.value, radix: 16))"
                default: "\\u\(String(scalar.value, radix: 16))"
                }
            }
            return "'\(name.joined())' 0o\(String(file.mode, radix: 8)) \(file.contents.count)\n"
        }
        #expect(output == lines.joined())
    }

    @Test func `an archive is a whole number of records, and equal files make equal archives`() throws {
        let directory = try TemporaryDirectory()
        for name in ["a", "b"] { try write(Self.files, to: "\(directory.path)/\(name)") }
        let first = try bytes(of: "\(directory.path)/a")
        #expect(first.count % 10_240 == 0)
        #expect(try bytes(of: "\(directory.path)/b") == first)
        try write([], to: "\(directory.path)/empty.tar")
        #expect(try run(["tar", "-tf", "empty.tar"], in: directory).isEmpty)
    }

    @Test(arguments: ["", "/etc/passwd", "../key.pem", "a/../b", "a//b", "a/", "./a", "a\0b"])
    func `a name that leads elsewhere is refused`(name: String) throws {
        let directory = try TemporaryDirectory()
        #expect {
            try write([File(name: name, contents: [], mode: 0o600)], to: "\(directory.path)/archive.tar")
        } throws: { error in
            (error as? AuthorityError)?.code == .invalidRequest
        }
    }

    @Test func `a descriptor that takes nothing is told with the archive's name`() throws {
        let descriptor = unsafe open("/dev/full", O_WRONLY | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var writer = TarWriter(descriptor: descriptor, path: "fleet.tar")
        do {
            try writer.add("a", SecretBytes([1]), mode: 0o600, modified: Date(timeIntervalSince1970: 0))
            Issue.record("nothing was thrown")
        } catch {
            #expect(error.message == "the archive fleet.tar cannot be written: no space left on device")
        }
    }
}
