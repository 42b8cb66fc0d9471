// SPDX-License-Identifier: Apache-2.0

import HTTPService

/// Decides which requests are meant for the lab.
///
/// A page in a browser can be made to ask this machine under a name of the page's own (DNS rebinding), and would then be of one
/// origin with the lab; the administrator's key is published, so that such a page could sign as well. A name that DNS cannot
/// bind to another machine rules that out: `localhost`, a loopback address, or the very address that was connected to, each
/// with the lab's port. A page of another origin can send requests too, though not read the answers: its `Origin` says so.
struct LabGuard: Sendable {
    /// What else the lab is called: names in lower case, with a port or, for any port, without.
    let hosts: Set<String>

    /// Says why a request is not answered.
    ///
    /// - Parameter request: Any request.
    /// - Returns: The refusal; `nil` if the request is meant for the lab.
    func refusal(of request: HTTPRequest) -> ServiceRefusal? {
        guard let authority = HTTPAuthority(request.host ?? ""), admits(authority, request) else {
            let host = String((request.host ?? "").prefix(200))
            return Self.refusal(
                "the lab is not served under the name \"\(host)\"",
                hint: "use the address that the lab printed, or start it with --allow-host NAME"
            )
        }
        let own = Self.origin(authority, request)
        for origin in request.headers.values("Origin") where Self.normalized(origin) != own {
            return Self.refusal("the request comes from another site: \"\(origin.prefix(200))\"", hint: nil)
        }
        return nil
    }

    private static func refusal(_ detail: String, hint: String?) -> ServiceRefusal {
        ServiceRefusal.denied(detail.asSentence, detail, hint: hint)
    }

    private func admits(_ authority: HTTPAuthority, _ request: HTTPRequest) -> Bool {
        if hosts.contains(authority.host) || hosts.contains(authority.description) { return true }
        // A request that came over no socket of TCP has no port to compare.
        guard let local = request.localAddress else { return authority.isLoopback }
        guard local.port == authority.port ?? Self.standardPort(request.isSecure) else { return false }
        return authority.isLoopback || authority.isAddress && authority.host == local.host
    }

    private static func standardPort(_ isSecure: Bool) -> Int { isSecure ? 443 : 80 }

    /// The origin of the lab's own page, as the request reached it.
    private static func origin(_ authority: HTTPAuthority, _ request: HTTPRequest) -> String {
        let port = authority.port ?? standardPort(request.isSecure)
        return
            "\(request.isSecure ? "https" : "http")://\(HTTPAuthority(host: authority.host, port: port)?.description ?? "")"
    }

    /// An origin with its port written out; `nil` if it is none of the web's.
    private static func normalized(_ origin: String) -> String? {
        for (scheme, isSecure) in [("http://", false), ("https://", true)] where origin.hasPrefix(scheme) {
            guard let authority = HTTPAuthority(String(origin.dropFirst(scheme.count))) else { return nil }
            let port = authority.port ?? standardPort(isSecure)
            return HTTPAuthority(host: authority.host, port: port).map { scheme + $0.description }
        }
        return nil
    }
}
