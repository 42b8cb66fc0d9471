// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

extension PolicyContext {
    /// Adds what is known of every request, whoever makes it (IAM User Guide, "AWS global condition context keys").
    ///
    /// AWS is reached over TLS alone, and the lab stands in its place also where it speaks plain HTTP on loopback: a policy
    /// that wants `aws:SecureTransport` says the same here and there.
    ///
    /// - Parameters:
    ///   - now: The current time.
    ///   - remoteAddress: Where the request came from, as `address:port`.
    ///   - region: The region whose service is asked.
    mutating func describeRequest(at now: Date, from remoteAddress: String, region: String) {
        self["aws:CurrentTime"] = [timestamp(now)]
        self["aws:EpochTime"] = ["\(Int(now.timeIntervalSince1970))"]
        self["aws:RequestedRegion"] = [region]
        self["aws:SecureTransport"] = ["true"]
        self["aws:SourceIp"] = [Self.address(remoteAddress)]
    }

    /// Adds the tags that the request is to put on something.
    mutating func describeRequestTags(_ tags: [Tag]) {
        for tag in tags { self["aws:RequestTag/\(tag.key)"] = [tag.value] }
        self["aws:TagKeys"] = tags.map(\.key).sorted()
    }

    /// Adds the tags of what the request is about.
    ///
    /// - Parameters:
    ///   - tags: The tags.
    ///   - service: The service that has a key of its own for them besides; nothing when it has none.
    mutating func describeResourceTags(_ tags: [Tag], service: String? = nil) {
        for tag in tags {
            self["aws:ResourceTag/\(tag.key)"] = [tag.value]
            if let service { self["\(service):ResourceTag/\(tag.key)"] = [tag.value] }
        }
    }

    /// The same, and what more is known; of a key that both have, the other's values count.
    func adding(_ other: PolicyContext) -> PolicyContext {
        var all = self
        for key in other.keys { all[key] = other[key] }
        return all
    }

    /// The address in `address:port`, without the brackets of IPv6.
    private static func address(_ remote: String) -> String {
        guard let colon = remote.lastIndex(of: ":") else { return remote }
        return remote[..<colon].filter { $0 != "[" && $0 != "]" }
    }
}
