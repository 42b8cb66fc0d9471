// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import HTTPServer
import Synchronization
import SystemSupport

/// The CA's OCSP responder (RFC 6960, 5019). It signs by a key of its own, which the CA certifies for a week.
final class OCSPService: Sendable {
    private struct Key: Sendable {
        var signer: OCSPSigner?
        /// The generation of the cache since which nothing was revoked; `nil` if the inventory must be asked.
        var generation: Int?
        /// Not to be tried before.
        var retryAt: ContinuousClock.Instant?
    }

    /// How long an answer may be relied on. It is signed again when half of that is over.
    private static let validity: Double = 3_600

    private let authority: CertificateAuthority
    private let cache: OCSPCache
    private let limits: ServiceLimits
    private let metrics: ServiceMetrics
    private let now: @Sendable () -> Date
    private let report: @Sendable (String) -> Void
    private let key = Mutex(Key())
    private let turn = Mutex(())

    init(
        _ authority: CertificateAuthority, cache: OCSPCache, limits: ServiceLimits, metrics: ServiceMetrics,
        now: @escaping @Sendable () -> Date, report: @escaping @Sendable (String) -> Void
    ) {
        self.authority = authority
        self.cache = cache
        self.limits = limits
        self.metrics = metrics
        self.now = now
        self.report = report
    }

    /// Answers at once what is known, and what must be looked up from a thread that may wait.
    func answer(_ request: HTTPRequest, _ bytes: [UInt8]) -> HTTPAnswer {
        let asked: OCSPRequest
        do {
            asked = try OCSPRequest(derEncoded: bytes)
        } catch {
            return .now(refusal(.malformedRequest))
        }
        let now = now()
        let entry = entry(for: asked, now: now)
        // An answer that was signed before costs no more than a refusal.
        if entry == nil || asked.nonce != nil, let busy = limits.refusalOfRevocation(of: request) { return .now(busy) }
        if let known = entry.flatMap({ known($0, asked, now: now) }) {
            return .now(response(to: request, known, now: now))
        }
        return .work { [self] in
            do {
                return try answer(request, asked)
            } catch {
                let answer = ServiceError(error)
                report("OCSP: \(answer.fault ?? answer.reason)")
                return refusal(.tryLater)
            }
        }
    }

    // MARK: - Answers

    /// A signed response, and what an HTTP cache may do with it.
    private struct Signed: Sendable {
        var response: [UInt8]
        /// `nil` if it must not be kept.
        var answer: OCSPAnswer?
    }

    /// What is kept for a request, if it is fresh.
    private func entry(for asked: OCSPRequest, now: Date) -> OCSPCache.Entry? {
        guard asked.certificates.count == 1, let entry = cache.entry(for: asked.certificates[0]),
            now < entry.answer.thisUpdate + Self.validity / 2, now >= entry.answer.thisUpdate
        else { return nil }
        return entry
    }

    /// The response when nothing needs to be looked up. A signature by the responder's own key does not take long.
    private func known(_ entry: OCSPCache.Entry, _ asked: OCSPRequest, now: Date) -> Signed? {
        count(entry.answer.status)
        guard let nonce = asked.nonce else { return Signed(response: entry.response, answer: entry.answer) }
        return (try? entry.signer.response([entry.answer], nonce: nonce, producedAt: now)).map {
            Signed(response: $0, answer: nil)
        }
    }

    private func answer(_ request: HTTPRequest, _ asked: OCSPRequest) throws -> HTTPResponse {
        let now = now()
        let generation = cache.generation
        guard let signer = try signer(at: now) else { return refusal(.tryLater) }
        guard asked.certificates.contains(where: signer.answers) else { return refusal(.unauthorized) }
        let nextUpdate = min(now + Self.validity, signer.certificate.notAfter)
        let answers = try asked.certificates.map { certificate in
            OCSPAnswer(
                certificate: certificate,
                status: signer.answers(for: certificate) ? try status(of: certificate.serialNumber) : .unknown,
                thisUpdate: now, nextUpdate: nextUpdate)
        }
        for answer in answers { count(answer.status) }
        let response = try signer.response(answers, nonce: asked.nonce, producedAt: now)
        // What is not known today may be issued tomorrow, and anybody can make up serial numbers.
        guard answers.count == 1, answers[0].status != .unknown else {
            return self.response(to: request, Signed(response: response), now: now)
        }
        let lasting =
            try asked.nonce == nil ? response : signer.response(answers, nonce: nil, producedAt: now)
        cache.keep(
            OCSPCache.Entry(answer: answers[0], response: lasting, signer: signer), ifStill: generation)
        return self.response(
            to: request, Signed(response: response, answer: asked.nonce == nil ? answers[0] : nil), now: now)
    }

    private func status(of serialNumber: SerialNumber) throws -> OCSPStatus {
        let issuerKey = authority.certificate.publicKey.digest
        guard let entry = try authority.inventory.entry(issuerKey: issuerKey, serialNumber) else { return .unknown }
        return entry.revocation.map { .revoked(at: $0.date, $0.reason) } ?? .good
    }

    private func count(_ status: OCSPStatus) {
        switch status {
        case .good: metrics.count("pki_ocsp_answers_total", "status=\"good\"")
        case .revoked: metrics.count("pki_ocsp_answers_total", "status=\"revoked\"")
        case .unknown: metrics.count("pki_ocsp_answers_total", "status=\"unknown\"")
        }
    }

    private static let type = "application/ocsp-response"

