// SPDX-License-Identifier: Apache-2.0

/// A text with wildcards, made ready to be compared: `*` is any number of characters, `?` is one.
///
/// The time is at worst the product of the lengths: a star is never gone back to once a later one has matched.
struct PolicyPattern: Sendable, Hashable {
    /// An octet of UTF-8, or one of the two wildcards, which are no octets.
    typealias Element = UInt16

    static let anyRun: Element = 0x100
    static let anyCharacter: Element = 0x101

    private static let colon = Element(UInt8(ascii: ":"))

    let elements: [Element]
    private let hasWildcards: Bool

    init(_ elements: [Element]) {
        self.elements = elements
        hasWildcards = elements.contains { $0 >= 0x100 }
    }

    /// Makes a pattern in which `*` and `?` are wildcards.
    init(wildcards text: String) { self.init(Self.elements(of: text, wildcards: true)) }

    /// The elements of a text.
    static func elements(of text: some StringProtocol, wildcards: Bool) -> [Element] {
        text.utf8.map { octet in
            switch octet {
            case UInt8(ascii: "*") where wildcards: anyRun
            case UInt8(ascii: "?") where wildcards: anyCharacter
            default: Element(octet)
            }
        }
    }

    /// Whether a text is what the pattern says, to the octet.
    func matches(_ text: String) -> Bool {
        guard hasWildcards else {
            return text.utf8.count == elements.count && text.utf8.elementsEqual(elements) { Element($0) == $1 }
        }
        return Self.matches(elements[...], Array(text.utf8)[...])
    }

    /// Whether a text is an ARN of which each of the six parts matches the pattern's: no wildcard reaches over a colon
    /// but in the last part, which may hold some (IAM User Guide, "ARN condition operators").
    func matchesARN(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let parts = bytes.split(separator: UInt8(ascii: ":"), maxSplits: 5, omittingEmptySubsequences: false)
        let patterns = elements.split(separator: Self.colon, maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, patterns.count == 6 else { return false }
        return zip(patterns, parts).allSatisfy { Self.matches($0, $1) }
    }

    private static func matches(_ pattern: ArraySlice<Element>, _ text: ArraySlice<UInt8>) -> Bool {
        var inPattern = pattern.startIndex
        var inText = text.startIndex
        var retry: (inPattern: Int, inText: Int)?
        while inText < text.endIndex {
            let element = inPattern < pattern.endIndex ? pattern[inPattern] : 0x1ff
            if element == anyRun {
                inPattern += 1
                retry = (inPattern, inText)
            } else if element == anyCharacter {
                inPattern += 1
                inText = characterEnd(inText, text)
            } else if element == Element(text[inText]) {
                inPattern += 1
                inText += 1
            } else if let last = retry {
                inPattern = last.inPattern
                inText = characterEnd(last.inText, text)
                retry = (inPattern, inText)
            } else {
                return false
            }
        }
        return pattern[inPattern...].allSatisfy { $0 == anyRun }
    }

    /// Where the next character begins: behind the continuation octets.
    private static func characterEnd(_ index: Int, _ text: ArraySlice<UInt8>) -> Int {
        var end = index + 1
        while end < text.endIndex, text[end] & 0xc0 == 0x80 { end += 1 }
        return end
    }
}
