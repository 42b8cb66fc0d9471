// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import SystemSupport
import TestSupport
import Testing

@Suite struct LockFileTests {
    /// As a command does that another thread starts, until it runs.
    @Test func `a lock ends with its value, although another process shares its descriptor`() throws {
        let programs = try ProgramDirectory()
        try programs.write([], to: "lock")
        let directory = try Directory(programs.path, for: .writing)
        var lock = try directory.tryLock("lock")
        try #require(lock != nil)
        #expect(try directory.tryLock("lock") == nil)
        let links = ChildProcess.openDescriptors.map { descriptor in
            (descriptor, try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)"))
        }
        let shared = dup(try #require(links.first { $0.1 == programs.file("lock") }).0)
        defer { close(shared) }
        lock = nil
        #expect(try directory.tryLock("lock") != nil)
    }
}
