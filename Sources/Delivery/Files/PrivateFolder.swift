// SPDX-License-Identifier: Apache-2.0

internal import Certificates
internal import Glibc

/// A folder for one user alone.
enum PrivateFolder {
    /// Makes a folder with mode 0700, and those above it, where they are missing. One that is there stays as it is.
    ///
    /// - Parameter path: The folder.
    /// - Throws: ``DeliveryError`` naming the folder and what the system says.
    static func make(_ path: String) throws(DeliveryError) {
        if unsafe mkdir(path, 0o700) == 0 {
            // The umask may have taken the owner's own rights away.
            unsafe chmod(path, 0o700)
            return
        }
        var reason = errno
        if reason == EEXIST { return }
        if reason == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try make(String(path[..<slash]))
            if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST { return }
            reason = errno
        }
        throw DeliveryError(.storage, "the folder \(path) cannot be made: \(systemErrorText(reason))")
    }
}
