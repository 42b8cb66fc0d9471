// SPDX-License-Identifier: Apache-2.0

@testable import Authority
import FoundationEssentials

extension FuzzTarget {
    static let hostList = FuzzTarget("host-list") { bytes in
        _ = try? HostList(bytes, name: "hosts", now: Date(timeIntervalSince1970: 1_700_000_000))
    }

    static let register = FuzzTarget("openssl-configuration") { bytes in
        _ = OpenSSLConfiguration(String(decoding: bytes, as: UTF8.self))
    }
}
