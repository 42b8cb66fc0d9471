// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Enrolment
import FoundationEssentials
import HTTPServer
import SystemSupport

/// Authorisations of an order's names, and their challenges (RFC 8555 §7.5, §8.3).
extension ACMEService {
    /// After how many seconds a proof that was begun is begun again: the process that did may have ended.
    private static let patience: Double = 120

    /// The authorisation of a name of an order: valid because the token allows the name, or as its challenge is.
    func authorization(_ request: Request) throws -> HTTPResponse {
        guard request.jws.payload.isEmpty else {
            throw ACMEProblem(.malformed, "an authorisation follows from the join token and cannot be deactivated")
        }
        let (order, index) = try named(by: request, "authorisation")
        let challenge = order.challenges.isEmpty ? nil : order.challenges[index]
        let status: ACMEChallenge.Status =
            switch challenge?.status {
            case nil: .valid
            case .pending?, .processing?: now() < order.expiresAt ? .pending : .invalid
            case .valid?, .invalid?: challenge?.status ?? .invalid
            }
        return Self.awaited(
            challenge,
            Self.json([
                "identifier": order.names[index].identifier, "status": .string(status.rawValue),
                "expires": JSONValue(order.expiresAt),
                "challenges": .array(challenge.map { [Self.value(of: $0, index, of: order, request)] } ?? []),
            ]))
    }

    /// Reads a challenge, or begins its proof.
    func challenge(_ request: Request) throws -> HTTPResponse {
        let (known, index) = try named(by: request, "challenge")
        guard known.challenges.indices.contains(index) else { throw Self.unknown("challenge") }
        var order = known
        if !request.jws.payload.isEmpty {
            _ = try request.object()
            let now = now()
            // Again under the lock: a client may ask twice at once.
            if Self.isDue(order.challenges[index], at: now),
                let begun = try inventory.changeChallenge(
                    index, of: order.identifier, now: now,
                    {
                        if Self.isDue($0, at: now) { ($0.status, $0.changedAt) = (.processing, now) }
                    })
            {
                order = begun
                try prove(order, index, try request.signer())
            }
        }
        var response = Self.awaited(
            order.challenges[index], Self.json(Self.value(of: order.challenges[index], index, of: order, request)))
        response.headers.append(
            "Link", "<\(request.url("authorization/\(order.identifier)/\(index)"))>;rel=\"up\"")
        return response
    }

    /// Whether the proof of a challenge can be begun.
    private static func isDue(_ challenge: ACMEChallenge, at now: Date) -> Bool {
        switch challenge.status {
        case .pending: true
        case .processing: challenge.changedAt.map { now >= $0 + patience } ?? true
        case .valid, .invalid: false
        }
    }

    /// An order of the account and the position of a name in it, by the request's path.
    private func named(by request: Request, _ what: String) throws -> (ACMEOrder, Int) {
        let (order, _) = try order(request)
        guard let index = Int(request.parameters["index"]), order.names.indices.contains(index) else {
            throw Self.unknown(what)
        }
        return (order, index)
    }

    private static func value(
        of challenge: ACMEChallenge, _ index: Int, of order: ACMEOrder, _ request: Request
    ) -> JSONValue {
        .compact([
            "type": "http-01", "url": .string(request.url("challenge/\(order.identifier)/\(index)")),
            "status": .string(challenge.status.rawValue), "token": .string(challenge.token),
            "validated": challenge.status == .valid ? challenge.changedAt.map { JSONValue($0) } ?? .null : .null,
            "error": challenge.problem.flatMap { try? JSONReader.value(of: Array($0.utf8)) } ?? .null,
        ])
    }

    private static func awaited(_ challenge: ACMEChallenge?, _ response: HTTPResponse) -> HTTPResponse {
        var response = response
        if challenge?.status == .processing { response.headers.append("Retry-After", "1") }
        return response
    }

    /// Has a challenge proved, and stores the result.
    private func prove(_ order: ACMEOrder, _ index: Int, _ account: ACMEAccount) throws {
        let (name, token) = (order.names[index], order.challenges[index].token)
        let authorization = "\(token).\(Base64URL.encode(account.thumbprint))"
        let isTaken = prover.submit(of: account.identifier) {
            let (problem, detail): (ACMEProblem?, String?) =
                switch prover.prove(name, token: token, keyAuthorization: authorization) {
                case .success(let address): (nil, "\(name) by http-01 at \(address), account \(account.identifier)")
                case .failure(let problem): (problem, nil)
                }
            metrics.count("pki_acme_challenges_total", "outcome=\"\(problem == nil ? "valid" : "invalid")\"")
            do {
                _ = try inventory.changeChallenge(index, of: order.identifier, detail: detail, now: now()) {
                    challenge in
                    challenge.status = problem == nil ? .valid : .invalid
                    (challenge.changedAt, challenge.problem) = (now(), problem?.value.text)
                }
            } catch {
                log.report("ACME: \(ACMEProblem(error).fault ?? "the result of a challenge cannot be stored")")
            }
        }
        guard isTaken else { throw ACMEProblem(.rateLimited, "too many challenges wait for their proof") }
    }
}
