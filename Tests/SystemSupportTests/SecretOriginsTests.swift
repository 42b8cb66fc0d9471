// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import SystemSupport

@Suite struct SecretOriginsTests {
    @Test(arguments: [
        ("/dev/fd/63", 63), ("/proc/self/fd/5", 5), ("/dev/stdin", 0), ("/proc/\(getpid())/fd/7", 7), ("/dev/fd/", nil),
        ("/dev/fd/x", nil), ("dev/fd/3", nil), ("/dev/null", nil), ("/proc/1/fd/3", nil), ("", nil),
    ])
    func `a path that is another name of a descriptor is known`(path: String, descriptor: Int?) {
        #expect(SecretOrigins.ownDescriptor(path).map(Int.init) == descriptor)
    }

    @Test func `F2: a pipe is read once, by whatever name`() throws {
        var ends: [CInt] = [0, 0]
        #expect(unsafe pipe(&ends) == 0)
        // A program that another test starts must not keep the end that writes open.
        for end in ends { ThisProcess.closeOnExec(end) }
        defer { close(ends[0]) }
        #expect(writeAll(Array("only once".utf8), to: ends[1]) == 0)
        close(ends[1])
        let paths = ["/dev/fd/\(ends[0])", "/proc/self/fd/\(ends[0])"]
        for path in paths { #expect(text(try FileContents(of: path)) == "only once") }
        #expect(text(try FileContents(handedOver: ends[0], name: "a pipe")) == "only once")
        #expect(SecretOrigins.descriptors.contains(ends[0]))
    }

    @Test func `F2: a file that is handed over open is read once, and a path each time`() throws {
        let path = "\(FileManager.default.temporaryDirectory.path)/pki-origins-\(getpid())"
        defer { unsafe unlink(path) }
        #expect(FileManager.default.createFile(atPath: path, contents: Data("first".utf8)))
        let file = unsafe open(path, O_RDONLY)
        defer { close(file) }
        #expect(text(try FileContents(handedOver: file, name: "a file")) == "first")
        #expect(text(try FileContents(handedOver: file, name: "a file")) == "first")
        try Data("second".utf8).write(to: URL(fileURLWithPath: path))
        #expect(text(try FileContents(of: path)) == "second")
    }

    private func text(_ contents: FileContents) -> String {
        unsafe contents.bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}
