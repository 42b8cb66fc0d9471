// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// Finds the handler for a request by its method and path.
///
/// A path template is compared segment by segment with the path as it was received: `/credentials/{name}` matches
/// `/credentials/web`, and neither `/credentials/` nor `/credentials/web/`. A template without `{}` goes before one with.
/// HEAD is answered by the handler for GET when it has none of its own.
///
/// ```swift
/// var router = HTTPRouter()
/// try router.on(.get, "/credentials/{name}") { request, parameters in
///     .now(HTTPResponse(status: .ok, text: parameters["name"]))
/// }
/// ```
package struct HTTPRouter: HTTPHandler {
    /// The parts of a path that its template leaves open.
    package struct Parameters: Sendable {
        var values: [(name: String, value: String)] = []

        /// The value of a part, percent-decoded.
        ///
        /// - Parameter name: What stands between the braces of the template.
        /// - Returns: The value; empty for a name that the template does not have.
        package subscript(name: String) -> String { values.first { $0.name == name }?.value ?? "" }
    }

    /// Answers a request whose path matched.
    package typealias Action = @Sendable (HTTPRequest, Parameters) -> HTTPAnswer

    private struct Template {
        enum Segment: Hashable { case literal(String), parameter(String) }
        var segments: [Segment]
        var actions: [HTTPMethod: Action]
    }

    private var fixed: [String: [HTTPMethod: Action]] = [:]
    private var templates: [Template] = []

    /// Answers when no template matches. By default a 404 in plain text.
    package var notFound: @Sendable (HTTPRequest) -> HTTPAnswer = { _ in
        .now(HTTPResponse(status: .notFound, text: "there is nothing at this path\n"))
    }

    /// Answers when a template matches and has no action for the method. `Allow` is added to the headers.
    package var methodNotAllowed: @Sendable (HTTPRequest) -> HTTPResponse = { _ in
        HTTPResponse(status: .methodNotAllowed, text: "this path does not take this method\n")
    }

    /// Makes a router without routes.
    package init() {}

    /// Adds a route.
    ///
    /// - Parameters:
    ///   - method: The method.
    ///   - path: The path, with `{name}` for segments that are open.
    ///   - action: Answers the request.
    /// - Throws: ``HTTPServiceError`` when the template is malformed or the route exists.
    package mutating func on(
        _ method: HTTPMethod,
        _ path: String,
        _ action: @escaping Action
    ) throws(HTTPServiceError) {
        let segments = try Self.segments(path)
        let isDuplicate: Bool
        if segments.allSatisfy({ if case .literal = $0 { true } else { false } }) {
            isDuplicate = fixed[path, default: [:]].updateValue(action, forKey: method) != nil
        } else if let index = templates.firstIndex(where: { $0.segments == segments }) {
            isDuplicate = templates[index].actions.updateValue(action, forKey: method) != nil
        } else {
            templates.append(Template(segments: segments, actions: [method: action]))
            isDuplicate = false
        }
        if isDuplicate { throw HTTPServiceError(.invalidRoute, "the route \(method) \(path) was given twice") }
    }

    /// Answers a request by the route that matches.
    ///
    /// - Parameter request: The request.
    /// - Returns: The route's answer, or one that says that there is none.
    package func answer(_ request: HTTPRequest) -> HTTPAnswer {
        if let actions = fixed[String(request.path)] {
            return answer(request, by: actions, Parameters())
        }
        let parts = Self.split(request.path)
        for template in templates where template.segments.count == parts.count {
            var parameters = Parameters()
            let matches = zip(template.segments, parts).allSatisfy { segment, part in
                switch segment {
                case .literal(let text): return text.utf8.elementsEqual(part.utf8)
                case .parameter(let name):
                    guard !part.isEmpty, let value = PercentEncoding.decode(part) else { return false }
                    parameters.values.append((name, value))
                    return true
                }
            }
            if matches { return answer(request, by: template.actions, parameters) }
        }
        return notFound(request)
    }

    private func answer(
        _ request: HTTPRequest,
        by actions: [HTTPMethod: Action],
        _ parameters: Parameters
    ) -> HTTPAnswer {
        if let action = actions[request.method] { return action(request, parameters) }
        if request.method == .head, let action = actions[.get] { return action(request, parameters) }
        var response = methodNotAllowed(request)
        var allowed = Set(actions.keys.map(\.rawValue))
        if allowed.contains("GET") { allowed.insert("HEAD") }
        response.headers.append("Allow", allowed.sorted().joined(separator: ", "))
        return .now(response)
    }

    private static func split(_ path: Substring) -> [Substring] {
        path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    }

    private static func segments(_ path: String) throws(HTTPServiceError) -> [Template.Segment] {
        guard path.hasPrefix("/") else {
            throw HTTPServiceError(.invalidRoute, "the path template \"\(path)\" does not begin with \"/\"")
        }
        var names: Set<Substring> = []
        var segments: [Template.Segment] = []
        for part in split(path[...]) {
            if part.hasPrefix("{"), part.hasSuffix("}"), part.count > 2 {
                let name = part.dropFirst().dropLast()
                guard names.insert(name).inserted, !name.contains("{"), !name.contains("}") else {
                    throw HTTPServiceError(.invalidRoute, "the path template \"\(path)\" is malformed at \"\(part)\"")
                }
                segments.append(.parameter(String(name)))
            } else if part.contains("{") || part.contains("}") {
                throw HTTPServiceError(.invalidRoute, "the path template \"\(path)\" is malformed at \"\(part)\"")
            } else {
                segments.append(.literal(String(part)))
            }
        }
        return segments
    }
}
