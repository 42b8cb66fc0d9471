// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Enrolment
import FoundationEssentials
import HTTPServer
import SystemSupport

/// Orders and their authorisations (RFC 8555 §7.4, §7.5).
extension ACMEService {
    /// How long an order can be finalised, in seconds.
    private static let orderLifetime: Double = 86_400
    /// The most orders of an account that wait for their certificate.
    private static let openOrders = 300
    /// The most names of an order.
    private static let mostNames = 100

    func newOrder(_ request: Request) throws -> HTTPResponse {
        let account = try request.signer()
        let asked = try request.object()
        for name in ["notBefore", "notAfter", "profile"] where asked[name] != nil {
            throw ACMEProblem(.malformed, "\"\(name)\" cannot be chosen: it follows from the join token")
        }
        let names = try Self.names(asked)
        let refused = try desk.rules.refusedNames(names, of: account)
        guard refused.isEmpty else {
            var problem = ACMEProblem(
                .rejectedIdentifier,
                "the account's token does not allow \(refused.map(\.description).joined(separator: ", "))")
            if refused.count > 1 { problem.names = refused }
            throw problem
        }
        let challenge = try desk.rules.challenge(of: account)
        if let challenge, options.value.challengeNetworks.isEmpty {
            log.report("ACME: a token asks for \(challenge.rawValue); name the hosts' networks with --http-01-network")
            throw ACMEProblem(.unauthorized, "the token asks for \(challenge.rawValue), which is not set up here")
        }
        let replaces = try asked["replaces"].map { try replaced($0, names, account) }
        var order = ACMEOrder(
            identifier: Self.newIdentifier(), account: account.identifier, names: names,
            expiresAt: now() + Self.orderLifetime, replaces: replaces)
        if challenge != nil {
            order.challenges = names.map { _ in ACMEChallenge(token: Base64URL.encode(Self.randomOctets(24))) }
        }
        guard try inventory.add(order, limit: Self.openOrders, now: now()) else {
            throw ACMEProblem(.rateLimited, "the account has \(Self.openOrders) open orders")
        }
        return response(for: order, request, status: .created)
    }

