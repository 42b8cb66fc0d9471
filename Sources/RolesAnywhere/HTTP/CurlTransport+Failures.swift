// SPDX-License-Identifier: Apache-2.0

import Certificates
import CCurl
import SystemSupport

extension CurlTransport {
    /// Says in words which host failed, and how.
    ///
    /// - Parameters:
    ///   - failure: What libcurl reported.
    ///   - host: Where the request went.
    /// - Returns: An error that names the host and holds no secret.
    func explain(_ failure: CurlFailure, host: String) -> RolesAnywhereError {
        let detail = words(of: failure)
        if failure.isTooLong {
            return RolesAnywhereError(
                .malformedAnswer,
                "the answer of \(host) is longer than \(bodyLimit) bytes, which the service's never is"
            )
        }
        if failure.proxyStatus >= 300 { return refused(byProxyWith: failure.proxyStatus, host: host) }
        if failure.text.hasPrefix("Unsupported proxy") { return unusableProxy(host: host) }
        switch failure.code {
        case CURLE_COULDNT_RESOLVE_HOST:
            return RolesAnywhereError(
                .unreachable,
                "the name of \(host) has no address",
                hint: "check the region or --endpoint, and that this machine's name server answers",
                isTransient: true
            )
        case CURLE_COULDNT_RESOLVE_PROXY: return unusableProxy(host: host)
        case CURLE_COULDNT_CONNECT:
            return RolesAnywhereError(
                .unreachable,
                "no connection to \(host): \(detail)",
                hint: "check --endpoint, firewalls, and HTTPS_PROXY where a proxy is the only way out",
                isTransient: true
            )
        case CURLE_OPERATION_TIMEDOUT:
            return RolesAnywhereError(
                .unreachable,
                "\(host) took too long: \(detail)",
                hint: "the limits are \(connectTimeout) to connect and \(timeout) for the whole attempt",
                isTransient: true
            )
        case CURLE_PEER_FAILED_VERIFICATION: return untrusted(detail, host: host)
        case CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CRL_BADFILE:
            return RolesAnywhereError(
                .unreadableFile,
                "the CA certificates to check \(host) against cannot be used: \(detail)",
                hint: "--ca-bundle, AWS_CA_BUNDLE or SSL_CERT_FILE must name a PEM file with at least one certificate"
            )
        case CURLE_SSL_CONNECT_ERROR:
            let isCut = detail.contains("SYSCALL") || detail.contains("reset")
            return RolesAnywhereError(
                .unreachable,
                "no TLS connection to \(host): \(detail)",
                hint: isCut ? nil : "TLS 1.2 or newer is needed; is it HTTPS that listens there?",
                isTransient: isCut
            )
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE:
            return RolesAnywhereError(.unreachable, "\(host) broke off: \(detail)", isTransient: true)
        case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL:
            return RolesAnywhereError(.malformedAnswer, "what \(host) answers is not HTTP: \(detail)")
        case CURLE_PROXY:
            return RolesAnywhereError(.unreachable, "the proxy on the way to \(host) refused", isTransient: false)
        default:
            return RolesAnywhereError(.unreachable, "the request to \(host) failed: \(detail)", isTransient: true)
        }
    }

    /// libcurl's own words, unless they repeat a URL: a proxy's may have a password in it.
    private func words(of failure: CurlFailure) -> String {
        let isUnsafe = failure.text.isEmpty || failure.text.contains("@") || failure.text.contains("://")
        return isUnsafe ? "libcurl error \(failure.code.rawValue)" : printable(failure.text)
    }

    private func unusableProxy(host: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .unreachable,
            "the proxy on the way to \(host) has no address, or its URL is malformed",
            hint: "check HTTPS_PROXY; NO_PROXY exempts hosts from it"
        )
    }

    private func refused(byProxyWith status: Int, host: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .unreachable,
            "the proxy on the way to \(host) refused with status \(status)",
            hint: status == 407
                ? "it wants a user name and password: HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT"
                : "ask whoever runs it to let this host through, or exempt it with NO_PROXY",
            isTransient: status >= 500
        )
    }

    private func untrusted(_ detail: String, host: String) -> RolesAnywhereError {
        let isName = detail.contains("does not match") || detail.contains("no alternative certificate subject name")
        return RolesAnywhereError(
            .untrustedServer,
            isName
                ? "the certificate of \(host) is for another name: \(detail)"
                : "the certificate of \(host) is not trusted: \(detail)",
            hint: isName
                ? "reach the server by a name that stands in its certificate"
                : "if its CA is your own, or a proxy inspects TLS here, name the CA's certificate with --ca-bundle"
        )
    }
}
