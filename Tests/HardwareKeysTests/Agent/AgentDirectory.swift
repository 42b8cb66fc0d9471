// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

/// A private directory in which programs run; it goes with the value. Its path is short enough for unix sockets.
final class AgentDirectory: Sendable {
    /// A program that did not do what it was told.
    struct Failure: Error, CustomStringConvertible { let description: String }

    let path = "/tmp/pki-agent-\(UInt64.random(in: .min ... .max))"

    init() throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ bytes: [UInt8], to name: String, mode: Int = 0o600) throws {
        try Data(bytes).write(to: URL(filePath: file(name)))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file(name))
    }

    func read(_ name: String) throws -> [UInt8] { try Self.contents(of: file(name)) }

    /// Starts a program, without input, and its output in a file.
    func start(_ command: [String], _ environment: [String: String] = [:], output: String) throws -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, file(output), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Threads of a test run block signals, and a program that inherits this would not end when it is told to.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var variables = ["PATH": "/usr/bin:/bin", "HOME": path]
        variables.merge(environment) { $1 }
        let settings = variables.map { "\($0)=\($1)" }
        var identifier = pid_t()
        let status = unsafe Self.withCStrings(command) { arguments in
            unsafe Self.withCStrings(settings) { settings in
                unsafe posix_spawnp(&identifier, command[0], &actions, &attributes, arguments, settings)
            }
        }
        guard status == 0 else { throw Failure(description: "\(command[0]) cannot be started: \(status)") }
        return identifier
    }

    /// Runs a program to its end.
    @discardableResult func run(_ command: [String], _ environment: [String: String] = [:]) throws -> String {
        let output = "output-\(UInt64.random(in: .min ... .max))"
        let identifier = try start(command, environment, output: output)
        var status: CInt = 0
        while unsafe waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        let text = String(decoding: try read(output), as: UTF8.self)
        guard status == 0 else { throw Failure(description: "\(command) failed (\(status)): \(text)") }
        return text
    }

    /// Reads a file, by the system's calls: Foundation leaks the buffer for an empty one.
    private static func contents(of file: String) throws -> [UInt8] {
        let descriptor = unsafe open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(description: "\(file) cannot be read: \(errno)") }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return contents }
            contents += buffer.prefix(count)
        }
    }

    /// Lends texts to a call that wants an array of C strings with nothing at its end.
    private static func withCStrings<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = unsafe texts.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        return unsafe body(copies + [nil])
    }
}
