// SPDX-License-Identifier: Apache-2.0

public import HTTPService

/// A request that the lab answered.
public struct LabEvent: Sendable {
    /// The method.
    public let method: HTTPMethod

    /// The path as received, at most 200 characters of it.
    public let path: String

    /// The status of the answer.
    public let status: HTTPStatus

    /// How the answer came about, for operations that are traced.
    public let trace: Trace?

    init(_ request: HTTPRequest, _ response: HTTPResponse, _ trace: Trace?) {
        method = request.method
        path = String(request.path.prefix(200))
        status = response.status
        self.trace = trace
    }

    /// One line for a person: who got what, or the check that failed and what would mend it. What could steer a
    /// terminal is replaced: control and format characters, which a certificate or a request may hold.
    public var summary: String {
        let words = trace?.summary ?? "\(status.code) \(method) \(path): not served by the lab"
        if words.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) { return words }
        let visible = words.unicodeScalars.map { scalar -> Unicode.Scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: "?"
            default: scalar
            }
        }
        return String(String.UnicodeScalarView(visible))
    }
}

extension Trace {
    /// One line for a person. It may hold whatever a client sent.
    var summary: String {
        let who = subject ?? caller ?? "unknown"
        if let failure {
            let remedy = failure.remedy.map { " (\($0))" } ?? ""
            return "\(status) \(operation) from \(who): \(failure.check.rawValue): \(failure.detail)\(remedy)"
        }
        return "\(status) \(operation) from \(who): \(assumedRole ?? entries.last?.detail ?? "done")"
    }
}
