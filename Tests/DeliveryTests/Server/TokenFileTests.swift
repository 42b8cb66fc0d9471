// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Testing

@testable import Delivery
import SystemSupport

@Suite final class TokenFileTests {
    private let directory: String
    private var path: String { "\(directory)/below/token" }

    init() throws {
        var template = Array("/tmp/pki-token-test.XXXXXX".utf8CString)
        let made = try unsafe #require(mkdtemp(&template))
        directory = unsafe String(cString: made)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private func write(_ text: String, mode: mode_t = 0o600) throws {
        try? FileManager.default.createDirectory(atPath: "\(directory)/below", withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
        unsafe chmod(path, mode)
    }

    private func open() throws -> TokenFile {
        try TokenFile(path: path, randomBytes: { count in (0..<count).map { UInt8($0 * 7 & 255) } })
    }

    @Test func `a missing file is made, for the user alone, and read the next time`() throws {
        let before = umask(0)
        defer { umask(before) }
        let token = try open().token
        #expect(token.utf8.count == 32)
        var status = stat()
        #expect(unsafe lstat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(unsafe lstat("\(directory)/below", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
        let again = try TokenFile(path: path, randomBytes: { _ in [] })
        #expect(again.token == token)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(directory)/below") == ["token"])
    }

    @Test(arguments: [0o640, 0o604, 0o660, 0o644] as [mode_t])
    func `a file that others may read is refused`(mode: mode_t) throws {
        try write("0123456789abcdef", mode: mode)
        let error = #expect(throws: DeliveryError.self) { try self.open() }
        #expect(error?.code == .unsafePlace)
        #expect(error?.message.contains("0123456789abcdef") == false)
    }

    @Test(.enabled(if: geteuid() == 0)) func `W15: a token that somebody else knows is refused`() throws {
        try write("0123456789abcdef")
        #expect(unsafe chown(path, 65_534, 65_534) == 0)
        let error = #expect(throws: DeliveryError.self) { try self.open() }
        #expect(error?.code == .unsafePlace)
        #expect(error?.message.contains("65534") == true)
        #expect(error?.message.contains("0123456789abcdef") == false)
    }

    @Test(.enabled(if: geteuid() == 0)) func `W15: so is one behind somebody else's link, and none is made there`()
        throws
    {
        try write("0123456789abcdef")
        let (link, dangling) = ("\(directory)/link", "\(directory)/dangling")
        #expect(unsafe symlink(path, link) == 0)
        #expect(unsafe symlink("\(directory)/new", dangling) == 0)
        #expect(try TokenFile(path: link, randomBytes: { _ in [] }).token == "0123456789abcdef")
        for link in [link, dangling] {
            #expect(unsafe lchown(link, 65_534, 65_534) == 0)
            let error = #expect(throws: DeliveryError.self) {
                try TokenFile(path: link, randomBytes: { [UInt8](repeating: 1, count: $0) })
            }
            #expect(error?.message.contains("65534") == true)
        }
        #expect(!FileManager.default.fileExists(atPath: "\(directory)/new"))
    }

    @Test func `W15: what is no regular file is refused without being read`() throws {
        try write("")
        unsafe unlink(path)
        #expect(unsafe mkfifo(path, 0o600) == 0)
        let error = #expect(throws: DeliveryError.self) { try self.open() }
        #expect(error?.code == .unsafePlace)
        #expect(throws: DeliveryError.self) { try TokenFile(path: "/dev/zero", randomBytes: { _ in [] }) }
    }

    @Test(arguments: [
        "", "\n", "short", "0123456789abcde", "0123456789abcdé\u{1}f", "\n0123456789abcdef", "0123456789abcdef\n",
        "0123456789abcdef\r\n", "0123456789abcdef\nmore",
    ])
    func `a file without a token is refused`(text: String) throws {
        try write(text)
        let error = #expect(throws: DeliveryError.self) { try self.open() }
        #expect(error?.code == .malformed)
    }

    @Test(arguments: ["0123456789abcdef", "Basic 0123456789abcdef"])
    func `what is in the file is the token`(text: String) throws {
        try write(text)
        #expect(try open().token == text)
    }

    @Test func `a new token is taken up, and a file that became unusable leaves the old one`() throws {
        try write("0123456789abcdef")
        let file = try open()
        #expect(try !file.update())
        try write("fedcba9876543210-")
        #expect(try file.update())
        #expect(file.token == "fedcba9876543210-")
        try write("something-for-everyone", mode: 0o644)
        #expect(throws: DeliveryError.self) { try file.update() }
        #expect(file.token == "fedcba9876543210-")
        try FileManager.default.removeItem(atPath: path)
        #expect(throws: DeliveryError.self) { try file.update() }
        #expect(file.token == "fedcba9876543210-")
    }
}
