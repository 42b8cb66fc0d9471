// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Lab
import RolesAnywhere
import SystemSupport

struct LabLogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        _superCommandName: "pki",
        abstract: "Print the decisions of a running lab with every check, and hints for denied requests.",
        discussion: """
            Asks the lab at PKI_LAB_ENDPOINT, or at its default port. The lab keeps the last 200 decisions. With --format json \
            each decision is an object on a line of its own.

            For example:

              pki lab log
              pki lab log --refused
              pki lab log --follow --format json
            """
    )

    @OptionGroup var lab: RunningLabOptions

    @Flag(name: .shortAndLong, help: "Follow new decisions, until the lab stops or Ctrl-C.")
    var follow = false

    @Flag(help: "Only denied requests.")
    var refused = false

    @OptionGroup var format: FormatOption

    func run() throws {
        let connection = try LabConnection(lab)
        var last = 0
        var isEmpty = true
        var wasReached = false
        repeat {
            let page: LabLogPage
            do {
                page = try connection.read("/lab/log", [HTTPURL.Parameter("after", "\(last)")])
            } catch  where wasReached {
                Console.standard.note("the lab has stopped")
                return
            }
            wasReached = true
            // The lab was restarted and counts from one again.
            if let newest = page.newest, newest < last {
                last = 0
                continue
            }
            for trace in page.traces where trace.number > last {
                last = trace.number
                guard !refused || trace.failure != nil else { continue }
                try show(trace)
                isEmpty = false
            }
            if follow { ThisProcess.sleep(for: .milliseconds(250)) }
        } while follow
        if isEmpty {
            Console.standard.note(refused && last > 0 ? "no request was denied" : "the lab has had no request yet")
        }
    }

    private func show(_ trace: LabTrace) throws {
        switch format.value {
        case .json: try Console.standard.write(trace.json + "\n")
        case .text: try Console.standard.write(trace.text(width: Self.width) + "\n")
        }
    }

    /// The columns of the terminal, or enough for long lines without one.
    private static var width: Int {
        let width = Terminal.windowWidth(of: StandardStream.output) ?? 0
        return width >= 40 ? width : 160
    }
}

/// Which running lab is asked.
struct RunningLabOptions: ParsableArguments {
    @Option(help: .value("url", "The lab's address. (default: PKI_LAB_ENDPOINT, else http://127.0.0.1:9912)"))
    var endpoint: String?

    @Option(
        help: .value("file", "The CA certificate of a lab with --tls. (default: PKI_LAB_CA_BUNDLE)"),
        completion: .file())
    var caBundle: String?
}

/// A lab that runs, in this process or another.
struct LabConnection {
    let base: HTTPURL
    /// The CA certificate of a lab with TLS.
    let caBundle: String?
    private let transport: CurlTransport

    init(_ options: RunningLabOptions, timeout: Duration = .seconds(20)) throws {
        let environment = ProcessInfo.processInfo.environment
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        base = try HTTPURL(options.endpoint ?? value("PKI_LAB_ENDPOINT") ?? "http://127.0.0.1:9912")
        caBundle = options.caBundle ?? value("PKI_LAB_CA_BUNDLE")
        transport = CurlTransport(
            trust: try caBundle.map { try .certificates(at: $0) } ?? .environment(environment),
            connectTimeout: .seconds(5), timeout: timeout, userAgent: "pki/\(Version.text)")
    }

    /// Reads what the lab says of itself.
    func read<Value: Decodable>(_ path: String, _ query: [HTTPURL.Parameter] = []) throws -> Value {
        let address = base.appending(path: path, query: query)
        let response = try transport.send(HTTPRequest(method: "GET", url: address))
        guard response.status == 200, let value = try? JSONDecoder().decode(Value.self, from: Data(response.body))
        else {
            throw InputError(
                message: "\(address) is not a lab of this version: it answered with status \(response.status)",
                hint: "give the lab's address with --endpoint; pki lab prints it")
        }
        return value
    }
}

struct LabEnvCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "env",
        _superCommandName: "pki",
        abstract: "Print the variables with which programs use a running lab, for a shell.",
        discussion: """
            Asks the lab at PKI_LAB_ENDPOINT, or at its default port. The administrator's secret is printed only if it is \
            the one from AWS's documentation.

            For example:

              eval "$(pki lab env)"
              eval "$(pki lab env --endpoint http://127.0.0.1:8080)"
            """
    )

    @OptionGroup var lab: RunningLabOptions

    func run() throws {
        let connection = try LabConnection(lab)
        let state: LabState = try connection.read("/lab/state")
        try Console.standard.write(exactly: state.variables(at: "\(connection.base)", connection.caBundle).exports)
    }
}

/// What a lab says of itself that its users need.
struct LabState: Decodable {
    struct Anchor: Decodable { var trustAnchorArn: String }
    struct Profile: Decodable { var profileArn: String }
    struct Role: Decodable { var roleArn: String }

