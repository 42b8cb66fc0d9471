// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery
import FoundationEssentials
import Synchronization
import UnixSignals

struct UpdateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update",
        abstract: "Keep profiles of ~/.aws/credentials fresh, for programs that read only that.",
        discussion: """
            Writes the keys of each profile into its section of ~/.aws/credentials (or of AWS_SHARED_CREDENTIALS_FILE), \
            and new ones before they expire, until SIGTERM or Ctrl-C. The rest of the file is not changed; it is replaced \
            as a whole, under a lock that all pki processes share, with mode 0600; a symbolic link stays one.

            After a failure it retries at intervals of up to a minute, and reports it on standard error. Certificates are \
            read again when their files change, profiles at SIGHUP.

            For example:

              pki update --profile web --profile backup
              pki update --once --profile web     # from cron

            templates/systemd/pki-update@.service runs it as a service. Where a program can use credential_process or the \
            container endpoint, pki configure and pki serve keep secrets out of files.
            """
    )

    @Option(
        help: .value(
            "name",
            """
            A profile that pki configure wrote; repeatable. With --certificate: the section to write. (default: \
            PKI_PROFILE, else without --certificate AWS_PROFILE, else "default")
            """))
    var profile: [String] = []

    @Flag(help: "Write each profile once and exit.")
    var once = false

    @OptionGroup var quiet: QuietOption

    @OptionGroup var access: AccessOptions

    func validate() throws {
        guard profile.count <= 1 || !access.identity.namesCertificate else {
            throw ValidationError("--certificate can be used with one profile only")
        }
    }

    func run() async throws {
        let console = once ? Console.standard : Console.standard.log
        let file = AWSFiles(ProcessInfo.processInfo.environment).credentials
        let group = try RefresherGroup(
            profiles: profile,
            settings: access,
            console: console,
            retries: !once,
            wrapping: { FileTarget(file: file, section: $0).wrapping($1) }
        )
        if once { return try Self.refreshOnce(group) }
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        console.note("keeping \(group.refreshers.map(\.name).joined(separator: ", ")) in \(file.path)")
        await withTaskGroup { tasks in
            tasks.addTask { await group.run() }
            for await signal in signals {
                guard signal == .sighup else { break }
                group.reload()
            }
            tasks.cancelAll()
        }
    }

    /// Refreshes every profile, even after a failure.
    private static func refreshOnce(_ group: RefresherGroup) throws {
        var failure: (any Error)?
        for refresher in group.refreshers {
            do {
                try refresher.refresh()
            } catch {
                // The worst failure is reported last, and its status counts.
                guard let other = failure else {
                    failure = error
                    continue
                }
                let isWorse = ExitStatus.status(for: error) > ExitStatus.status(for: other)
                Console.standard.report(isWorse ? other : error)
                failure = isWorse ? error : other
            }
        }
        if let failure { throw failure }
    }
}

/// A section of the credentials file, which gets each new set of credentials.
final class FileTarget: Sendable {
    private let file: SharedFile
    private let section: String
    /// Credentials that could not be written yet.
    private let unwritten = Mutex<Credentials?>(nil)

    init(file: SharedFile, section: String) {
        self.file = file
        self.section = section
    }

    /// A source whose credentials are in the file when it returns. A full disk costs no second session.
    func wrapping(_ source: CredentialSource) -> CredentialSource {
        var wrapped = source
        wrapped.obtain = {
            let left = self.unwritten.withLock { $0 }.flatMap { $0.expiration.timeIntervalSinceNow > 900 ? $0 : nil }
            let credentials = try left ?? source.obtain()
            self.unwritten.withLock { $0 = credentials }
            try self.file.update(isPrivate: true) { file in
                try file.set(credentials.fileSettings.map { ($0.name, $0.value) }, in: self.section)
            }
            self.unwritten.withLock { $0 = nil }
            return credentials
        }
        return wrapped
    }
}
