// SPDX-License-Identifier: Apache-2.0

/// An element of the XML in which IAM and STS answer.
struct XMLElement: Sendable {
    private enum Content {
        case text(String)
        case elements([XMLElement])
    }

    private let name: String
    private let namespace: String?
    private let content: Content

    /// An element with others in it.
    init(_ name: String, namespace: String? = nil, _ elements: [XMLElement]) {
        (self.name, self.namespace, content) = (name, namespace, .elements(elements))
    }

    /// An element with text in it.
    init(_ name: String, text: String) {
        (self.name, namespace, content) = (name, nil, .text(text))
    }

    /// A list: each element becomes a `member`.
    init(_ name: String, members: [[XMLElement]]) {
        self.init(name, members.map { XMLElement("member", $0) })
    }

    /// A list of texts.
    init(_ name: String, members: [String]) {
        self.init(name, members.map { XMLElement("member", text: $0) })
    }

    /// The document of which this is the root.
    var document: String {
        var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        write(to: &text)
        text += "\n"
        return text
    }

    private func write(to text: inout String) {
        text += "<\(name)"
        if let namespace { text += " xmlns=\"\(namespace)\"" }
        text += ">"
        switch content {
        case .text(let characters): Self.write(characters, to: &text)
        case .elements(let elements): for element in elements { element.write(to: &text) }
        }
        text += "</\(name)>"
    }

    /// Control characters that XML 1.0 cannot hold become U+FFFD; a carriage return is written as a reference, for a reader
    /// would take it for a line end.
    private static func write(_ characters: String, to text: inout String) {
        for scalar in characters.unicodeScalars {
            switch scalar {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "\r": text += "&#xD;"
            case "\t", "\n": text.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{1f}", "\u{fffe}", "\u{ffff}": text += "\u{fffd}"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