    /// Different names in lower case.
    private static func names(_ asked: JSONValue) throws -> [GeneralName] {
        guard let identifiers = asked["identifiers"]?.array, (1...mostNames).contains(identifiers.count) else {
            throw ACMEProblem(.malformed, "\"identifiers\" is not an array of 1 to \(mostNames) names")
        }
        var names: [GeneralName] = []
        for identifier in identifiers {
            guard let kind = identifier["type"]?.string, let value = identifier["value"]?.string else {
                throw ACMEProblem(.malformed, "an identifier has no type or no value")
            }
            let name: GeneralName
            do {
                switch kind {
                case "dns":
                    name = try .dnsName(value.lowercased())
                    try name.checkPunycode()
                case "ip": name = try .ipAddress(value)
                default:
                    throw ACMEProblem(
                        .unsupportedIdentifier,
                        "identifiers are of the type dns or ip, not \(printable(kind, limit: 40))")
                }
            } catch let error as CertificateError {
                throw ACMEProblem(.malformed, error.message)
            }
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// Checks the certificate that an order replaces (RFC 9773 §5). Returns its identifier.
    private func replaced(_ value: JSONValue, _ names: [GeneralName], _ account: ACMEAccount) throws -> String {
        guard let identifier = value.string, let entry = try entry(identifier),
            try inventory.isEnrolled(entry, by: account)
        else { throw ACMEProblem(.malformed, "\"replaces\" is not a certificate of this account") }
        let certificate = try inventory.certificate(of: entry)
        let former = Self.names(of: certificate.subject, certificate.subjectAlternativeNames)
        guard names.contains(where: former.contains) else {
            throw ACMEProblem(.malformed, "\"replaces\" is a certificate without any of the order's names")
        }
        guard entry.place == .current else {
            throw ACMEProblem(.alreadyReplaced, "the certificate was replaced already")
        }
        return identifier
    }

    /// The host names in lower case and addresses of a subject and alternative names.
    private static func names(of subject: DistinguishedName, _ alternativeNames: [GeneralName]) -> Set<GeneralName> {
        let subjects = subject.commonNames.map { text in
            (try? GeneralName.ipAddress(text)) ?? .dns(text.lowercased())
        }
        return Set(
            subjects
                + alternativeNames.map { name in if case .dns(let text) = name { .dns(text.lowercased()) } else { name }
                })
    }

    func order(_ request: Request) throws -> (ACMEOrder, ACMEAccount) {
        let account = try request.signer()
        guard let order = try inventory.order(request.parameters["id"]), order.account == account.identifier else {
            throw Self.unknown("order")
        }
        return (order, account)
    }

    /// Reads an order. One whose request waited is decided about again.
    func readOrder(_ request: Request) throws -> Step {
        try request.refusePayload()
        let (order, account) = try order(request)
        guard order.status(at: now()) == .processing, let encoded = order.request else {
            return .respond(response(for: order, request))
        }
        return .submit(order, account, try CertificateRequest(derEncoded: encoded, name: "the request"))
    }

    func finalize(_ request: Request) throws -> Step {
        let (order, account) = try order(request)
        let status = order.status(at: now())
        guard status == .ready else { throw ACMEProblem(.orderNotReady, "the order is \(status.rawValue)") }
        guard let encoded = try request.object()["csr"]?.string.flatMap({ Base64URL.decode($0) }),
            encoded.count <= 16_384
        else { throw ACMEProblem(.malformed, "\"csr\" is not base64url of at most 16 KiB") }
        let certificateRequest: CertificateRequest
        do { certificateRequest = try CertificateRequest(derEncoded: encoded, name: "the request") } catch {
            throw ACMEProblem(.badCSR, "no certificate request can be read: \(error.message)")
        }
        let thumbprint = JSONWebKey.thumbprint(of: certificateRequest.publicKey)
        guard try thumbprint.flatMap(inventory.account(thumbprint:)) == nil else {
            throw ACMEProblem(.badCSR, "the request has the key of an account; a certificate needs one of its own")
        }
        let asked = Self.names(of: certificateRequest.subject, certificateRequest.subjectAlternativeNames)
        guard asked == Set(order.names) else {
            throw ACMEProblem(.badCSR, "the names of the request are not exactly those of the order")
        }
        return .submit(order, account, certificateRequest)
    }

    /// Stores what became of an order, where the transaction that issued has not, and responds.
    func conclude(
        _ order: ACMEOrder, _ certificateRequest: CertificateRequest,
        _ result: Result<EnrolmentDesk.Outcome, any Error>,
        _ request: Request
    ) throws -> HTTPResponse {
        var order = order
        switch result {
        case .success(.issued): break
        case .success(.waiting):
            if order.request == nil {
                order.request = certificateRequest.derEncoded
                try inventory.update(order, now: now())
            }
        case .failure(let error):
            // A client that asks for the first time may correct its request.
            guard order.request != nil, error is EnrolmentRefusal else { throw error }
            (order.request, order.problem) = (nil, ACMEProblem(error).value.text)
            try inventory.update(order, now: now())
        }
        return response(for: try inventory.order(order.identifier) ?? order, request)
    }

    private func response(for order: ACMEOrder, _ request: Request, status: HTTPStatus = .ok) -> HTTPResponse {
        let state = order.status(at: now())
        let url = request.url("order/\(order.identifier)")
        let authorizations = order.names.indices.map {
            JSONValue.string(request.url("authorization/\(order.identifier)/\($0)"))
        }
        var response = Self.json(
            .compact([
                "status": .string(state.rawValue), "expires": JSONValue(order.expiresAt),
                "identifiers": .array(order.names.map(\.identifier)), "authorizations": .array(authorizations),
                "finalize": .string("\(url)/finalize"), "replaces": JSONValue(order.replaces),
                "certificate": state == .valid ? .string(request.url("certificate/\(order.identifier)")) : .null,
                "error": order.problem.flatMap { try? JSONReader.value(of: Array($0.utf8)) } ?? .null,
            ]), status: status, location: url)
        if state == .processing { response.headers.append("Retry-After", "\(options.value.retryAfter)") }
        return response
    }

    /// The newest orders of the account.
    func orders(_ request: Request) throws -> HTTPResponse {
        try request.refusePayload()
        let account = try request.signer()
        guard request.parameters["id"] == account.identifier else { throw Self.unknown("account") }
        let orders = try inventory.orders(of: account, limit: 100)
        return Self.json(["orders": JSONValue(orders.map { request.url("order/\($0.identifier)") })])
    }
}
