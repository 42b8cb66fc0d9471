// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// A text with places for what differs from one set-up to another, each written `{{name}}`.
///
/// A place at the end of a line passes the line's indentation on to every further line of what goes there.
public struct SetupTemplate: Hashable, Sendable {
    private let name: String
    private let text: String

    /// Reads a template.
    ///
    /// - Parameters:
    ///   - contents: The template in UTF-8.
    ///   - name: What the file is called in messages.
    /// - Throws: ``TrustAnchorError`` when it is not text.
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

    /// Fills the places.
    ///
    /// - Parameter values: What goes where, already in the language of the template.
    /// - Returns: The text.
    /// - Throws: ``TrustAnchorError`` for a place that has no value.
    func text(_ values: [String: String]) throws(TrustAnchorError) -> String {
        var result = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "{{") {
            guard let end = rest[start.upperBound...].firstRange(of: "}}") else {
                throw TrustAnchorError(.template, "\(name): a place begins with {{ and does not end")
            }
            let place = String(rest[start.upperBound..<end.lowerBound])
            guard let value = values[place] else {
                throw TrustAnchorError(
                    .template,
                    "\(name): there is nothing for the place {{\(place)}}",
                    hint: "known places are: \(values.keys.sorted().joined(separator: ", "))"
                )
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
        // The place is followed by a line end of its own.
        let kept = lines.last == "" ? lines.dropLast() : lines[...]
        return kept.joined(separator: "\n" + String(repeating: " ", count: count))
    }
}
