// SPDX-License-Identifier: Apache-2.0
internal import HTTPService
extension HTTPRequest {
    var isLocal: Bool {
        remoteAddress.hasPrefix("127.") || remoteAddress.hasPrefix("[::1]") || remoteAddress.hasPrefix("unix")
            || remoteAddress == "unknown"
    }
}
