// SPDX-License-Identifier: Apache-2.0

/// The block before a file in an archive: `ustar` of POSIX.1-1988, with the extended header of POSIX.1-2001 before it where
/// that has no room for a name, a size or a time.
struct TarHeader {
    /// The size of a block in bytes. Headers and contents fill whole blocks.
    static let blockSize = 512

    let name: String
    let size: Int
    let mode: UInt16
    let time: Int

    /// Whether an extended header stands before it, so that what does not fit may be cut off.
    var isExtended = false

    private var type = UInt8(ascii: "0")

    init(name: String, size: Int, mode: UInt16, time: Int) {
        (self.name, self.size, self.mode, self.time) = (name, size, mode, time)
    }

    /// The header of an extended header.
    init(extending header: TarHeader, size: Int) {
        let lastName = header.name.split(separator: "/").last.map(String.init) ?? ""
        self.init(name: "PaxHeaders/\(lastName)", size: size, mode: 0o600, time: header.time)
        type = UInt8(ascii: "x")
        isExtended = true
    }

    /// The largest number that eleven octal digits can say.
    private static let largest = 0o77_777_777_777

    /// The contents of the extended header: a line for each field that does not fit; empty when all do.
    var extendedRecords: [UInt8] {
        var records: [UInt8] = []
        let octets = name.utf8
        if octets.count > 100 || octets.contains(where: { !(0x20...0x7e).contains($0) }) {
            records += Self.record("path", name)
        }
        if size > Self.largest { records += Self.record("size", String(size)) }
        if time > Self.largest { records += Self.record("mtime", String(time)) }
        return records
    }

    /// `LENGTH KEY=VALUE` and the end of the line, where the length counts itself.
    private static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = " \(key)=\(value)\n"
        var count = rest.utf8.count
        while String(count).utf8.count + rest.utf8.count != count { count = String(count).utf8.count + rest.utf8.count }
        return Array("\(count)\(rest)".utf8)
    }

    /// The block.
    var encoded: [UInt8] {
        var block: [UInt8] = []
        block.reserveCapacity(Self.blockSize)

        func append(_ text: String, width: Int) {
            let octets = text.utf8.prefix(width)
            block += octets
            block += [UInt8](repeating: 0, count: width - octets.count)
        }
        func append(octal number: Int, width: Int) {
            let digits = String(min(number, Self.largest), radix: 8)
            append(String(repeating: "0", count: max(0, width - 1 - digits.utf8.count)) + digits, width: width)
        }
        // What an extended header says in full is for old programs to name in some way.
        let shownName =
            isExtended
            ? String(decoding: name.utf8.map { (0x20...0x7e).contains($0) ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
            : name
        append(shownName, width: 100)
        append(octal: Int(mode), width: 8)
        append(octal: 0, width: 8)
        append(octal: 0, width: 8)
        append(octal: size, width: 12)
        append(octal: time, width: 12)
        let checksumPlace = block.count
        append("        ", width: 8)
        block.append(type)
        append("", width: 100)
        append("ustar", width: 6)
        append("00", width: 2)
        append("root", width: 32)
        append("root", width: 32)
        append(octal: 0, width: 8)
        append(octal: 0, width: 8)
        append("", width: Self.blockSize - block.count)
        // Six digits, a NUL and a blank.
        let digits = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
        let checksum = String(repeating: "0", count: 6 - digits.utf8.count) + digits
        block.replaceSubrange(checksumPlace..<checksumPlace + 7, with: checksum.utf8 + [0])
        return block
    }
}
