// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPServer
import SystemSupport

/// How a service writes its answers.
enum ServiceAnswer: Sendable {
    /// IAM Roles Anywhere: JSON, the identifier and an error's code in headers.
    case json
    /// IAM: XML of the query protocol.
    case accessManagement
    /// STS: XML of the query protocol.
    case securityTokens

    func refusal(_ refusal: ServiceRefusal, requestIdentifier: String) -> HTTPResponse {
        guard self != .json else {
            let body: JSONValue = ["message": .string(refusal.message)]
            return Self.jsonRefusal(refusal, body, requestIdentifier: requestIdentifier)
        }
        let error = XMLElement(
            "Error",
            [
                XMLElement("Type", text: refusal.code.status.code < 500 ? "Sender" : "Receiver"),
                XMLElement("Code", text: refusal.code.name), XMLElement("Message", text: refusal.message),
            ]
        )
        let element = XMLElement(
            "ErrorResponse", namespace: namespace, [error, XMLElement("RequestId", text: requestIdentifier)])
        return xml(refusal.code.status, element, requestIdentifier: requestIdentifier)
    }

    static func jsonRefusal(_ refusal: ServiceRefusal, _ body: JSONValue, requestIdentifier: String) -> HTTPResponse {
        var response = json(refusal.code.status, body, requestIdentifier: requestIdentifier)
        response.headers.append("X-Amzn-ErrorType", refusal.code.name)
        return response
    }

    static func json(_ status: HTTPStatus, _ value: JSONValue, requestIdentifier: String) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: ["Content-Type": "application/json", "x-amzn-RequestId": requestIdentifier],
            body: value.bytes)
    }

    /// A result of the query protocol; `nil` for an operation that has none.
    func result(of action: String, _ result: [XMLElement]?, requestIdentifier: String) -> HTTPResponse {
        let metadata = XMLElement("ResponseMetadata", [XMLElement("RequestId", text: requestIdentifier)])
        let body = (result.map { [XMLElement("\(action)Result", $0)] } ?? []) + [metadata]
        let element = XMLElement("\(action)Response", namespace: namespace, body)
        return xml(.ok, element, requestIdentifier: requestIdentifier)
    }

    private var namespace: String {
        self == .accessManagement
            ? "https://iam.amazonaws.com/doc/2010-05-08/" : "https://sts.amazonaws.com/doc/2011-06-15/"
    }

    private func xml(_ status: HTTPStatus, _ element: XMLElement, requestIdentifier: String) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: ["Content-Type": "text/xml", "x-amzn-RequestId": requestIdentifier],
            body: Array(element.document.utf8))
    }
}

/// Writes a time as the service does: `2026-01-01T00:00:00Z`.
func timestamp(_ date: Date) -> String { CivilTime(date).extended }

/// A request that the service does not grant.
///
/// The client gets the message in the service's words, which say little. Detail and hint go into the trace.
struct ServiceRefusal: Error, Equatable {
    struct Code: Hashable, Sendable {
        let name: String
        let status: HTTPStatus

        init(_ name: String, _ status: HTTPStatus) {
            (self.name, self.status) = (name, status)
        }

        static let validation = Code("ValidationException", .badRequest)
        static let accessDenied = Code("AccessDeniedException", .forbidden)
        static let notFound = Code("ResourceNotFoundException", .notFound)
        static let unknownOperation = Code("UnknownOperationException", .notFound)
        static let throttling = Code("ThrottlingException", .tooManyRequests)
        static let tooManyTags = Code("TooManyTagsException", .badRequest)
        /// Of IAM and STS.
        static let denied = Code("AccessDenied", .forbidden)
    }

    var code: Code
    var message: String
    var detail: String
    var hint: String?

    init(code: Code, message: String, detail: String? = nil, hint: String? = nil) {
        self.code = code
        self.message = message
        self.detail = detail ?? message
        self.hint = hint
    }

    /// A refusal whose message is its detail as a sentence.
    private init(_ code: Code, _ detail: String, _ hint: String?) {
        self.init(code: code, message: detail.asSentence, detail: detail, hint: hint)
    }

