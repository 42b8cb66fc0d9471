// SPDX-License-Identifier: Apache-2.0

import Authority
import Enrolment
import HTTPServer
import Synchronization

/// Counts what the service did, in the text format of Prometheus.
package final class ServiceMetrics: Sendable {
    private struct Key: Hashable, Comparable {
        var name: String
        /// Labels as they are printed, without braces.
        var labels: String

        static func < (left: Key, right: Key) -> Bool { (left.name, left.labels) < (right.name, right.labels) }
    }

    private let counts = Mutex<[Key: Double]>([:])

    package init() {}

    /// Counts a request and how long it took.
    func count(
        protocol name: String, _ result: Result<EnrolmentDesk.Outcome, any Error>, since start: ContinuousClock.Instant
    ) {
        let outcome =
            switch result {
            case .success(.issued(let issued)): issued.isRepeated ? "repeated" : "issued"
            case .success(.waiting): "waiting"
            case .failure(let error): error is EnrolmentRefusal ? "refused" : "failed"
            }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        counts.withLock { counts in
            counts[
                Key(name: "pki_enrolments_total", labels: "protocol=\"\(name)\",outcome=\"\(outcome)\""), default: 0] +=
                1
            counts[Key(name: "pki_enrolment_seconds_sum", labels: "protocol=\"\(name)\""), default: 0] += seconds
            counts[Key(name: "pki_enrolment_seconds_count", labels: "protocol=\"\(name)\""), default: 0] += 1
        }
    }

    /// Adds to a counter, whose labels are given as they are printed.
    func count(_ name: String, _ labels: String = "") {
        counts.withLock { $0[Key(name: name, labels: labels), default: 0] += 1 }
    }

    /// The text, with values that were just measured. Names end in `_total`, `_sum` or `_count` if they only grow.
    package func text(_ gauges: [(name: String, value: Double)]) -> String {
        var values = counts.withLock { $0 }
        for (name, value) in gauges { values[Key(name: name, labels: "")] = value }
        var text = ""
        var last = ""
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            if key.name != last {
                let grows = ["_total", "_sum", "_count"].contains { key.name.hasSuffix($0) }
                text += "# TYPE \(key.name) \(grows ? "counter" : "gauge")\n"
                last = key.name
            }
            let number = value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
            text += "\(key.name)\(key.labels.isEmpty ? "" : "{\(key.labels)}") \(number)\n"
        }
        return text
    }
}
