// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The status of a file, a directory, a socket or a device.
package struct FileStatus: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case regular, directory, link, pipe, socket, device

        package var noun: String {
            switch self {
            case .regular: "a file"
            case .directory: "a directory"
            case .link: "a symbolic link"
            case .pipe: "a pipe"
            case .socket: "a socket"
            case .device: "a device"
            }
        }
    }

    package let kind: Kind
    /// The permission bits, 0 to 0o7777.
    package let mode: UInt32
    package let owner: UInt32
    package let group: UInt32
    /// In bytes.
    package let size: Int
    /// The number of names.
    package let links: Int
    /// What changes when the file is replaced or written to.
    package let stamp: FileStamp
    /// The number of a device.
    package let device: UInt64

    /// `nil` if there is no such file.
    package init?(at path: String, followsLinks: Bool = true) {
        var status = stat()
        guard unsafe fstatat(AT_FDCWD, path, &status, followsLinks ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        self.init(status)
    }

    /// `nil` if the descriptor is not open.
    package init?(of descriptor: CInt) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    /// Does not follow a symbolic link.
    init?(_ name: String, in directory: CInt) {
        var status = stat()
        guard unsafe fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .link
            case S_IFIFO: .pipe
            case S_IFSOCK: .socket
            default: .device
            }
        mode = status.st_mode & 0o7777
        owner = status.st_uid
        group = status.st_gid
        size = status.st_size
        links = Int(status.st_nlink)
        device = UInt64(status.st_rdev)
        stamp = FileStamp(status)
    }

    /// Whether it belongs to this process's user or to root, and others cannot write to it.
    package var isOwnedAndUnshared: Bool { (owner == geteuid() || owner == 0) && mode & 0o022 == 0 }

    /// The user that this process acts for.
    package static var ownUser: UInt32 { geteuid() }

    /// The mode as `chmod` takes it: `0644`.
    package var modeText: String { "0" + String(mode, radix: 8) }
}

/// What changes when a file is replaced or written to: equal stamps mean the same, unchanged file.
package struct FileStamp: Hashable, Sendable {
    private let device: UInt64
    private let file: UInt64
    private let size: Int
    private let seconds: Int
    private let nanoseconds: Int

    fileprivate init(_ status: stat) {
        device = UInt64(truncatingIfNeeded: status.st_dev)
        file = UInt64(status.st_ino)
        size = status.st_size
        (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
    }

    /// The stamp of whatever a path leads to, a directory too; `nil` when it leads nowhere.
    package init?(at path: String) {
        guard let status = FileStatus(at: path) else { return nil }
        self = status.stamp
    }

    /// The device and the inode, as systemd writes them in `JOURNAL_STREAM`.
    package var place: String { "\(device):\(file)" }

    /// Whether it is the same file, whatever has been written to it.
    package func isSameFile(as other: FileStamp) -> Bool { device == other.device && file == other.file }
}
