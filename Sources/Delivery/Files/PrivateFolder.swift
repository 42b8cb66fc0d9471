// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// A folder for one user alone.
enum PrivateFolder {
    /// Makes a folder and those above it with mode 0700, whatever the umask says. One that is there stays as it is.
    ///
    /// - Parameter path: The folder.
    /// - Throws: ``DeliveryError`` naming the folder and what the system says.
    static func make(_ path: String) throws(DeliveryError) {
        var made = unsafe mkdir(path, 0o700)
        let above = SharedFileTarget.folder(of: path)
        if made != 0, errno == ENOENT, above != path {
            try make(above)
            made = unsafe mkdir(path, 0o700)
        }
        if made != 0, errno == EEXIST { return }
        guard made == 0, unsafe chmod(path, 0o700) == 0 else {
            throw DeliveryError(.storage, "the folder \(path) cannot be made: \(systemErrorText(errno))")
        }
        let descriptor = unsafe open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}
