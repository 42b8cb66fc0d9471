// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Whether the system may write this process's memory into a file when it dies.
enum CoreDumps {
    /// What this process's parent allowed.
    private static let inherited = Mutex<rlimit?>(nil)

    /// Forbids it from now on, for this process and the commands that it starts.
    static func forbid() {
        var limit = rlimit()
        guard unsafe getrlimit(resource, &limit) == 0 else { return }
        inherited.withLock { $0 = $0 ?? limit }
        limit.rlim_cur = 0
        unsafe setrlimit(resource, &limit)
    }

    /// Sets the limit that this process's parent had, as a command that is about to start shall have it.
    static func allow() {
        guard var limit = inherited.withLock({ $0 }) else { return }
        unsafe setrlimit(resource, &limit)
    }

    private static let resource = __rlimit_resource_t(RLIMIT_CORE.rawValue)
}
