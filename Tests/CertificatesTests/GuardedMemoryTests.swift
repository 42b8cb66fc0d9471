// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Certificates

/// Each test is a process of its own: what is asked for is about the whole process.
@Suite struct GuardedMemoryTests {
    @Test func `W4: another process of the user cannot look in`() async {
        await #expect(processExitsWith: .success) {
            guard GuardedMemory.keepFromOthers() else { exit(3) }
            // The system gives what belongs to such a process to root.
            var status = stat()
            guard unsafe stat("/proc/self/environ", &status) == 0, status.st_uid == 0 else { exit(4) }
        }
    }

    @Test func `W4: keys are in memory that is locked where the limit allows`() async {
        await #expect(processExitsWith: .success) {
            var limit = rlimit()
            unsafe getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit)
            let before = try locked()
            let isLocked = GuardedMemory.lockKeys()
            guard isLocked == (limit.rlim_cur >= UInt(GuardedMemory.size) || geteuid() == 0) else { exit(3) }
            let after = try locked()
            guard !isLocked || after - before >= GuardedMemory.size / 1024 else { exit(4) }
        }
    }

    @Test func `W4: a thousand RSA keys at once find room, and each still signs`() async {
        await #expect(processExitsWith: .success) {
            GuardedMemory.lockKeys()
            let text = try PrivateKey(generating: .rsa2048).pemEncoded()
            let keys = try (0..<1000).map { _ in try PrivateKey(reading: text) }
            for key in [keys[0], keys[999]] {
                let signature = try key.signature(for: [1, 2, 3], digest: .sha256)
                guard key.publicKey.isValid(signature: signature, for: [1, 2, 3], digest: .sha256) else { exit(3) }
            }
            guard keys.count == 1000 else { exit(4) }
        }
    }
}

/// The locked memory of this process, in KiB.
private func locked() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmLck:") } ?? ""
    return Int(line.split(separator: " ").dropFirst().first ?? "") ?? -1
}