    var region: String
    var account: String
    var accessKeyId: String
    var trustAnchors: [Anchor]
    var profiles: [Profile]
    var roles: [Role]

    func variables(at endpoint: String, _ caBundle: String?) -> LabVariables {
        let documented = Administrator.documented
        return LabVariables(
            endpoint: endpoint, region: region, account: account, accessKeyIdentifier: accessKeyId,
            secret: accessKeyId == documented.accessKeyIdentifier ? documented.secretAccessKey : nil,
            trustAnchor: trustAnchors.first?.trustAnchorArn, profile: profiles.first?.profileArn,
            role: roles.first?.roleArn, caBundle: caBundle)
    }
}

/// The variables with which programs find a lab instead of AWS.
struct LabVariables {
    var endpoint: String
    var region: String
    var account: String
    var accessKeyIdentifier: String
    /// `nil` if the user has it already.
    var secret: String?
    var trustAnchor: String?
    var profile: String?
    var role: String?
    var caBundle: String?

    /// Lines for a POSIX shell.
    var exports: String {
        let variables = [
            ("PKI_LAB_ENDPOINT", endpoint), ("AWS_ENDPOINT_URL_ROLESANYWHERE", endpoint),
            ("AWS_ENDPOINT_URL_IAM", endpoint), ("AWS_ENDPOINT_URL_STS", endpoint), ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region), ("AWS_ACCOUNT_ID", account), ("AWS_ACCESS_KEY_ID", accessKeyIdentifier),
            ("AWS_SECRET_ACCESS_KEY", secret), ("PKI_LAB_TRUST_ANCHOR_ARN", trustAnchor),
            ("PKI_LAB_PROFILE_ARN", profile), ("PKI_LAB_ROLE_ARN", role), ("PKI_LAB_CA_BUNDLE", caBundle),
            ("AWS_CA_BUNDLE", caBundle),
        ]
        return variables.map { name, value in value.map { "export \(name)=\(Quoting.shell($0))\n" } ?? "" }.joined()
    }
}

private struct LabLogPage: Decodable {
    var traces: [LabTrace]
    /// The number of the lab's newest trace.
    var newest: Int?
}

/// A decision of the lab, as its log endpoint returns it.
private struct LabTrace: Codable {
    struct Check: Codable {
        var check: String
        var title: String
        var passed: Bool
        var detail: String
        var hint: String?
    }

    struct CanonicalRequest: Codable {
        var lab: String
        var client: String?
        var difference: String?
    }

    var number: Int
    var requestId: String
    var date: String
    var remoteAddress: String
    var service: String
    var operation: String
    var status: Int
    var code: String?
    var message: String?
    var subject: String?
    var caller: String?
    var assumedRole: String?
    var checks: [Check]
    var canonicalRequest: CanonicalRequest?

    var failure: Check? { checks.last.flatMap { $0.passed ? nil : $0 } }

    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// The outcome, every check, and for a bad signature both canonical requests side by side.
    func text(width: Int) -> String {
        var lines = ["#\(number) \(date) \(status) \(operation) from \(subject ?? caller ?? remoteAddress)"]
        for check in checks {
            lines.append("  \(check.passed ? "ok    " : "FAILED")  \(check.title): \(check.detail)")
            if let hint = check.hint { lines.append("          hint: \(hint)") }
        }
        if let code { lines.append("  answered \(code): \(message ?? "")") }
        if let assumedRole { lines.append("  session \(assumedRole)") }
        if let canonicalRequest { lines += canonicalRequest.lines(width: width) }
        // Names from certificates and requests must not add lines.
        return lines.map { printable($0, limit: .max) }.joined(separator: "\n") + "\n"
    }
}

extension LabTrace.CanonicalRequest {
    /// Both requests side by side with differences marked, or only the lab's if the client's is not known.
    fileprivate func lines(width: Int) -> [String] {
        guard let client else {
            return ["  canonical request that the lab computed:"]
                + lab.split(separator: "\n", omittingEmptySubsequences: false).map { "  | \($0)" }
        }
        let column = max(16, (width - 7) / 2)
        let left = lab.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let right = client.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var lines = [
            "  canonical request: \(difference ?? "")",
            "    \(Self.cell("the lab's", column)) | the client's",
        ]
        for index in 0..<max(left.count, right.count) {
            let (one, other) = (index < left.count ? left[index] : "", index < right.count ? right[index] : "")
            let pieces = max(1, (max(one.count, other.count) + column - 1) / column)
            for piece in 0..<pieces {
                let mark = one == other ? " " : "!"
                let cells = [one, other].map { String($0.dropFirst(piece * column).prefix(column)) }
                lines.append("  \(mark) \(Self.cell(cells[0], column)) | \(cells[1])")
            }
        }
        return lines
    }

    private static func cell(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
