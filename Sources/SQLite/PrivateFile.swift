// SPDX-License-Identifier: Apache-2.0

internal import CSQLite
internal import Glibc

/// The file below a database.
enum PrivateFile {
    /// Makes an empty file that only its owner can read and write. An existing one stays as it is.
    ///
    /// - Parameter path: Where the file is to be.
    /// - Throws: ``SQLiteError`` when there is none and none can be made.
    static func makeIfAbsent(_ path: String) throws(SQLiteError) {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor >= 0 {
            close(descriptor)
            return
        }
        let reason = errno
        guard reason != EEXIST else { return }
        let text = unsafe String(cString: strerror(reason)).lowercased()
        throw SQLiteError(code: SQLITE_CANTOPEN, message: "unable to open database file: \(text)")
    }

    /// How large a file is.
    ///
    /// - Parameter path: The file.
    /// - Returns: Its bytes; 0 when there is none.
    static func size(of path: String) -> Int {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Why no file can be made beside a database: SQLite forgets it while it tries to open without making.
    ///
    /// - Parameter path: The database.
    /// - Returns: The system's number; nothing when one can be made.
    static func obstacle(beside path: String) -> CInt? {
        let probe = "\(path)-probe.\(getpid())"
        let descriptor = unsafe open(probe, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return errno }
        close(descriptor)
        unsafe unlink(probe)
        return nil
    }
}
