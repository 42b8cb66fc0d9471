// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct PendingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pending",
        _superCommandName: "pki",
        abstract: "List the requests to pki serve-ca that wait for approval.",
        discussion: """
            They come from tokens made with --approve. Compare the fingerprint of the key with what the host shows, then approve \
            or deny.

            For example:

              pki pending
              pki approve 3
            """
    )

    @OptionGroup var directory: InventoryOptions

    @OptionGroup var format: FormatOption

    func run() throws {
        let waiting = try directory.readInventory(now: .now).pendingRequests()
        if waiting.isEmpty, format.value == .text { return Console.standard.note("no request waits") }
        try Console.standard.print(PendingReport(requests: waiting), as: format.value)
    }
}

private struct PendingReport: Report {
    var requests: [PendingRequest]

    /// What the certificate would be for, from the request itself.
    private static func asked(_ request: PendingRequest) -> (subject: String, names: [String], key: String) {
        guard let parsed = try? CertificateRequest(derEncoded: request.derEncoded, name: "the request") else {
            return ("", [], "")
        }
        return (
            "\(parsed.subject)", parsed.subjectAlternativeNames.map(\.description),
            hexadecimal(parsed.publicKey.digest)
        )
    }

    var text: String {
        requests.map { request in
            let asked = Self.asked(request)
            return labelledLines([
                ("request", "\(request.identifier)"), ("name", request.name), ("subject", asked.subject),
                ("names", asked.names.isEmpty ? nil : asked.names.joined(separator: ", ")),
                ("key SHA-256", asked.key), ("from", request.peer), ("by", request.proof),
                ("since", CivilTime(request.askedAt).extended),
            ])
        }.joined(separator: "\n\n")
    }

    func encode(to encoder: any Encoder) throws {
        let rows = requests.map { request in
            let asked = Self.asked(request)
            return [
                "request": request.identifier, "name": request.name, "subject": asked.subject, "names": asked.names,
                "keySHA256": asked.key, "from": request.peer, "by": request.proof, "askedAt": request.askedAt,
            ] as JSONMembers
        }
        try rows.encode(to: encoder)
    }
}

struct ApproveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve",
        _superCommandName: "pki",
        abstract: "Approve requests that wait; the clients get their certificates when they ask again.",
        discussion: """
            For example:

              pki approve 3 4
            """
    )

    @OptionGroup var decision: DecisionOptions

    func run() throws { try decision.decide(.approved, "approved") }
}

struct DenyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deny",
        _superCommandName: "pki",
        abstract: "Deny requests that wait.",
        discussion: """
            For example:

              pki deny 5
            """
    )

    @OptionGroup var decision: DecisionOptions

    func run() throws { try decision.decide(.denied, "denied") }
}

struct DecisionOptions: ParsableArguments {
    @Argument(help: .value("request", "Numbers, as pki pending shows them."))
    var requests: [Int64]

    @OptionGroup var directory: InventoryOptions

    @OptionGroup var quiet: QuietOption

    func decide(_ decision: PendingRequest.Decision, _ word: String) throws {
        let inventory = try directory.inventory()
        let waiting = Set(try inventory.pendingRequests().map(\.identifier))
        for number in requests where !waiting.contains(number) {
            throw InputError(
                message: "no request \(number) waits", hint: "list them: pki pending\(directory.argument)")
        }
        for number in requests {
            guard let request = try inventory.decide(number, decision, now: .now) else { continue }
            Console.standard.note("\(word) \(request.name), asked for by \(request.peer)")
        }
    }
}
