// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import Synchronization
import SystemSupport

/// Sends a request, signed afresh each time, until a service has answered it: retries, waits, and a clock that is put right.
final class SignedExchange: Sendable {
    private let service: Endpoint.Service
    private let transport: any HTTPTransport
    private let retryPolicy: RetryPolicy
    private let dependencies: SessionClient.Dependencies
    private let observer: @Sendable (SessionEvent) -> Void
    private let clockOffset = Mutex(0.0)

    /// How far two clocks may be apart before it is a fault, in seconds. AWS refuses signatures beyond it.
    static let toleratedClockDifference = Double(AWSLimit.clockDifference.maximum)

    /// How far a server's clock may be from this machine's to be believed, in seconds. A server that answers once with a date
    /// of his choice would otherwise be given a signature for any day.
    static let believedClockDifference = 86_400.0

    init(
        with service: Endpoint.Service, transport: any HTTPTransport, retryPolicy: RetryPolicy,
        dependencies: SessionClient.Dependencies, observer: @escaping @Sendable (SessionEvent) -> Void
    ) {
        self.service = service
        self.transport = transport
        self.retryPolicy = retryPolicy
        self.dependencies = dependencies
        self.observer = observer
    }

    /// By how many seconds the server's clock was last found to be ahead of this machine's, when they were too far apart;
    /// zero otherwise.
    var clockCorrection: Double { clockOffset.withLock { $0 } }

    /// The time by the server's clock, as far as that is known.
    var correctedNow: Date { dependencies.now().addingTimeInterval(clockCorrection) }

    /// Asks until there is an answer.
    ///
    /// A refusal (403) from a server whose clock is more than five minutes away is answered by one more request, dated by
    /// that clock, unless it is more than a day away or what signs is not valid then.
    func send<Answer>(
        while isValid: (Date) -> Bool, _ sign: () throws -> SignedRequest, reading read: (HTTPResponse) throws -> Answer
    ) throws -> Answer {
        var failures = 0
        var mayCorrectClock = true
        while true {
            let signed = try sign()
            observer(.sending(attempt: failures + 1, signed))
            let failure: RolesAnywhereError
            var requestedDelay: Duration?
            do {
                let response = try transport.send(signed.request)
                observer(.received(status: response.status, headers: response.headers, timings: response.timings))
                if (200..<300).contains(response.status) { return try read(response) }
                let serverTime = response.headers["Date"].flatMap(CivilTime.date(fromHTTP:))
                if response.status == 403, mayCorrectClock, let serverTime,
                    abs(serverTime.timeIntervalSince(correctedNow)) > Self.toleratedClockDifference
                {
                    try checkClock(serverTime, isValid, response)
                    mayCorrectClock = false
                    correctClock(by: serverTime)
                    continue
                }
                failure = RolesAnywhereError(
                    ServiceError(response), of: service, attempts: failures + 1,
                    clockDifference: serverTime?.timeIntervalSince(correctedNow))
                requestedDelay = retryAfter(response.headers)
            } catch let error as RolesAnywhereError where error.isTransient {
                failure = error
            }
            failures += 1
            guard failure.isTransient, failures < retryPolicy.attempts else { throw failure }
            let delay = retryPolicy.delay(after: failures, requested: requestedDelay, random: dependencies.random())
            observer(.waiting(delay, after: failure))
            try dependencies.sleep(delay)
        }
    }

    /// Adopts the server's clock.
    private func correctClock(by serverTime: Date) {
        let offset = serverTime.timeIntervalSince(dependencies.now())
        clockOffset.withLock { $0 = offset }
        observer(.clockCorrected(seconds: offset))
    }

    /// Refuses a clock by which nothing is signed.
    private func checkClock(
        _ serverTime: Date, _ isValid: (Date) -> Bool, _ response: HTTPResponse
    ) throws(RolesAnywhereError) {
        let now = dependencies.now()
        let isNear = abs(serverTime.timeIntervalSince(now)) <= Self.believedClockDifference
        guard !isNear || !isValid(serverTime) else { return }
        let answer = ServiceError(response)
        let rule = isNear ? "what signs is not valid then" : "no more than 24 hours are believed"
        throw RolesAnywhereError(
            .denied,
            "the service refused: \(answer); its clock says \(CivilTime(serverTime).extended) and this machine's "
                + "\(CivilTime(now).extended): \(rule)",
            hint: "if this machine's clock is the wrong one, set it (timedatectl); if not, what answers is not AWS",
            service: answer)
    }

    /// What the server asked for: seconds, or a date by its own clock.
    private func retryAfter(_ headers: HTTPHeaders) -> Duration? {
        guard let value = headers["Retry-After"] else { return nil }
        if let seconds = Int(value) { return .seconds(min(max(0, seconds), 86_400)) }
        guard let date = CivilTime.date(fromHTTP: value) else { return nil }
        let reference = headers["Date"].flatMap(CivilTime.date(fromHTTP:)) ?? correctedNow
        return .seconds(min(max(0, date.timeIntervalSince(reference)), 86_400))
    }
}
