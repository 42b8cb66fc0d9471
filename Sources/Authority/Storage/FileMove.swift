// SPDX-License-Identifier: Apache-2.0

/// One step of a change that the inventory has recorded: doing it twice is doing it once.
struct FileMove: Hashable, Sendable {
    /// What is done.
    enum Kind: Hashable, Sendable {
        /// A draft gets the name; `replaces` tells whether another file may have it.
        case place(draft: String, replaces: Bool)
        /// The name goes, provided that a copy of the file is in the archive.
        case remove(copy: String)
    }

    /// When it is done: what is archived first, keys before certificates, removals last.
    enum Stage: Int, Sendable {
        case archive, keys, certificates, removals
    }

    /// The name in the directory.
    var name: String

    /// What is done with it.
    var kind: Kind

    /// When it is done.
    var stage: Stage

    /// A draft's name. It tells the change that it belongs to: what the last change did stays on record until the next, and
    /// a draft of another change must never be taken for one of its own.
    ///
    /// - Parameters:
    ///   - number: The draft's number in its change.
    ///   - generation: The change's number, which differs from that of the change before.
    /// - Returns: The name, below the directory.
    static func draft(_ number: Int, generation: Int) -> String {
        "\(CADirectory.draftDirectory)/\(generation)-\(number)"
    }

    /// The number of the change, as the draft's name tells it.
    var generation: Int? {
        guard case .place(let draft, _) = kind else { return nil }
        return draft.dropFirst(CADirectory.draftDirectory.count + 1).split(separator: "-").first.flatMap { Int($0) }
    }

    /// Whether a name in the directory of the drafts is one that ``draft(_:generation:)`` makes: two numbers of at most 15
    /// digits, with a hyphen between them.
    static func isDraftName(_ name: some StringProtocol) -> Bool {
        let parts = name.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { (1...15).contains($0.count) && $0.allSatisfy { (0x30...0x39).contains($0) } }
    }

    /// Whether a text is the path of a draft below the CA directory.
    static func isDraft(_ path: String) -> Bool {
        path.hasPrefix("\(CADirectory.draftDirectory)/")
            && isDraftName(path.dropFirst(CADirectory.draftDirectory.count + 1))
    }
}
