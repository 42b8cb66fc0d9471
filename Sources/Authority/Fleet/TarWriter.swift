// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
import Glibc
public import SystemSupport

/// Writes an archive in the format of POSIX `tar`, one file after the other, to a file, a pipe or standard output.
///
/// All files belong to root, and nothing but what is given goes into the archive: equal files at equal times make an equal
/// archive. Secrets go from where they are to the descriptor; no copy of them is made.
///
/// An archive that was not finished is cut off, and says so to whoever reads it.
public struct TarWriter: ~Copyable {
    private let descriptor: CInt
    private let path: String
    private var size = 0

    /// Starts an archive.
    ///
    /// - Parameters:
    ///   - descriptor: Where it is written, from where it stands; it stays open.
    ///   - path: What the archive is called in messages.
    public init(descriptor: CInt, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    /// Adds a file.
    ///
    /// - Parameters:
    ///   - name: Its path in the archive: relative, without `..`.
    ///   - contents: What is in it.
    ///   - mode: Its permissions, such as 0600 for a key.
    ///   - modified: When it was last changed, to the second.
    /// - Throws: ``AuthorityError`` when the name could lead out of the directory that the archive is unpacked into, or the
    ///   archive cannot be written.
    public mutating func add(
        _ name: String,
        _ contents: SecretBytes,
        mode: UInt16,
        modified: Date
    ) throws(AuthorityError) {
        try Self.check(name)
        let time = max(0, modified.timeIntervalSince1970.rounded(.down))
        var entry = TarHeader(name: name, size: contents.count, mode: mode & 0o7777, time: time < 1e15 ? Int(time) : 0)
        let extended = entry.extendedRecords
        if !extended.isEmpty {
            let header = TarHeader(extending: entry, size: extended.count)
            try write(SecretBytes(header.encoded + extended))
            try pad(extended.count)
            entry.isExtended = true
        }
        try write(SecretBytes(entry.encoded))
        try write(contents)
        try pad(contents.count)
    }

    /// Writes the end of the archive, and fills it up to a multiple of 10,240 bytes as other programs do.
    ///
    /// - Throws: ``AuthorityError`` when the archive cannot be written.
    public consuming func finish() throws(AuthorityError) {
        let end = size + 2 * TarHeader.blockSize
        let record = 20 * TarHeader.blockSize
        try write(SecretBytes([UInt8](repeating: 0, count: (end + record - 1) / record * record - size)))
    }

    private static func check(_ name: String) throws(AuthorityError) {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !name.utf8.contains(0), parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
            throw AuthorityError(.invalidRequest, "\"\(printable(name))\" is no path of a file in an archive")
        }
    }

    /// Fills the last block of a file's contents.
    private mutating func pad(_ count: Int) throws(AuthorityError) {
        let rest = count % TarHeader.blockSize
        if rest > 0 { try write(SecretBytes([UInt8](repeating: 0, count: TarHeader.blockSize - rest))) }
    }

    private mutating func write(_ contents: SecretBytes) throws(AuthorityError) {
        let reason = writeAll(contents, to: descriptor)
        guard reason == 0 else {
            throw AuthorityError(
                .storage,
                "the archive \(printable(path)) cannot be written: \(systemErrorText(reason))",
                hint: "what is in it is not whole; remove it"
            )
        }
        size += contents.count
    }
}