    private func refusal(_ reason: OCSPRefusal) -> HTTPResponse {
        metrics.count("pki_ocsp_refusals_total", "reason=\"\(reason)\"")
        return HTTPResponse(
            status: .ok, headers: ["Content-Type": Self.type, "Cache-Control": "no-store"], body: reason.derEncoded)
    }

    /// The response with the headers for caches (RFC 5019 §6.2), which may keep what answers to GET. What is signed never
    /// has `no-store`, which that section forbids.
    private func response(to request: HTTPRequest, _ signed: Signed, now: Date) -> HTTPResponse {
        var headers: HTTPHeaders = ["Content-Type": Self.type]
        guard let answer = signed.answer, request.method != .post else {
            headers.append("Cache-Control", "private, max-age=0, must-revalidate")
            return HTTPResponse(status: .ok, headers: headers, body: signed.response)
        }
        let tag = "\"\(hexadecimal(Array(Digest.sha256.hash(signed.response).prefix(16))))\""
        let age = max(0, Int(answer.nextUpdate.timeIntervalSince(now)))
        headers.append("Cache-Control", "public, max-age=\(age), no-transform, must-revalidate")
        headers.append("ETag", tag)
        headers.append("Last-Modified", CivilTime(answer.thisUpdate).http)
        headers.append("Expires", CivilTime(answer.nextUpdate).http)
        return request.isCurrent(tag: tag, lastModified: answer.thisUpdate)
            ? HTTPResponse(status: .notModified, headers: headers)
            : HTTPResponse(status: .ok, headers: headers, body: signed.response)
    }

    // MARK: - The key

    /// What signs; `nil` if its certificate could not be issued a moment ago. Renewed when a third of its time is left.
    private func signer(at now: Date) throws -> OCSPSigner? {
        if let signer = try fresh(at: now) { return signer }
        return try turn.withLock { _ in
            if let signer = try fresh(at: now) { return signer }
            let (old, retryAt) = key.withLock { ($0.signer, $0.retryAt) }
            let isRevoked = try old.map { try authority.inventory.isRevoked($0.certificate) } ?? false
            let usable = old.flatMap { $0.certificate.isValid(at: now) && !isRevoked ? $0 : nil }
            if let retryAt, ContinuousClock.now < retryAt { return usable }
            do {
                var generator = SystemRandomNumberGenerator()
                let issued = try authority.certificate(.ocsp, now: now, using: &generator)
                let signer = try OCSPSigner(
                    issuer: authority.certificate, certificate: issued.certificate, key: issued.key)
                key.withLock { ($0.signer, $0.generation) = (signer, nil) }
                if isRevoked { report("the certificate of OCSP was revoked; another was issued") }
                return signer
            } catch {
                key.withLock { $0.retryAt = .now + .seconds(10) }
                guard let usable else { throw error }
                let answer = ServiceError(error)
                report("the certificate of OCSP cannot be renewed: \(answer.fault ?? answer.reason)")
                return usable
            }
        }
    }

    /// The signer that need not be replaced. The inventory is asked only after something was revoked.
    private func fresh(at now: Date) throws -> OCSPSigner? {
        let generation = cache.generation
        let (signer, known) = key.withLock { ($0.signer, $0.generation) }
        guard let signer, OwnCertificate.ocsp.isFresh(signer.certificate, of: authority, at: now) else { return nil }
        guard known != generation else { return signer }
        guard try !authority.inventory.isRevoked(signer.certificate) else { return nil }
        key.withLock { if $0.signer?.certificate == signer.certificate { $0.generation = generation } }
        return signer
    }
}

/// Signed answers, until the certificate is revoked or released, or that of the key which signed. Only certificates that exist have any.
final class OCSPCache: Sendable {
    struct Entry: Sendable {
        var answer: OCSPAnswer
        /// Signed, without a nonce.
        var response: [UInt8]
        var signer: OCSPSigner
    }

    private struct State {
        var entries: [OCSPRequest.CertificateID: Entry] = [:]
        var generation = 0
        /// When it was last found out what was revoked.
        var lookedAt: ContinuousClock.Instant?
    }

    /// About 20 MB.
    private static let largestCount = 16_384
    /// For how long answers are given without finding out what was revoked.
    private static let trust: Duration = .seconds(4)

    private let state = Mutex(State())

    /// Changes when an answer is forgotten.
    var generation: Int { state.withLock(\.generation) }

    func entry(for certificate: OCSPRequest.CertificateID) -> Entry? {
        state.withLock { state in
            guard let lookedAt = state.lookedAt, ContinuousClock.now - lookedAt < Self.trust else { return nil }
            return state.entries[certificate]
        }
    }

    /// Keeps an answer, unless one was forgotten since what it says was looked up.
    func keep(_ entry: Entry, ifStill generation: Int) {
        state.withLock { state in
            guard state.generation == generation else { return }
            if state.entries.count >= Self.largestCount { state.entries = [:] }
            state.entries[entry.answer.certificate] = entry
        }
    }

    func forget(_ serialNumbers: Set<SerialNumber>) {
        guard !serialNumbers.isEmpty else { return }
        state.withLock { state in
            state.generation += 1
            state.entries = state.entries.filter { asked, entry in
                !serialNumbers.contains(asked.serialNumber)
                    && !serialNumbers.contains(entry.signer.certificate.serialNumber)
            }
        }
    }

    func forgetAll() {
        state.withLock { state in
            state.generation += 1
            state.entries = [:]
        }
    }

    func isUpToDate(at time: ContinuousClock.Instant) { state.withLock { $0.lookedAt = time } }
}
