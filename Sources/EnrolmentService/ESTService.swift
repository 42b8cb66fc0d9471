// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Dispatch
import Enrolment
import FoundationEssentials
import HTTPServer
import SystemSupport

/// Enrolment over Secure Transport (RFC 7030, 8951): the CA's certificates, and certificates for requests.
///
/// | path below `/.well-known/est`, with or without a label | |
/// |---|---|
/// | `GET /cacerts` | the root and the CAs below it |
/// | `GET /csrattrs` | 204: a request needs nothing in particular |
/// | `POST /simpleenroll` | a certificate for a request, by a token or by a certificate |
/// | `POST /simplereenroll` | the same by the certificate that is replaced |
///
/// A label is the name of the issuer; of a token's certificates also their profile.
struct ESTService: Sendable {
    let desk: EnrolmentDesk
    let reader: ProofReader
    let limits: ServiceLimits
    let metrics: ServiceMetrics
    let options: CurrentOptions
    let log: ServiceLog
    private let queue = DispatchQueue(label: "est", attributes: .concurrent)

    init(
        desk: EnrolmentDesk, reader: ProofReader, limits: ServiceLimits, metrics: ServiceMetrics,
        options: CurrentOptions, log: ServiceLog
    ) {
        self.desk = desk
        self.reader = reader
        self.limits = limits
        self.metrics = metrics
        self.options = options
        self.log = log
    }

    func addRoutes(to router: inout HTTPRouter) throws {
        for prefix in ["/.well-known/est", "/.well-known/est/{label}"] {
            try router.on(.get, "\(prefix)/cacerts") { _, parameters in self.authorities(parameters["label"]) }
            try router.on(.get, "\(prefix)/csrattrs") { _, parameters in
                .now(self.known(parameters["label"]) ? HTTPResponse(status: .noContent) : Self.unknownLabel)
            }
            for path in ["simpleenroll", "simplereenroll"] {
                try router.on(.post, "\(prefix)/\(path)") { request, parameters in
                    self.enrol(request, parameters["label"], renews: path == "simplereenroll")
                }
            }
        }
    }

    private static let unknownLabel = HTTPResponse(status: .notFound, text: "there is no CA or profile of this name\n")

    /// Which names cannot be labels (RFC 7030 §3.2.2).
    private static let operations: Set = [
        "cacerts", "csrattrs", "fullcmc", "serverkeygen", "simpleenroll", "simplereenroll",
    ]

    /// Whether a label is the issuer's name, or that of a profile; none is fine.
    private func known(_ label: String) -> Bool {
        guard !label.isEmpty else { return true }
        return !Self.operations.contains(label)
            && (label == desk.authority.name || BuiltInTemplate(rawValue: label) != nil)
    }

    private func authorities(_ label: String) -> HTTPAnswer {
        guard known(label) else { return .now(Self.unknownLabel) }
        let certificates = desk.authority.chain + desk.authority.roots.filter { !desk.authority.chain.contains($0) }
        return .now(Self.response(with: certificates, isReply: false))
    }

    /// Certificates in PKCS#7, in base64 on one line: some clients refuse line ends, all take none.
    private static func response(with certificates: [Certificate], isReply: Bool) -> HTTPResponse {
        HTTPResponse(
            status: .ok,
            headers: [
                "Content-Type": isReply ? "application/pkcs7-mime; smime-type=certs-only" : "application/pkcs7-mime",
                "Content-Transfer-Encoding": "base64",
            ], body: Array(Data(CertificateBundle.encode(certificates)).base64EncodedString().utf8))
    }

    private func enrol(_ request: HTTPRequest, _ label: String, renews: Bool) -> HTTPAnswer {
        guard known(label) else { return .now(Self.unknownLabel) }
        if let busy = limits.refusal(of: request) { return .now(busy) }
        return .later { responder in
            // A request's signature is verified, which an event loop must not wait for.
            queue.async {
                let start = ContinuousClock.now
                let finish: @Sendable (Result<EnrolmentDesk.Outcome, any Error>) -> Void = { result in
                    self.metrics.count(protocol: "est", result, since: start)
                    responder.answer(self.response(to: request, result))
                }
                do {
                    let proof = try reader.proof(of: request)
                    if renews, case .token = proof {
                        throw EnrolmentRefusal.certificate("simplereenroll takes the certificate that is replaced")
                    }
                    let asked = try Self.certificateRequest(in: request)
                    desk.submit(
                        EnrolmentRequest(
                            request: asked, proof: proof, peer: "EST from \(ProofReader.address(of: request))",
                            profile: label.isEmpty || label == desk.authority.name ? nil : label), finish)
                } catch {
                    finish(.failure(error))
                }
            }
        }
    }

    /// The request in the body: PKCS#10 in base64, with or without line ends, in PEM or in DER.
    private static func certificateRequest(in request: HTTPRequest) throws -> CertificateRequest {
        let type = request.headers["Content-Type"]?.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        if let type, type != "application/pkcs10" {
            throw EnrolmentRefusal.request("the content type is \(printable(type, limit: 60)), not application/pkcs10")
        }
        guard request.body.count <= 16_384 else { throw EnrolmentRefusal.request("the request has more than 16 KiB") }
        do {
            return try CertificateRequest(reading: request.body, name: "the request")
        } catch {
            throw EnrolmentRefusal.request("no certificate request can be read: \(error.message)")
        }
    }

    private func response(to request: HTTPRequest, _ result: Result<EnrolmentDesk.Outcome, any Error>) -> HTTPResponse {
        switch result {
        case .success(.issued(let issued)): return Self.response(with: [issued.certificate], isReply: true)
        case .success(.waiting):
            var response = HTTPResponse(status: .accepted, text: "the request waits for approval\n")
            response.headers.append("Retry-After", "\(options.value.retryAfter)")
            return response
        case .failure(let error):
            let answer = ServiceError(error)
            log.report(
                error, fault: answer.fault, reason: answer.reason, protocol: "EST",
                from: ProofReader.address(of: request))
            if answer.isWrongProof, let busy = limits.refusalOfFailure(of: request, protocol: "est") { return busy }
            var response = HTTPResponse(status: answer.status, text: answer.reason + "\n")
            if answer.status == .unauthorized {
                response.headers.append("WWW-Authenticate", "Basic realm=\"pki\", charset=\"UTF-8\"")
            }
            if answer.status == .serviceUnavailable { response.headers.append("Retry-After", "30") }
            return response
        }
    }
}
