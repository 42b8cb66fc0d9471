// SPDX-License-Identifier: Apache-2.0

import RolesAnywhere

/// Which proxy the environment puts before an address, as libcurl chooses it. Only to be said: libcurl itself decides.
enum ProxyChoice {
    /// The proxy's host and port, without a name or password that its URL may have.
    ///
    /// - Parameters:
    ///   - url: Where a request goes.
    ///   - environment: The variables.
    /// - Returns: Nothing when the request goes there directly.
    static func host(for url: HTTPURL, _ environment: [String: String]) -> String? {
        guard !url.isLoopback else { return nil }
        let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        guard let proxy = names.lazy.compactMap({ environment[$0] }).first(where: { !$0.isEmpty }) else { return nil }
        let exempt = environment["no_proxy"] ?? environment["NO_PROXY"] ?? ""
        for entry in exempt.split(whereSeparator: { $0 == "," || $0 == " " }) {
            if entry == "*" { return nil }
            let name = entry.drop { $0 == "." }.lowercased()
            if url.host.lowercased() == name || url.host.lowercased().hasSuffix(".\(name)") { return nil }
        }
        var rest = proxy[...]
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        return String(rest.prefix { $0 != "/" })
    }
}
