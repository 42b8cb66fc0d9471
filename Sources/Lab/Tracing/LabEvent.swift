// SPDX-License-Identifier: Apache-2.0

package import HTTPService
import SystemSupport

/// A request that the lab answered.
package struct LabEvent: Sendable {
    /// The method.
    package let method: HTTPMethod

    /// The path as received, at most 200 characters of it.
    package let path: String

    /// The status of the answer.
    package let status: HTTPStatus

    /// How the answer came about, for operations that are traced.
    package let trace: Trace?

    /// Why it was not answered at all.
    private let refusal: ServiceRefusal?

    init(_ request: HTTPRequest, _ response: HTTPResponse, _ trace: Trace?, _ refusal: ServiceRefusal? = nil) {
        self.refusal = refusal
        method = request.method
        path = String(request.path.prefix(200))
        status = response.status
        self.trace = trace
    }

    /// One line for a person: who got what, or the check that failed and what would mend it. Control and format characters,
    /// which a certificate or a request may hold and which could steer a terminal, become blanks.
    package var summary: String {
        let reason = refusal.map { $0.detail + ($0.hint.map { " (\($0))" } ?? "") } ?? "not served by the lab"
        return printable(trace?.summary ?? "\(status.code) \(method) \(path): \(reason)", limit: 4096)
    }
}

extension Trace {
    /// One line for a person. It may hold whatever a client sent.
    var summary: String {
        let who = subject ?? caller ?? "unknown"
        if let failure {
            let hint = failure.hint.map { " (\($0))" } ?? ""
            return "\(status) \(operation) from \(who): \(failure.check.rawValue): \(failure.detail)\(hint)"
        }
        return "\(status) \(operation) from \(who): \(assumedRole ?? entries.last?.detail ?? "done")"
    }
}
