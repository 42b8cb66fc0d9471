// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import HTTPServer
import SystemSupport
import Testing

@testable import Lab

/// A lab of one's own, asked in the query protocol with any credentials and at any time.
struct QueryDesk {
    static let moment = Date(timeIntervalSince1970: 1_767_225_600)

    let environment: LabEnvironment
    let store: ResourceStore
    let service: QueryService

    init() throws {
        environment = LabEnvironment(
            region: "us-east-1",
            account: "123456789012",
            now: { Self.moment },
            randomBytes: { count in (0..<count).map { _ in .random(in: 0...255) } }
        )
        store = try ResourceStore(environment: environment)
        let authentication = CallerAuthentication(environment: environment, administrator: .documented, store: store)
        service = QueryService(
            environment: environment, store: store, authentication: authentication, faults: LabFaults())
    }

    /// Puts a role into the account.
    @discardableResult
    func role(_ name: String, trusting principal: String, _ change: (inout Role) -> Void = { _ in }) throws -> Role {
        var role = try Role(
            name: name,
            trustPolicy: """
                {"Version":"2012-10-17","Statement":[{"Sid":"Trust","Effect":"Allow","Principal":{"AWS":"\(principal)"},\
                "Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}
                """,
            in: environment
        )
        change(&role)
        try store.update { $0.roles[name] = role }
        return role
    }

    /// A session of a role, as one was given out.
    func session(of role: Role, _ change: (inout SessionClaims) -> Void = { _ in }) -> AccessKeys {
        var claims = SessionClaims(
            roleARN: role.arn.description, roleName: role.name, roleIdentifier: role.identifier, sessionName: "job",
            issuedAt: Int(Self.moment.timeIntervalSince1970), expiration: Int(Self.moment.timeIntervalSince1970) + 900,
            sourceIdentity: nil, tags: [:])
        change(&claims)
        let credentials = SessionCredentials(claims, key: store.sessionKey, in: environment)
        return AccessKeys(
            identifier: credentials.accessKeyIdentifier, secret: credentials.secretAccessKey,
            token: credentials.sessionToken)
    }

    /// Asks.
    ///
    /// - Returns: The body of the answer or the refusal, and the trace.
    func ask(
        _ action: String, _ parameters: [String: String] = [:], as keys: AccessKeys = AccessKeys(),
        service name: String = "sts",
        after seconds: Double = 0
    ) throws -> (answer: String, refusal: ServiceRefusal?, trace: Trace) {
        let now = Self.moment.addingTimeInterval(seconds)
        let request = try request(action, parameters, keys, name, at: now)
        var trace = Trace(
            requestIdentifier: "r", date: now, remoteAddress: request.remoteAddress, service: name, operation: action)
        do {
            let response = try service.answer(service.action(of: request), request, &trace)
            return (String(decoding: response.bodyBytes ?? [], as: UTF8.self), nil, trace)
        } catch let refusal as ServiceRefusal {
            return ("", refusal, trace)
        }
    }

    private func request(
        _ action: String, _ parameters: [String: String], _ keys: AccessKeys, _ name: String, at now: Date
    ) throws -> HTTPRequest {
        let version = name == "sts" ? "2011-06-15" : "2010-05-08"
        let form = (["Action": action, "Version": version].merging(parameters) { $1 })
            .map { "\(PercentEncoding.encode($0.key))=\(PercentEncoding.encode($0.value))" }.joined(separator: "&")
        return try keys.signed(.post, "/", Array(form.utf8), for: name, at: now)
    }
}

@Suite struct QueryServiceTests {
    @Test func `a session says who it is until it ends`() throws {
        let desk = try QueryDesk()
        let keys = desk.session(of: try desk.role("web", trusting: "*"))
        let answer = try desk.ask("GetCallerIdentity", as: keys, after: 899)
        #expect(answer.answer.contains("<Arn>arn:aws:sts::123456789012:assumed-role/web/job</Arn>"))
        let late = try desk.ask("GetCallerIdentity", as: keys, after: 900)
        #expect(late.refusal?.code == .init("ExpiredToken", .forbidden))
        #expect(late.refusal?.message == "The security token included in the request is expired")
        #expect(late.trace.failure?.check == .credentials)
    }

    @Test func `a key with another secret is refused`() throws {
        let desk = try QueryDesk()
        var keys = AccessKeys()
        keys.secret += "x"
        #expect(try desk.ask("GetCallerIdentity", as: keys).refusal?.code.name == "SignatureDoesNotMatch")
        keys.identifier = "AKIANOBODYNOBODYNOBO"
        #expect(try desk.ask("GetCallerIdentity", as: keys).refusal?.code.name == "InvalidClientTokenId")
    }

    @Test func `permission in IAM is asked for the role's ARN`() throws {
        let desk = try QueryDesk()
        let policy = try PolicyDocument(
            """
            {"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetRole",\
            "Resource":"arn:aws:iam::123456789012:role/web"}}
            """,
            kind: .identity
        )
        let keys = desk.session(of: try desk.role("web", trusting: "*") { $0.inlinePolicies = ["own": policy] })
        try desk.role("db", trusting: "*")
        #expect(try desk.ask("GetRole", ["RoleName": "web"], as: keys, service: "iam").refusal == nil)
        let other = try desk.ask("GetRole", ["RoleName": "db"], as: keys, service: "iam")
        #expect(other.refusal?.code.name == "AccessDenied")
        #expect(other.trace.failure?.check == .permission)
    }

    @Test func `a change that is refused changes nothing`() throws {
        let desk = try QueryDesk()
        let arns = (0..<10).map { "arn:aws:iam::aws:policy/P\($0)" }
        try desk.role("web", trusting: "*") { $0.attachedPolicyARNs = arns }
        let parameters = ["RoleName": "web", "PolicyArn": "arn:aws:iam::aws:policy/P10"]
        let eleventh = try desk.ask("AttachRolePolicy", parameters, service: "iam")
        #expect(eleventh.refusal?.code == .init("LimitExceeded", .conflict))
        #expect(desk.store.snapshot.roles["web"]?.attachedPolicyARNs == arns)
    }

    @Test func `a role that a profile uses can be deleted`() throws {
        let desk = try QueryDesk()
        let role = try desk.role("web", trusting: "*")
        let profile = Profile(
            identifier: "11111111-1111-4111-8111-111111111111", name: "p", roleARNs: [role.arn.description],
            in: desk.environment)
        try desk.store.update { $0.profiles[profile.identifier] = profile }
        #expect(try desk.ask("DeleteRole", ["RoleName": "web"], service: "iam").refusal == nil)
        #expect(desk.store.snapshot.roles["web"] == nil)
        #expect(desk.store.snapshot.profiles.count == 1)
    }
}
