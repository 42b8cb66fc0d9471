// SPDX-License-Identifier: Apache-2.0

import HTTPServer

/// How often an address may ask, and how often it may be wrong.
struct ServiceLimits: Sendable {
    /// Requests that need the CA's key.
    private let requests: Throttle
    /// Wrong secrets.
    private let failures: Throttle

    init(
        requests: Throttle = Throttle(burst: 1_000, interval: .milliseconds(5)),
        failures: Throttle = Throttle(burst: 20, interval: .seconds(3))
    ) {
        self.requests = requests
        self.failures = failures
    }

    /// The response to an address that asks too often; `nil` if it does not, and then the request is counted.
    func refusal(of request: HTTPRequest) -> HTTPResponse? {
        let network = ProofReader.network(of: request)
        guard
            let wait = failures.delay(of: network, at: request.arrival) ?? requests.count(network, at: request.arrival)
        else { return nil }
        var response = HTTPResponse(status: .tooManyRequests, text: "too many requests from this address\n")
        response.headers.append("Retry-After", "\(max(1, wait.components.seconds))")
        return response
    }

    /// Counts a wrong secret.
    func countFailure(of request: HTTPRequest) {
        _ = failures.count(ProofReader.network(of: request), at: request.arrival)
    }
}
