// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import Synchronization

/// The database files that connections of this process have open.
///
/// A process that closes any descriptor of a file loses all its record locks on it (POSIX), those of SQLite included. Another
/// program that opens and closes the database would then believe that it is the last one, and delete the log that this
/// process goes on writing to. So our own descriptors are closed when no connection has the file any more.
enum OpenDatabases {
    private struct File {
        var connections = 0
        /// What is closed with the last connection.
        var descriptors: [CInt] = []
    }

    private static let files = Mutex<[String: File]>([:])

    /// Counts a connection, before it takes a lock.
    static func add(_ place: String?) {
        guard let place else { return }
        files.withLock { $0[place, default: File()].connections += 1 }
    }

    /// Counts a connection that was closed, with its descriptors.
    static func remove(_ place: String?, closing descriptors: [CInt]) {
        guard let place else { return descriptors.forEach { close($0) } }
        for descriptor in descriptors { flock(descriptor, LOCK_UN) }
        files.withLock { files in
            var file = files[place, default: File(connections: 1)]
            file.connections -= 1
            file.descriptors += descriptors
            files[place] = file.connections > 0 ? file : nil
            if file.connections <= 0 { file.descriptors.forEach { close($0) } }
        }
    }
}
