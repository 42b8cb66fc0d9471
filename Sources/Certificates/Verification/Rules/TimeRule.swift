// SPDX-License-Identifier: Apache-2.0

/// Rules on moments.
enum TimeRule: String, RuleGroup {
    case order = "validity-order"
    case form = "time-form"
    case seconds = "time-seconds"
    case zone = "time-zone"
    case fraction = "time-fraction"

    static let scopes: [ValidationRule.Scope] = [.certificate, .revocationList]

    var entry: RuleEntry {
        switch self {
        case .order:
            .init(
                .error,
                "RFC 5280 §4.1.2.5",
                "A certificate begins to be valid before it ends.",
                "issue one that ends later than it begins",
                scopes: [.certificate]
            )
        case .form:
            .init(
                .error,
                "RFC 5280 §4.1.2.5, §5.1.2.4",
                "A moment before 2050 is written as UTCTime, a later one as GeneralizedTime.",
                "have it issued again by software that knows the rule"
            )
        case .seconds:
            .init(
                .error,
                "RFC 5280 §4.1.2.5.1, §4.1.2.5.2",
                "A moment is written with its seconds.",
                "have it issued again by software that writes seconds"
            )
        case .zone:
            .init(
                .error,
                "RFC 5280 §4.1.2.5.1, §4.1.2.5.2",
                "A moment is in UTC and ends in Z.",
                "have it issued again by software that writes UTC"
            )
        case .fraction:
            .init(
                .error,
                "RFC 5280 §4.1.2.5.2",
                "A moment has no fraction of a second.",
                "have it issued again by software that writes whole seconds"
            )
        }
    }
}
