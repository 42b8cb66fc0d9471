// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SystemSupport
import TestSupport
import Testing

@testable import pki

@Suite struct ConfigurationFileTests {
    private let directory: ProgramDirectory

    init() throws { directory = try ProgramDirectory() }

    private func command(_ text: String, _ words: [String] = [], mode: Int = 0o644) throws -> ServeCACommand {
        try directory.write(Array(text.utf8), to: "conf", mode: mode)
        let path = directory.file("conf")
        return try ConfigurationFile(path).command(ServeCACommand.self, words + ["--config", path])
    }

    @Test func `Options and flags are read, and comments are not`() throws {
        let text = """
            # The CA of the lab.
            listen = 127.0.0.1:1
              listen=[::1]:2\r
            host = ca.example.com

            renewal-grace =\t2d
            ca-key = pkcs11:object=a=b
            reuse-pin
            """
        let command = try command(text)
        #expect(command.listen == [.tcp(address: "127.0.0.1", port: 1), .tcp(address: "::1", port: 2)])
        #expect(command.host == ["ca.example.com"])
        #expect(command.renewalGrace == .seconds(172_800))
        #expect(command.caKey.caKey == "pkcs11:object=a=b")
        #expect(command.caKey.device.reusePin)
        #expect(command.config == nil)
    }

    @Test(arguments: [["--host", "a.example"], ["--host=a.example"]])
    func `An option of the command line takes the place of every line with it`(words: [String]) throws {
        let command = try command("host = b.example\nhost = c.example\nretry-after = 5", words)
        #expect(command.host == ["a.example"])
        #expect(command.retryAfter == 5)
    }

    @Test(
        arguments: [
            "no-such = 1", "retry-after = soon", "listen = nowhere", "listen", "reuse-pin = yes", "config = other",
            "help", "version", "= 1", "--host = a", "-q", "q", "host a.example", "pub lish = aws", "publish = nowhere",
            "listen = 1\u{0085}x",
        ])
    func `What is no option, or has a bad value, is refused with file and line`(line: String) throws {
        let error = #expect(throws: InputError.self) { try command("host = a.example\n\n\(line)\n") }
        #expect(error?.message.hasPrefix("line 3 of \(directory.file("conf")): ") == true)
        #expect(error.map { $0.message.count < 160 } == true)
        let said = error.map { "\($0.message) \($0.hint ?? "")" } ?? ""
        #expect(!["soon", "nowhere", "yes", "other", "a.example", "pub ", "1 "].contains(where: said.contains))
    }

    @Test func `Options are checked against each other once all are known`() throws {
        let command = try command("certificate = c.pem", ["--private-key", "k.pem"])
        #expect(command.certificate == "c.pem")
        #expect(throws: (any Error).self) { try self.command("certificate = c.pem") }
        #expect(throws: (any Error).self) { try self.command("role = r") }
    }

    @Test(arguments: [0o600, 0o640, 0o644]) func `A file that others may read is read`(mode: Int) throws {
        #expect(try command("retry-after = 5", mode: mode).retryAfter == 5)
    }

    @Test(arguments: [0o620, 0o602, 0o666]) func `A file that others may write is refused`(mode: Int) {
        #expect(throws: FileError.self) { try command("retry-after = 5", mode: mode) }
    }

    @Test func `What is not text is refused`() throws {
        try directory.write([0xff, 0xfe], to: "conf")
        #expect(throws: InputError.self) { try ConfigurationFile(directory.file("conf")) }
        #expect(throws: FileError.self) { try ConfigurationFile(directory.file("none")) }
    }
}
