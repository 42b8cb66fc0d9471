// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Who may be able to use a file with a secret: one rule for keys, passphrases, PINs and tokens.
///
/// Its owner is this user or root, and nobody else can use it, except where a platform hands secrets over in its own way:
///
/// - A group may read root's file, unless it is this user's primary group, in which others may be too (Kubernetes' fsGroup:
///   0440 or 0640). libpq has the same rule. In a Kubernetes volume it may be any group.
/// - A group may read a file below `CREDENTIALS_DIRECTORY` (systemd: 0440, where the group's bits are the mask of an ACL).
/// - All may read root's file below `/run/secrets` (Docker and Podman: 0444).
enum SecretFile {
    /// Refuses links that belong to others: who can turn a link around chooses the secret.
    static func checkLinks(_ path: String) throws(FileError) { _ = try FilePath.followingLinks(path) }

    /// Refuses a secret that others can use, or that another user wrote.
    ///
    /// - Parameters:
    ///   - status: The status of the open file.
    ///   - path: Its path as it was given.
    ///   - isPath: Whether this is a path; what was handed over open has only a description.
    static func check(_ status: FileStatus, _ path: String, isPath: Bool = true) throws(FileError) {
        // The user's shell has another file at the path of a descriptor.
        let isPath = isPath && SecretOrigins.ownDescriptor(path) == nil
        let user = geteuid()
        let isOwn = status.owner == user
        guard isOwn || status.owner == 0 else {
            throw FileError(
                .foreign,
                "\"\(printable(path))\" belongs to user \(status.owner), who knows what is in it; this is user \(user)",
                hint: isPath ? "make a copy of your own: install -m 600 \(Quoting.shell(path)) NEW" : nil)
        }
        guard status.mode & 0o077 != 0, !isHandedOver(status, path) else { return }
        let file = Quoting.shell(path)
        throw FileError(
            .unprotected,
            "\"\(printable(path))\" can be used by other users: its mode is \(status.modeText), its owner user "
                + "\(status.owner), its group \(status.group); a secret needs 0600 or less",
            hint: !isPath
                ? nil
                : isOwn
                    ? "make it private to its owner, user \(user): chmod 600 \(file); a secret that others could read is "
                        + "better replaced"
                    : "make it private to user \(user), as root: chown \(user) \(file) && chmod 600 \(file)")
    }

    /// Refuses a file that other users than root can change.
    static func checkUnshared(_ status: FileStatus, _ path: String) throws(FileError) {
        guard !status.isOwnedAndUnshared else { return }
        let isOwn = status.owner == geteuid()
        throw FileError(
            .foreign,
            "others can change \"\(printable(path))\": its owner is user \(status.owner), its mode \(status.modeText)",
            hint: isOwn && SecretOrigins.ownDescriptor(path) == nil
                ? "check that it was not changed, then: chmod go-w \(Quoting.shell(path))" : nil)
    }

    /// Whether a platform hands the file over with this mode.
    private static func isHandedOver(_ status: FileStatus, _ path: String) -> Bool {
        guard status.mode & 0o033 == 0 else { return false }
        let isForAll = status.mode & 0o004 != 0
        if status.owner == 0, !isForAll, status.group != getegid() { return true }
        // The path counts only if it still leads to the file that was opened.
        guard let real = try? FilePath.absolute(path), FileStatus(at: real)?.stamp.isSameFile(as: status.stamp) == true
        else { return false }
        if isForAll { return status.owner == 0 && isBelow("/run/secrets", real) }
        if let directory = unsafe getenv("CREDENTIALS_DIRECTORY").map({ unsafe String(cString: $0) }),
            isBelow(directory, real)
        {
            return true
        }
        return status.owner == 0 && isInKubernetesVolume(real)
    }

    /// Whether a path without links is below a directory.
    private static func isBelow(_ directory: String, _ path: String) -> Bool {
        guard directory.utf8.first == 0x2f, let real = try? FilePath.absolute(directory), real != "/" else {
            return false
        }
        return path.utf8.starts(with: Array("\(real)/".utf8))
    }

    /// Whether a file is of a volume that Kubernetes filled: in a directory beside the link `..data`, both root's.
    private static func isInKubernetesVolume(_ path: String) -> Bool {
        let directory = FilePath.parent(of: path)
        let link = FilePath.join(FilePath.parent(of: directory), "..data")
        guard let status = FileStatus(at: link, followsLinks: false), status.kind == .link, status.owner == 0,
            FilePath.name(of: directory).hasPrefix(".."), FileStatus(at: directory)?.owner == 0
        else { return false }
        return true
    }
}
