// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// Finds the handler for a request by its method and path.
///
/// A path template is compared segment by segment with the path as received: `/credentials/{name}` matches `/credentials/web`, and
/// neither `/credentials/` nor `/credentials/web/`. `{name...}` at the end of a template matches whatever follows, slashes included.
/// A template without `{}` has precedence. HEAD uses the handler for GET if it
/// has none of its own.
///
/// ```swift
/// var router = HTTPRouter()
/// try router.on(.get, "/credentials/{name}") { request, parameters in
///     .now(HTTPResponse(status: .ok, text: parameters["name"]))
/// }
/// ```
package struct HTTPRouter: HTTPHandler {
    /// The values of a template's parameters.
    package struct Parameters: Sendable {
        var values: [(name: String, value: String)] = []

        /// The percent-decoded value of a parameter; empty if the template has none of this name.
        package subscript(name: String) -> String { values.first { $0.name == name }?.value ?? "" }
    }

    package typealias Action = @Sendable (HTTPRequest, Parameters) -> HTTPAnswer

    private struct Template {
        enum Segment: Hashable { case literal(String), parameter(String), rest(String) }
        var segments: [Segment]
        var actions: [HTTPMethod: Action]

        func fits(_ count: Int) -> Bool {
            if case .rest = segments.last { return count >= segments.count }
            return count == segments.count
        }
    }

    private var fixed: [String: [HTTPMethod: Action]] = [:]
    private var templates: [Template] = []

    /// Responds if no template matches. By default a 404 in plain text.
    package var notFound: @Sendable (HTTPRequest) -> HTTPAnswer = { _ in
        .now(HTTPResponse(status: .notFound, text: "there is nothing at this path\n"))
    }

    /// Responds if a template matches and has no action for the method. `Allow` is added to the headers.
    package var methodNotAllowed: @Sendable (HTTPRequest) -> HTTPResponse = { _ in
        HTTPResponse(status: .methodNotAllowed, text: "this path does not take this method\n")
    }

    package init() {}

    /// Adds a route. Throws if the template is malformed or the route exists.
    package mutating func on(_ method: HTTPMethod, _ path: String, _ action: @escaping Action) throws(HTTPServerError) {
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
        if isDuplicate { throw HTTPServerError(.invalidRoute, "the route \(method) \(path) was given twice") }
    }

    package func answer(_ request: HTTPRequest) -> HTTPAnswer {
        if let actions = fixed[String(request.path)] {
            return answer(request, by: actions, Parameters())
        }
        let parts = Self.split(request.path)
        for template in templates where template.fits(parts.count) {
            var parameters = Parameters()
            let matches = zip(template.segments, parts).allSatisfy { segment, part in
                switch segment {
                case .rest(let name):
                    let rest = request.path[part.startIndex...]
                    guard !rest.isEmpty, let value = PercentEncoding.decode(rest) else { return false }
                    parameters.values.append((name, value))
                    return true
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
        _ request: HTTPRequest, by actions: [HTTPMethod: Action], _ parameters: Parameters
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

    private static func segments(_ path: String) throws(HTTPServerError) -> [Template.Segment] {
        guard path.hasPrefix("/") else {
            throw HTTPServerError(.invalidRoute, "the path template \"\(path)\" does not begin with \"/\"")
        }
        var names: Set<Substring> = []
        var segments: [Template.Segment] = []
        for part in split(path[...]) {
            if case .rest(let name) = segments.last {
                throw HTTPServerError(.invalidRoute, "the path template \"\(path)\" goes on after {\(name)...}")
            }
            if part.hasPrefix("{"), part.hasSuffix("}"), part.count > 2 {
                let name = part.dropFirst().dropLast()
                guard names.insert(name).inserted, !name.contains("{"), !name.contains("}") else {
                    throw HTTPServerError(.invalidRoute, "the path template \"\(path)\" is malformed at \"\(part)\"")
                }
                segments.append(name.hasSuffix("...") ? .rest(String(name.dropLast(3))) : .parameter(String(name)))
            } else if part.contains("{") || part.contains("}") {
                throw HTTPServerError(.invalidRoute, "the path template \"\(path)\" is malformed at \"\(part)\"")
            } else {
                segments.append(.literal(String(part)))
            }
        }
        return segments
    }
}
