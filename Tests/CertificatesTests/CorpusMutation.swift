// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// A file of the corpus, damaged.
///
/// Everything about it follows from its number, so that a failure can be looked at again.
struct CorpusMutation {
    /// The damaged file.
    private(set) var contents: [UInt8]

    /// Opens what was damaged, if it still can be opened.
    let passphrase: SecretBytes?

    /// Files that are not damaged yet.
    struct Source: Sendable {
        let contents: [UInt8]
        let passphrase: SecretBytes?
        /// The objects of a PEM text; none otherwise.
        let documents: [PEMDocument]
        /// How often it is taken, compared with others.
        let weight: Int
    }

    /// Makes one.
    ///
    /// - Parameters:
    ///   - number: Says which.
    ///   - sources: What to damage; each stands in it as often as its weight says.
    init(number: Int, of sources: [Source]) {
        var chance = SplitMix(state: UInt64(number))
        let source = sources[Int.random(in: sources.indices, using: &chance)]
        passphrase = source.passphrase
        var document: PEMDocument?
        // Most of what is in PEM is damaged below the base64, which would else only say that it is none.
        if Int.random(in: 0..<8, using: &chance) > 0 {
            document = source.documents.filter { !$0.hasHeaders }.randomElement(using: &chance)
        }
        contents = document?.bytes ?? source.contents
        let other = sources[Int.random(in: sources.indices, using: &chance)]
        for _ in 0..<(1 << Int.random(in: 0..<3, using: &chance)) {
            damage(
                with: (other.documents.first?.bytes).map { document == nil ? other.contents : $0 } ?? other.contents,
                by: &chance
            )
        }
        if let document, Int.random(in: 0..<8, using: &chance) == 0 {
            contents = Array(PEMDocument(label: document.label, bytes: contents).text.utf8)
        }
    }

    /// Damages the contents in one way.
    private mutating func damage(with other: [UInt8], by chance: inout SplitMix) {
        guard !contents.isEmpty else { return contents = other }
        let position = Int.random(in: contents.indices, using: &chance)
        let length = min(contents.count - position, 1 << Int.random(in: 0..<10, using: &chance))
        let slice = contents[position..<position + length]
        switch Int.random(in: 0..<10, using: &chance) {
        case 0, 1: contents[position] ^= 1 << UInt8.random(in: 0..<8, using: &chance)
        case 2: contents[position] = UInt8.random(in: 0...255, using: &chance)
        case 3: contents[position] = [0, 1, 0x7f, 0x80, 0xff, 0x30, 0x0a, 0x3a].randomElement(using: &chance) ?? 0
        case 4: contents.removeSubrange(position...)
        case 5: contents.removeSubrange(position..<position + length)
        case 6: contents.insert(contentsOf: slice, at: Int.random(in: 0...contents.count, using: &chance))
        case 7:
            contents.insert(
                contentsOf: (0..<min(length, 16)).map { _ in UInt8.random(in: 0...255, using: &chance) },
                at: position
            )
        case 8: changeLength(near: position, by: &chance)
        default:
            let cut = Int.random(in: 0...other.count, using: &chance)
            contents = Array(contents.prefix(position)) + other.dropFirst(cut).prefix(4096)
        }
    }

    /// Changes a byte that is the length of an element of DER, as the next one from a position on that looks like one.
    private mutating func changeLength(near position: Int, by chance: inout SplitMix) {
        let tags: Set<UInt8> = [0x02, 0x03, 0x04, 0x06, 0x0c, 0x13, 0x17, 0x30, 0x31, 0x80, 0xa0, 0xa3]
        let tag = contents[position...].dropLast().firstIndex { tags.contains($0) } ?? position
        let index = min(tag + 1, contents.count - 1)
        let lengths: [UInt8] = [
            0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x88, 0xff, contents[index] &+ 1, contents[index] &- 1,
        ]
        contents[index] = lengths.randomElement(using: &chance) ?? 0
    }
}

/// The generator of Steele, Lea and Flood (2014): 64 bits of state are all there is to it.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
