// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not a request that this server takes. The connection ends with it: what follows cannot be trusted.
struct RequestRefusal: Error, Equatable {
    /// What the client is answered.
    var status: HTTPStatus

    /// The rule that was broken, for the answer's body and the log.
    var reason: String

    init(_ status: HTTPStatus, _ reason: String) {
        self.status = status
        self.reason = reason
    }
}
