// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery
import FoundationEssentials
import Synchronization
import SystemSupport

struct UpdateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update",
        _superCommandName: "pki",
        abstract: "Keep profiles of ~/.aws/credentials fresh, for programs that read only that.",
        discussion: """
            Writes the keys of each profile into its section of ~/.aws/credentials (or of AWS_SHARED_CREDENTIALS_FILE), \
            and new ones before they expire, until SIGTERM or Ctrl-C. The rest of the file is not changed; it is replaced \
            as a whole, under a lock that all pki processes share, with mode 0600; a symbolic link stays one.

            After a failure it retries at intervals of up to a minute, and reports it on standard error. Certificates are \
            read again when their files change, profiles at SIGHUP.

            Programs use these keys before a profile's credential_process, also when they have expired. --remove-on-exit \
            and --remove take out what this command wrote, and nothing else.

            For example:

              pki update --profile web --profile backup
              pki update --once --profile web     # from cron
              pki update --remove --profile web

            The unit pki-update@USER runs it as a service. Where a program can use credential_process or the \
            container endpoint, pki configure and pki serve keep secrets out of files.
            """
    )

    @Option(
        help: .value(
            "name",
            """
            A profile that pki configure wrote; repeatable. With --certificate: the section to write. (default: \
            PKI_PROFILE, else without --certificate AWS_PROFILE, else "default")
            """), completion: .known(.profiles))
    var profile: [String] = []

    @Flag(help: "Write each profile once and exit.")
    var once = false

    @OptionGroup var quiet: QuietOption

    @Flag(help: "Remove the keys that this command wrote for each profile, and exit.")
    var remove = false

    @Flag(help: "At SIGTERM or Ctrl-C, remove the keys again.")
    var removeOnExit = false

    @OptionGroup var access: AccessOptions

    func validate() throws {
        guard [once, remove, removeOnExit].count(where: \.self) <= 1 else {
            throw ValidationError("only one of --once, --remove and --remove-on-exit can be given")
        }
        guard profile.count <= 1 || !access.identity.namesCertificate else {
            throw ValidationError("--certificate can be used with one profile only")
        }
    }

    func run() async throws {
        let console = once ? Console.standard : Console.standard.log
        let environment = ProcessInfo.processInfo.environment
        let files = AWSFiles(environment)
        let file = files.credentials
        if remove {
            let names = profile.isEmpty ? [AWSFiles.standardProfile(environment)] : profile
            for name in names { try FileTarget(file: file, section: name).remove(console) }
            return
        }
        let group = try RefresherGroup(
            profiles: profile,
            settings: access,
            console: console,
            retries: !once,
            wrapping: { FileTarget(file: file, section: $0).wrapping($1) }
        )
        for name in group.refreshers.map(\.name) {
            // Repairs what can be, so that there is no warning of it. The first write reports what prevents it.
            if (try? file.read()) != nil { try? file.update(isPrivate: true) { try $0.set([], in: name) } }
            files.warnOfProblems(of: name, console)
            let process = try files.settings(of: name)?.last { $0.name == "credential_process" }?.value
            if let process, ConfigureCommand.isOurs(process), !removeOnExit {
                console.note(
                    "programs use the keys in \(file.path) before the profile's credential_process; to remove them: "
                        + "pki update --remove \(Quoting.option("--profile", name))")
            }
        }
        if once { return try Self.refreshOnce(group) }
        let signals = await CaughtSignal.stream(of: .interrupt, .terminate, .hangUp)
        console.note("keeping \(group.refreshers.map(\.name).joined(separator: ", ")) in \(file.path)")
        await withTaskGroup { tasks in
            tasks.addTask { await group.run() }
            for await signal in signals {
                guard signal == .hangUp else { break }
                group.reload()
            }
            tasks.cancelAll()
        }
        guard removeOnExit else { return }
        for refresher in group.refreshers { try FileTarget(file: file, section: refresher.name).remove(console) }
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
            try self.file.update(isPrivate: true) { try self.write(credentials, into: &$0) }
            self.unwritten.withLock { $0 = nil }
            return credentials
        }
        return wrapped
    }

    /// The setting that has the identifier of the keys that were written here. No other program knows it.
    static let marker = "pki_access_key_id"

    /// Refuses to replace long-term keys, which nothing could bring back.
    private func checkReplaceable(_ file: SharedConfiguration) throws {
        guard let key = file.value(of: "aws_access_key_id", in: section), key.hasPrefix("AKIA"),
            key != file.value(of: Self.marker, in: section)
        else { return }
        throw InputError(
            message: "the profile \(printable(section)) of \(printable(self.file.path)) has a long-term key, "
                + "\(printable(key, limit: 40)), which is not replaced",
            hint: "write another profile with --profile NAME, or take the key out first")
    }

    private func write(_ credentials: Credentials, into file: inout SharedConfiguration) throws {
        try checkReplaceable(file)
        var settings: [(name: String, value: String?)] = credentials.fileSettings.map { ($0.name, $0.value) }
        settings.append((Self.marker, credentials.accessKeyID))
        // botocore takes the old name of the token before the new one.
        settings.append(("aws_security_token", nil))
        if file.value(of: "aws_account_id", in: section) != nil {
            settings.append(("aws_account_id", credentials.accountID))
        }
        try file.set(settings, in: section)
    }

    /// Removes the keys of the section if they were written here, and says what was removed and what stays.
    func remove(_ console: Console) throws {
        var removed = false
        var left: [String]?
        if try file.read() != nil {
            try file.update(isPrivate: true) { file in
                let key = file.value(of: "aws_access_key_id", in: section)
                removed = key != nil && key == file.value(of: Self.marker, in: section)
                let names = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"]
                try file.remove((removed ? names : []) + [Self.marker], in: section)
                left = file.settings(in: section)?.map(\.name)
            }
        }
        console.note(
            removed
                ? "the keys of \(section) were removed from \(file.path)"
                : "no keys in \(file.path) are known to be of pki update for \(section)")
        if let left, !left.isEmpty {
            console.note("not removed from \(section): \(left.joined(separator: ", "))")
        }
    }
}
