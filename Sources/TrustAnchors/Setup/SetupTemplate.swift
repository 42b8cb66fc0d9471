// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// A text with placeholders `{{name}}`.
///
/// The further lines of a value at the end of a line are indented like the line. What is between the lines `{{#name}}` and
/// `{{/name}}` is repeated for each set of values of a section, and left out if there is none.
public struct SetupTemplate: Hashable, Sendable {
    private let name: String
    private let text: String

    /// Reads a template in UTF-8; `name` is the name of the file in messages.
    public init(reading contents: [UInt8], name: String) throws(TrustAnchorError) {
        guard let text = String(validating: contents, as: UTF8.self) else {
            throw TrustAnchorError(.template, "\(name) is not text in UTF-8")
        }
        self.name = name
        self.text = text
    }

    private init(builtIn contents: [UInt8], _ name: String) {
        self.name = "templates/setup/\(name)"
        text = String(decoding: contents, as: UTF8.self)
    }

    /// The template of `templates/setup` for a language.
    static func builtIn(_ format: AccountSetup.Format) -> SetupTemplate {
        switch format {
        case .cloudFormation: SetupTemplate(builtIn: PackageResources.cloudformation_yaml, "cloudformation.yaml")
        case .terraform: SetupTemplate(builtIn: PackageResources.terraform_tf, "terraform.tf")
        case .awsCLI: SetupTemplate(builtIn: PackageResources.aws_cli_sh, "aws-cli.sh")
        }
    }

    /// Replaces the placeholders by values.
    ///
    /// - Parameters:
    ///   - values: The values of placeholders everywhere.
    ///   - sections: The further values in each repetition of a section.
    func text(
        _ values: [String: String], sections: [String: [[String: String]]] = [:]
    ) throws(TrustAnchorError) -> String {
        var result = ""
        var (part, section) = ("", String?.none)
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            let mark = line.drop { $0 == " " }
            let name = String(mark.dropFirst(3).dropLast(2))
            switch mark.prefix(3) {
            case "{{#" where mark.hasSuffix("}}"):
                guard section == nil, sections[name] != nil else {
                    throw TrustAnchorError(
                        .template, "\(self.name): undefined or nested section {{#\(name)}}",
                        hint: "use one of \(sections.keys.sorted().joined(separator: ", "))")
                }
                result += try filled(part, values)
                (part, section) = ("", name)
            case "{{/" where mark.hasSuffix("}}"):
                guard section == name else {
                    throw TrustAnchorError(.template, "\(self.name): {{/\(name)}} ends no section")
                }
                for more in sections[name] ?? [] { result += try filled(part, values.merging(more) { $1 }) }
                (part, section) = ("", nil)
            default: part += line + "\n"
            }
        }
        guard section == nil else {
            throw TrustAnchorError(.template, "\(name): the section {{#\(section ?? "")}} has no end")
        }
        // The last line has no end of its own.
        return result + (try filled(String(part.dropLast()), values))
    }

    private func filled(_ text: String, _ values: [String: String]) throws(TrustAnchorError) -> String {
        var result = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "{{") {
            guard let end = rest[start.upperBound...].firstRange(of: "}}") else {
                throw TrustAnchorError(.template, "\(name): a placeholder begins with {{ but has no }}")
            }
            let place = String(rest[start.upperBound..<end.lowerBound])
            guard let value = values[place] else {
                throw TrustAnchorError(
                    .template, "\(name): undefined placeholder {{\(place)}}",
                    hint: "use one of \(values.keys.sorted().joined(separator: ", "))")
            }
            let before = rest[..<start.lowerBound]
            result += before
            let line = result[(result.lastIndex(of: "\n").map { result.index(after: $0) } ?? result.startIndex)...]
            let endsLine = (rest[end.upperBound...].first ?? "\n") == "\n"
            result += endsLine ? Self.indented(value, by: line.prefix { $0 == " " }.count) : value
            rest = rest[end.upperBound...]
        }
        return result + rest
    }

    private static func indented(_ value: String, by count: Int) -> String {
        let lines = value.split(separator: "\n", omittingEmptySubsequences: false)
        // A line end follows the placeholder.
        let kept = lines.last == "" ? lines.dropLast() : lines[...]
        return kept.joined(separator: "\n" + String(repeating: " ", count: count))
    }
}
