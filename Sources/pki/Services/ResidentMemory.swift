// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

/// The memory of a process that runs for months and does little.
enum ResidentMemory {
    /// Gives those pages of the program and its libraries back that were needed to start, and hardly again.
    ///
    /// What is needed all the same comes from the system's cache in microseconds. It is half of what is resident when a
    /// server has started.
    static func releaseStartUpPages() {
        guard let text = try? InputFile.read("/proc/self/smaps"),
            let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        else { return }
        for mapping in unchangedMappings(program: program, in: String(decoding: text, as: UTF8.self)) {
            guard let start = unsafe UnsafeMutableRawPointer(bitPattern: mapping.lowerBound) else { continue }
            unsafe madvise(start, mapping.count, Int32(MADV_DONTNEED))
        }
    }

    /// The addresses at which files are mapped for as long as the process lives, with every page as it is in the file
    /// (proc(5)).
    ///
    /// Of the program that is whatever cannot be written to: it is mapped before the first instruction. Of libraries it is
    /// their code alone: while the loader brings one in, what cannot be written to yet may become its data.
    static func unchangedMappings(program: String, in text: String) -> [Range<UInt>] {
        var found: [Range<UInt>] = []
        var current: Range<UInt>?
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            if fields.first == "Anonymous:" {
                if fields.count > 1, fields[1] == "0", let range = current { found.append(range) }
                current = nil
            } else if fields.count >= 5, fields[0].contains("-"), !fields[0].hasSuffix(":") {
                let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
                let file = fields.count == 6 ? fields[5].drop { $0 == " " } : ""
                let isWanted = fields[1] == "r-xp" && file.hasPrefix("/") || fields[1] == "r--p" && file == program
                current = isWanted && bounds.count == 2 && bounds[0] < bounds[1] ? bounds[0]..<bounds[1] : nil
            }
        }
        return found
    }
}
