// SPDX-License-Identifier: Apache-2.0

@testable import Delivery

extension FuzzTarget {
    static let awsFile = FuzzTarget("aws-file") { bytes in
        var file = SharedConfiguration(bytes)
        for section in file.sectionNames + ["profile a b", "default"] { _ = file.settings(in: section) }
        let value = "x y"
        try? file.set([("region", value), ("credential_process", nil)], in: "default")
        // What was set is there, whatever the file was.
        precondition(file.value(of: "region", in: "default") == value)
        precondition(file.value(of: "credential_process", in: "default") == nil)
    }

    static let cacheEntry = FuzzTarget("cache-entry") { bytes in
        guard let entry = CacheEntry(bytes) else { return }
        precondition(CacheEntry(entry.bytes) != nil)
    }
}