    // MARK: IAM Roles Anywhere

    /// Something is malformed or outside its limits.
    static func validation(_ detail: String, hint: String? = nil) -> ServiceRefusal { .init(.validation, detail, hint) }

    /// The anchor, profile or role is absent or disabled.
    static func notFound(_ detail: String, hint: String? = nil) -> ServiceRefusal { .init(.notFound, detail, hint) }

    /// The trust anchor does not vouch for the certificate.
    static func untrusted(_ words: String, detail: String? = nil, hint: String? = nil) -> ServiceRefusal {
        let message = "Untrusted signing certificate. \(words.asSentence)"
        return ServiceRefusal(code: .accessDenied, message: message, detail: detail ?? words, hint: hint)
    }

    /// The session is not allowed.
    static func denied(_ message: String, _ detail: String, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .accessDenied, message: message, detail: detail, hint: hint)
    }

    // MARK: IAM and STS

    /// A parameter is missing or outside its limits.
    static func invalidInput(_ detail: String, hint: String? = nil) -> ServiceRefusal {
        .init(.init("ValidationError", .badRequest), detail, hint)
    }

    /// A parameter, named as the model has it with a small first letter, breaks a constraint such as `have length less than
    /// or equal to 64`. The value is `nil` if it is missing.
    static func constraint(_ value: String?, _ member: String, _ constraint: String) -> ServiceRefusal {
        let shown = value.map { "'\($0.prefix(400))'" } ?? "null"
        return ServiceRefusal(
            code: .init("ValidationError", .badRequest),
            message: "1 validation error detected: Value \(shown) at '\(member)' failed to satisfy constraint: "
                + "Member must \(constraint)", detail: "\(member) is \(shown): it must \(constraint)")
    }

    static func noSuchEntity(_ detail: String, hint: String? = nil) -> ServiceRefusal {
        .init(.init("NoSuchEntity", .notFound), detail, hint)
    }

    /// The account's quota is used up.
    static func limitExceeded(_ message: String, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .init("LimitExceeded", .conflict), message: message, hint: hint)
    }

    /// A parameter is well formed but not acceptable.
    static func unacceptable(_ message: String, hint: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .init("InvalidInput", .badRequest), message: message, hint: hint)
    }

    /// A policy that IAM would not store.
    static func malformedPolicy(_ error: PolicyError) -> ServiceRefusal {
        ServiceRefusal(
            code: .init("MalformedPolicyDocument", .badRequest), message: error.message, detail: error.detail,
            hint: error.hint)
    }
}

extension String {
    /// With a capital first letter, unless the first word is the name of a member.
    var asSentence: String {
        let word = prefix { $0 != " " }
        let isName = word.contains { $0.isUppercase || "._[".contains($0) }
        return isName ? self : prefix(1).uppercased() + dropFirst()
    }
}

/// An element of the XML in which IAM and STS answer.
struct XMLElement: Sendable {
    private enum Content {
        case text(String)
        case elements([XMLElement])
    }

    private let name: String
    private let namespace: String?
    private let content: Content

    init(_ name: String, namespace: String? = nil, _ elements: [XMLElement]) {
        (self.name, self.namespace, content) = (name, namespace, .elements(elements))
    }

    init(_ name: String, text: String) {
        (self.name, namespace, content) = (name, nil, .text(text))
    }

    /// A tag as a member of a list.
    init(tag: Tag) {
        self.init("member", [XMLElement("Key", text: tag.key), XMLElement("Value", text: tag.value)])
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

    /// Control characters that XML 1.0 cannot hold become U+FFFD. Others, and format characters, are written as references: a
    /// reader gets them unchanged, a terminal does not.
    private static func write(_ characters: String, to text: inout String) {
        for scalar in characters.unicodeScalars {
            switch scalar {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "\t", "\n": text.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{8}", "\u{b}", "\u{c}", "\u{e}"..."\u{1f}", "\u{fffe}", "\u{ffff}": text += "\u{fffd}"
            case _ where scalar.isControl: text += "&#x\(String(scalar.value, radix: 16, uppercase: true));"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
