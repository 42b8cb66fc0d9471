// SPDX-License-Identifier: Apache-2.0

import SystemSupport
@testable import Certificates
@testable import HTTPServer
@testable import Lab

extension FuzzTarget {
    static let httpRequest = FuzzTarget("http-request") { bytes in
        // In one piece, and byte by byte: the same requests, and then the same refusal.
        let whole = requests(in: [bytes])
        if bytes.count < 512 { precondition(requests(in: bytes.map { [$0] }) == whole) }
    }

    static let labRequest = FuzzTarget("lab-request") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        var headers = HTTPHeaders()
        headers.append("Authorization", text)
        headers.append("Host", text)
        let query = (try? QueryParameter.parameters(in: text[...])) ?? []
        _ = QueryForm(bytes).tags()
        _ = try? SessionParameters(query: query, body: bytes)
        guard let authorization = try? AuthorizationHeader(headers, in: .rest) else { return }
        let request = HTTPRequest(method: .post, target: "/sessions", headers: headers, body: bytes, arrival: .now)
        let canonical = CanonicalRequest(request, query: query, signedHeaders: authorization.signedHeaders)
        _ = canonical.stringToSign(authorization, date: authorization.date)
    }

    static let policy = FuzzTarget("policy") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        for kind in [PolicyDocument.Kind.trust, .identity] { _ = try? PolicyDocument(text, kind: kind) }
        if let value = try? JSONReader.value(of: bytes) {
            precondition((try? JSONReader.value(of: value.bytes)) == value)
        }
        let pattern = PolicyPattern(wildcards: text)
        _ = pattern.matches(text)
        _ = pattern.matchesARN("arn:aws:iam::111122223333:role/a*b")
    }

    static let labSeed = FuzzTarget("lab-seed", seeds: ["templates"]) { bytes in
        guard let members = try? InputMembers(reading: bytes) else { return }
        try? members.refuseOthers(than: ["trustAnchors", "roles", "profiles"])
        for name in ["trustAnchors", "roles", "profiles"] { _ = try? members.objects(name, 0...1000) }
        _ = try? CertificateBundle(reading: String(decoding: bytes, as: UTF8.self))
    }
}

/// The requests in bytes that arrive in pieces, and how it ends.
private func requests(in pieces: [[UInt8]]) -> [String] {
    var parser = RequestParser(limits: HTTPLimits())
    var found: [String] = []
    do {
        for piece in pieces {
            parser.append(piece)
            reading: while true {
                switch try parser.next() {
                case .incomplete, .expectsContinue: break reading
                case .complete(let request):
                    found.append("\(request.method) \(request.target) \(request.body) \(parser.keepsAlive)")
                }
            }
        }
    } catch {
        // What is wrong first depends on how much has arrived.
        found.append("refused")
    }
    return found
}
