// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
package import HTTPServer
import Synchronization
import SystemSupport

/// Tells clients which certificates are revoked: CRLs at `/crl/NAME.crl` and `/crl/NAME.pem`, and OCSP at `/ocsp`; and the
/// CA's certificate at `/ca/NAME.cer`.
///
/// It needs no proof and no TLS, for which clients would have to know about revocations first.
package struct RevocationService: HTTPHandler {
    /// How often the CA's CRL is made, and how long it may be used.
    package struct Schedule: Sendable {
        /// In seconds.
        package var every: Double
        /// In seconds.
        package var nextUpdate: Double

        package init(every: Double = 3_600, nextUpdate: Double = 86_400) {
            self.every = every
            self.nextUpdate = nextUpdate
        }
    }

    /// Makes the CA's CRL, and finds out what was revoked.
    package let publisher: RevocationPublisher
    private let router: HTTPRouter

    init(
        _ authority: CertificateAuthority, options: CurrentOptions, limits: ServiceLimits, metrics: ServiceMetrics,
        now: @escaping @Sendable () -> Date,
        note: @escaping @Sendable (String) -> Void, report: @escaping @Sendable (String) -> Void
    ) throws {
        let cache = OCSPCache()
        publisher = RevocationPublisher(
            authority, options: options, cache: cache, metrics: metrics, now: now, note: note, report: report)
        let lists = PublishedLists(authority.inventory)
        let responder = OCSPService(
            authority, cache: cache, limits: limits, metrics: metrics, now: now, report: report)
        var router = HTTPRouter()
        try router.on(.get, "/crl/{file}") { request, parameters in
            if let busy = limits.refusalOfRevocation(of: request) { return .now(busy) }
            return .work { lists.response(to: request, file: parameters["file"], now: now(), report: report) }
        }
        let (name, certificate) = (authority.name, authority.certificate)
        try router.on(.get, "/ca/{file}") { _, parameters in
            guard parameters["file"] == "\(name).cer" else {
                return .now(HTTPResponse(status: .notFound, text: "there is no CA of this name here\n"))
            }
            let headers: HTTPHeaders = [
                "Content-Type": "application/pkix-cert", "Cache-Control": "public, max-age=3600",
            ]
            return .now(HTTPResponse(status: .ok, headers: headers, body: certificate.derEncoded))
        }
        try router.on(.post, "/ocsp") { request, _ in responder.answer(request, request.body) }
        try router.on(.get, "/ocsp/{request...}") { request, parameters in
            responder.answer(request, Data(base64Encoded: parameters["request"]).map { Array($0) } ?? [])
        }
        self.router = router
    }

    package func answer(_ request: HTTPRequest) -> HTTPAnswer { router.answer(request) }

    /// Adds the same paths to those of a server with others.
    func addRoutes(to router: inout HTTPRouter) throws {
        for (method, path) in [
            (HTTPMethod.get, "/crl/{file}"), (.get, "/ca/{file}"), (.post, "/ocsp"), (.get, "/ocsp/{request...}"),
        ] {
            try router.on(method, path) { request, _ in answer(request) }
        }
    }
}

/// The CRLs in the CA's directory, also of other CAs.
private final class PublishedLists: Sendable {
    private struct Known: Sendable {
        var stamp: RevocationListStamp
        var list: CertificateRevocationList
    }

    private let inventory: Inventory
    private let known = Mutex<[String: Known]>([:])

    init(_ inventory: Inventory) { self.inventory = inventory }

    /// How long a cache may give the list on without asking: a revocation is in it within seconds.
    private static let largestAge = 60.0

    func response(
        to request: HTTPRequest, file: String, now: Date, report: (String) -> Void
    ) -> HTTPResponse {
        let isPEM = file.hasSuffix(".pem")
        guard isPEM || file.hasSuffix(".crl") else { return Self.missing }
        let list: CertificateRevocationList
        do {
            guard let found = try self.list(of: String(file.dropLast(4)), now: now) else { return Self.missing }
            list = found
        } catch {
            let answer = ServiceError(error)
            report("CRL: \(answer.fault ?? answer.reason)")
            return HTTPResponse(status: .serviceUnavailable, text: "the CRL cannot be read at the moment\n")
        }
        let body = isPEM ? Array(list.pemEncoded.utf8) : list.derEncoded
        let tag = "\"\(hexadecimal(Array(Digest.sha256.hash(body).prefix(16))))\""
        let age = max(0, min(Self.largestAge, list.nextUpdate?.timeIntervalSince(now) ?? Self.largestAge))
        let headers: HTTPHeaders = [
            "Content-Type": isPEM ? "application/x-pem-file" : "application/pkix-crl", "ETag": tag,
            "Last-Modified": CivilTime(list.thisUpdate).http,
            "Cache-Control": "public, max-age=\(Int(age)), must-revalidate",
        ]
        let isCurrent = request.isCurrent(tag: tag, lastModified: list.thisUpdate)
        return isCurrent
            ? HTTPResponse(status: .notModified, headers: headers)
            : HTTPResponse(status: .ok, headers: headers, body: body)
    }

    private static let missing = HTTPResponse(status: .notFound, text: "there is no CRL of this name\n")

    /// The CRL of a CA; read again when another was made. While the inventory does not answer, the last one goes on until it expires.
    private func list(of name: String, now: Date) throws -> CertificateRevocationList? {
        let known = known.withLock { $0[name] }
        do {
            guard let stamp = try inventory.revocationListStamp(of: name) else { return nil }
            if let known, known.stamp == stamp { return known.list }
            guard let list = try inventory.revocationList(of: name) else { return nil }
            // If the file was replaced in between, the stamp is the old one's, and the next request reads it again.
            self.known.withLock { $0[name] = Known(stamp: stamp, list: list) }
            return list
        } catch let error as AuthorityError where error.code == .unreachable {
            guard let known, known.list.nextUpdate.map({ $0 > now }) ?? false else { throw error }
            return known.list
        }
    }
}
