// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Lab

/// How the lab behaves differently from AWS.
struct LabFaultOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("Delay every response.", valueName: "seconds"))
    var delay = 0.0

    @Option(name: .long, help: ArgumentHelp("Fail the next n requests with --fail-status.", valueName: "n"))
    var failNext = 0

    @Option(name: .long, help: ArgumentHelp("HTTP status for --fail-next, 400 to 599.", valueName: "status"))
    var failStatus = 503

    @Option(name: .long, help: ArgumentHelp("Throttle CreateSession to n a second. AWS: 10.", valueName: "n"))
    var throttle: Int?

    @Option(
        name: .long, parsing: .unconditional,
        help: ArgumentHelp("Set the lab's clock ahead, or behind if negative.", valueName: "seconds"))
    var clockOffset = 0.0

    @Option(
        name: .long,
        help: ArgumentHelp("Expire sessions after this time, whatever was requested.", valueName: "seconds"))
    var expiresIn: Int?

    func validate() throws {
        guard (0...3_600).contains(delay) else { throw ValidationError("--delay is 0 to 3600 seconds") }
        guard failNext >= 0 else { throw ValidationError("--fail-next is 0 or more") }
        guard (400...599).contains(failStatus) else { throw ValidationError("--fail-status is 400 to 599") }
        if let throttle, throttle < 1 { throw ValidationError("--throttle is 1 or more") }
        guard abs(clockOffset) <= 3_153_600_000 else { throw ValidationError("--clock-offset is at most 100 years") }
        if let expiresIn, !(1...43_200).contains(expiresIn) {
            throw ValidationError("--expires-in is 1 to 43200 seconds")
        }
    }

    var faults: LabFaults {
        var faults = LabFaults()
        faults.delay = .seconds(delay)
        faults.failureCount = failNext
        faults.failureStatus = failStatus
        faults.expiresIn = expiresIn
        faults.sessionsPerSecond = throttle
        return faults
    }
}
