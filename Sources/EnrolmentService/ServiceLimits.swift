// SPDX-License-Identifier: Apache-2.0

import HTTPServer

/// How often an address may ask, and how often it may be wrong.
///
/// Several hosts may have one address. So wrong secrets do not slow down clients that have a right one: what follows too many is another
/// answer to the next wrong one.
struct ServiceLimits: Sendable {
    /// Requests that need the CA's key or change an account.
    private let requests: Throttle
    /// Orders of ACME. Each certificate needs one besides a request.
    private let orders: Throttle
    /// Wrong secrets.
    private let failures: Throttle
    /// Requests for CRLs, and for OCSP answers that must be signed.
    private let revocation: Throttle
    private let metrics: ServiceMetrics

    init(
        requests: Throttle = Throttle(burst: 1_000, interval: .milliseconds(5)),
        orders: Throttle = Throttle(burst: 1_000, interval: .milliseconds(5)),
        failures: Throttle = Throttle(burst: 20, interval: .seconds(3)),
        revocation: Throttle = Throttle(burst: 2_000, interval: .milliseconds(1)), metrics: ServiceMetrics
    ) {
        self.requests = requests
        self.orders = orders
        self.failures = failures
        self.revocation = revocation
        self.metrics = metrics
    }

    /// The response to an address that asks for certificates too often; `nil` if it does not, and then the request is counted.
    func refusal(of request: HTTPRequest) -> HTTPResponse? { count(request, requests, "enrolment") }

    /// The same for orders.
    func refusalOfOrder(of request: HTTPRequest) -> HTTPResponse? { count(request, orders, "orders") }

    /// The same for what tells about revocations.
    func refusalOfRevocation(of request: HTTPRequest) -> HTTPResponse? { count(request, revocation, "revocation") }

    /// Counts a wrong secret. The response to an address that has had too many; `nil` if it has not.
    func refusalOfFailure(of request: HTTPRequest, protocol name: String) -> HTTPResponse? {
        metrics.count("pki_wrong_secrets_total", "protocol=\"\(name)\"")
        return count(request, failures, "secrets")
    }

    private func count(_ request: HTTPRequest, _ throttle: Throttle, _ name: String) -> HTTPResponse? {
        guard let wait = throttle.count(request.remoteNetwork, at: request.arrival) else { return nil }
        metrics.count("pki_throttled_total", "limit=\"\(name)\"")
        var response = HTTPResponse(status: .tooManyRequests, text: "too many requests from this address\n")
        response.headers.append("Retry-After", "\(max(1, wait.components.seconds))")
        return response
    }
}
