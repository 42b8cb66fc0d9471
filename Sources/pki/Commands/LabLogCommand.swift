// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import Glibc
import RolesAnywhere

/// `pki lab log`
struct LabLogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Print what a running lab decided, check by check, and what would mend a refusal.",
        discussion: """
            Asks the lab that the environment names, else the one at its usual port. The lab keeps the last 200 decisions.

            For example:

              pki lab log
              pki lab log --refused
              pki lab log --follow --format json
            """
    )

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The lab's address. (default: PKI_LAB_ENDPOINT, else http://127.0.0.1:9912)",
            valueName: "url"
        )
    )
    var endpoint: String?

    @Option(
        name: .long,
        help: ArgumentHelp("The CA certificate of a lab with --tls. (default: PKI_LAB_CA_BUNDLE)", valueName: "file")
    )
    var caBundle: String?

    @Flag(name: .shortAndLong, help: "Go on with what comes, until the lab ends or Ctrl-C.")
    var follow = false

    @Flag(name: .long, help: "Print refusals only.")
    var refused = false

    @Option(
        name: .long,
        help: ArgumentHelp("text, or json: one object a line, with every check.", valueName: "form")
    )
    var format = ReportFormat.text

    func run() throws {
        let environment = ProcessInfo.processInfo.environment
        let origin =
            endpoint ?? environment["PKI_LAB_ENDPOINT"].flatMap { $0.isEmpty ? nil : $0 } ?? "http://127.0.0.1:9912"
        let bundle = caBundle ?? environment["PKI_LAB_CA_BUNDLE"].flatMap { $0.isEmpty ? nil : $0 }
        let transport = CurlTransport(
            trust: try bundle.map { try .certificates(at: $0) } ?? .environment(environment),
            connectTimeout: .seconds(5),
            timeout: .seconds(20),
            userAgent: "pki/\(Version.text)"
        )
        let base = try HTTPURL(origin)
        var last = 0
        var wasReached = false
        repeat {
            let address = base.appending(path: "/lab/log", query: [HTTPURL.Parameter("after", "\(last)")])
            let page: LabLogPage
            do {
                page = try Self.page(of: transport, at: address)
            } catch  where wasReached {
                // Nothing went wrong: there is nobody left to follow.
                Console.standard.note("the lab has ended")
                return
            }
            wasReached = true
            // The lab was started anew and counts from one again.
            if let newest = page.newest, newest < last {
                last = 0
                continue
            }
            for trace in page.traces where trace.number > last {
                last = trace.number
                if !refused || trace.failure != nil { try show(trace) }
            }
            if follow { Self.pause() }
        } while follow
    }

    private static func page(of transport: CurlTransport, at address: HTTPURL) throws -> LabLogPage {
        let response = try transport.send(HTTPRequest(method: "GET", url: address))
        guard response.status == 200,
            let page = try? JSONDecoder().decode(LabLogPage.self, from: Data(response.body))
        else {
            throw InputError(
                message: "what answers at \(address) with status \(response.status) is no lab of this version",
                hint: "name the lab's address with --endpoint: it stands in what pki lab printed"
            )
        }
        return page
    }

    private func show(_ trace: LabTrace) throws {
        switch format {
        case .json: try Console.standard.write(trace.json + "\n")
        case .text: try Console.standard.write(trace.text(width: Self.width) + "\n")
        }
    }

    /// How many columns the terminal has; enough for a long line where there is none.
    private static var width: Int {
        var size = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 40 else { return 160 }
        return Int(size.ws_col)
    }

    private static func pause() {
        var time = timespec(tv_sec: 0, tv_nsec: 250_000_000)
        _ = unsafe nanosleep(&time, nil)
    }
}
