// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import Glibc
internal import SystemSupport

/// A private directory in which programs of others run; it is removed with the value. Its path is short enough for unix
/// sockets.
package final class ProgramDirectory: Sendable {
    /// A program that did not do what it was told.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    package let path = "/tmp/pki-programs-\(UInt64.random(in: .min ... .max))"

    package init() throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    package func write(_ bytes: [UInt8], to name: String, mode: Int = 0o600) throws {
        try Data(bytes).write(to: URL(filePath: file(name)))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file(name))
    }

    /// Has another process write a script: a file that this one has open for writing is for a moment open in whatever another
    /// test starts, and cannot be run.
    package func writeScript(_ text: String, to name: String) throws {
        let command = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 700 \"$0\""
        try run(["sh", "-c", command, name, text])
    }

    /// Reads a file, by the system's calls: Foundation leaks the buffer for an empty one.
    package func read(_ name: String) throws -> [UInt8] {
        let descriptor = unsafe open(file(name), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(description: "\(file(name)) cannot be read: \(errno)") }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return contents }
            contents += buffer.prefix(count)
        }
    }

    /// Runs a program to its end, in the directory and without input.
    ///
    /// - Parameters:
    ///   - command: The program, found on the PATH, and its arguments.
    ///   - environment: Variables besides `PATH` and `HOME`.
    /// - Returns: What it wrote, to standard output and standard error.
    /// - Throws: What it wrote, unless it ended with status 0.
    @discardableResult
    package func run(_ command: [String], _ environment: [String: String] = [:]) throws -> String {
        let output = "output-\(UInt64.random(in: .min ... .max))"
        let end = try spawn(#"exec "$@" </dev/null >"$0" 2>&1"#, output, command, environment).waitBlocking()
        let text = String(decoding: try read(output), as: UTF8.self)
        guard case .exited(0) = end else { throw Failure(description: "\(command) failed (\(end)): \(text)") }
        return text
    }

    fileprivate func spawn(
        _ script: String, _ name: String, _ command: [String], _ environment: [String: String]
    ) throws -> ChildProcess {
        let variables = ["PATH": "/usr/bin:/bin", "HOME": path].merging(environment) { $1 }
        return try ChildProcess(
            ["/bin/sh", "-c", "cd \"$HOME\" && \(script)", file(name)] + command, environment: variables)
    }
}

/// A program in the background. It ends with the value, and with this process, however that ends; no time limit ends it.
package final class RunningProgram: Sendable {
    private let process: ChildProcess
    /// Kept until the program has ended.
    private let directory: ProgramDirectory
    /// A pipe with a name, which the system closes when this process is gone.
    private let lifeline: CInt

    /// Starts a program in a directory, without input.
    ///
    /// - Parameters:
    ///   - command: The program, found on the PATH, and its arguments.
    ///   - environment: Variables besides `PATH` and `HOME`.
    ///   - directory: Where it runs.
    ///   - output: The file there for what it writes.
    /// - Throws: Why it cannot be started.
    package init(
        _ command: [String], _ environment: [String: String] = [:], in directory: ProgramDirectory, output: String
    ) throws {
        let pipe = directory.file(output) + ".lifeline"
        // A pipe that is open for reading and writing waits for nobody.
        guard unsafe mkfifo(pipe, 0o600) == 0, case let lifeline = unsafe open(pipe, O_RDWR | O_CLOEXEC), lifeline >= 0
        else { throw ProgramDirectory.Failure(description: "\(pipe) cannot be made: \(errno)") }
        (self.directory, self.lifeline) = (directory, lifeline)
        let script = #"""
            exec </dev/null >"$0" 2>&1 9<"$0.lifeline"
            { read -r line <&9 || kill $$; } &
            exec 9<&-
            exec "$@"
            """#
        do {
            process = try directory.spawn(script, output, command, environment)
        } catch {
            close(lifeline)
            throw error
        }
    }

    /// Ends the program and waits for it. Once is enough.
    deinit {
        process.send(SIGTERM)
        _ = process.waitBlocking()
        // Who watched over it is told that nothing is left to end.
        _ = unsafe Glibc.write(lifeline, "\n", 1)
        close(lifeline)
    }
}
