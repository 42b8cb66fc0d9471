// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The file below a database.
enum PrivateFile {
    /// Makes an empty file that only its owner can read and write. An existing one stays as it is; when none can be made,
    /// whoever opens it next says why.
    static func makeIfAbsent(_ path: String) {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor >= 0 { close(descriptor) }
    }
}
