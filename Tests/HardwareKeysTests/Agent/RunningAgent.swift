// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

@testable import HardwareKeys
import TestSupport

/// OpenSSH's own agent, in a directory of its own. It ends with the value.
final class RunningAgent: Sendable {
    let directory: ProgramDirectory
    private let program: RunningProgram

    var socket: String { directory.file("s") }
    var agent: SSHAgent { SSHAgent(socket: socket) }
    private var environment: [String: String] { ["SSH_AUTH_SOCK": socket] }

    /// Starts an agent.
    ///
    /// - Parameter answer: The script that it asks before a key is used that has to be confirmed.
    /// - Throws: What kept it from starting.
    init(asking answer: String = "exit 1") throws {
        directory = try ProgramDirectory()
        try directory.writeScript(answer, to: "ask")
        program = try RunningProgram(
            ["ssh-agent", "-D", "-a", directory.file("s")],
            ["SSH_ASKPASS": directory.file("ask"), "SSH_ASKPASS_REQUIRE": "force"], in: directory, output: "agent")
        for _ in 0..<1000 {
            if (try? agent.keys()) != nil { return }
            usleep(10_000)
        }
        throw ProgramDirectory.Failure(description: "ssh-agent did not start: \(try directory.read("agent"))")
    }

    /// Makes a key and gives it to the agent.
    ///
    /// - Returns: Its fingerprint, by ssh-keygen.
    func add(_ kind: String, bits: Int? = nil, comment: String, options: [String] = []) throws -> String {
        let file = directory.file("key-\(comment)")
        let length = bits.map { ["-b", String($0)] } ?? []
        try run(["ssh-keygen", "-q", "-t", kind] + length + ["-N", "", "-C", comment, "-f", file])
        try run(["ssh-add", "-q"] + options + [file])
        return String(try directory.run(["ssh-keygen", "-l", "-f", file]).split(separator: " ")[1])
    }

    /// Locks or unlocks the agent.
    func lock(_ isLocked: Bool) throws {
        try directory.writeScript("echo secret", to: "say")
        let variables = ["SSH_ASKPASS": directory.file("say"), "SSH_ASKPASS_REQUIRE": "force"]
        try run(["ssh-add", isLocked ? "-x" : "-X"], variables)
    }

    func removeAll() throws { try run(["ssh-add", "-q", "-D"]) }

    private func run(_ command: [String], _ more: [String: String] = [:]) throws {
        try directory.run(command, environment.merging(more) { $1 })
    }
}
