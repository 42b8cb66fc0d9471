// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery
import FoundationEssentials
import HTTPServer
import RolesAnywhere
import SystemSupport

struct ExecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        _superCommandName: "pki",
        abstract: "Run a command with credentials in its environment.",
        discussion: """
            Sets AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CREDENTIAL_EXPIRATION and \
            AWS_ACCOUNT_ID, AWS_REGION and AWS_DEFAULT_REGION where they are not set, and removes variables that name other \
            credentials: AWS_PROFILE, AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, those of the container and metadata \
            services, and pki's own, such as PKI_CERTIFICATE. \
            Then the command replaces this process: its exit status and its signals are its own.

            These credentials are not renewed. For a command that runs longer, --server keeps pki running and serves the \
            command's SDK as a container credentials endpoint on loopback, under a token that only the command gets.

            For example:

              pki exec --profile web -- aws s3 ls
              pki exec --profile web --server -- ./long-backup

            Exit status: the command's, or its signal; 126 when it cannot be run, 127 when it is not found; before it \
            runs, those of pki creds.
            """
    )

    @OptionGroup var profile: ProfileOption
    @OptionGroup var access: AccessOptions
    @OptionGroup var cache: CacheOption

    @Flag(help: "Keep running, and keep the command's credentials fresh.")
    var server = false

    @OptionGroup var quiet: QuietOption

    @Argument(
        parsing: .postTerminator, help: .value("command", "The command and its arguments."), completion: .programs)
    var command: [String] = []

    func validate() throws {
        guard !command.isEmpty else {
            throw ValidationError("there is no command after \"--\": pki exec --profile NAME -- COMMAND …")
        }
        guard !(server && cache.cache) else {
            throw ValidationError(
                "only one of --cache and --server can be given: the server keeps credentials in memory")
        }
    }

    func run() async throws {
        let console = Console.standard
        let inherited = ProcessInfo.processInfo.environment
        if server { return try await serve(inherited, console) }
        let access = try Access(access, profile: profile.profile)
        let credentials = try access.credentials(usesCache: cache.cache, console)
        let environment = Self.environment(
            inherited, adding: credentials.environment, region: access.region(inherited))
        throw ChildProcess.replace(by: command, environment: environment)
    }

    private func serve(_ inherited: [String: String], _ console: Console) async throws {
        let descriptors = ChildProcess.openDescriptors
        let access = try Access(access, profile: profile.profile)
        let quiet = console.quiet
        let group = try RefresherGroup(
            profiles: profile.profile.map { [$0] } ?? [],
            settings: self.access,
            console: quiet
        )
        // Failures are reported before the command runs.
        try group.refreshers.first?.refresh()
        let token = randomBytes(24).map { hexadecimal([$0]) }.joined()
        let handler = CredentialServer(
            keepers: group.refreshers,
            authorization: { token },
            now: { Date.now },
            randomBytes: randomBytes
        )
        var configuration = HTTPServer.Configuration(now: { Date.now })
        configuration.eventLoops = 1
        configuration.workers = 1
        let signals = await CaughtSignal.stream(of: .interrupt, .terminate, .hangUp, .quit, .user1, .user2)
        let server = try await HTTPServer.start([HTTPListener()], configuration: configuration, handler: handler)
        let name = PercentEncoding.encode(access.name)
        let environment = Self.environment(
            inherited,
            adding: [
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "\(server.listeners[0].origin)/credentials/\(name)"),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
            ] + Self.hiding(AWSFiles(inherited), console),
            region: access.region(inherited)
        )
        ChildProcess.closeDescriptorsOnExec(except: descriptors)
        let child: ChildProcess
        do {
            child = try ChildProcess(command, environment: environment)
        } catch {
            await server.shutDown(within: .zero)
            throw error
        }
        let end = await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await group.run() }
            tasks.addTask { for await signal in signals { child.send(signal.rawValue) } }
            tasks.addTask {
                while !Task.isCancelled {
                    handler.releaseWaiters()
                    try? await Task.sleep(for: .seconds(1))
                }
            }
            let end = await child.wait()
            tasks.cancelAll()
            return end
        }
        await server.shutDown(within: .seconds(1))
        end.repeated()
    }

    /// Variables that hide those of AWS's files whose default profile has credentials: the SDKs would prefer them to a
    /// container's.
    private static func hiding(_ files: AWSFiles, _ console: Console) -> [(name: String, value: String)] {
        let places = [
            ("AWS_CONFIG_FILE", files.config, AWSFiles.configSections("default")),
            ("AWS_SHARED_CREDENTIALS_FILE", files.credentials, ["default"]),
        ]
        return places.compactMap { variable, file, sections in
            guard let bytes = try? file.read() else { return nil }
            let text = SharedConfiguration(bytes)
            let names = sections.flatMap { text.settings(in: $0) ?? [] }.map(\.name)
            guard names.contains(where: AWSFiles.givesCredentials) else { return nil }
            console.warning(
                "\(file.path) is hidden from the command: its default profile has credentials, which would override these"
            )
            return (variable, "/dev/null")
        }
    }

    static func environment(
        _ inherited: [String: String], adding variables: [(name: String, value: String)], region: String
    ) -> [String: String] {
        var environment = inherited.filter { name, _ in
            !CredentialEnvironment.removed.contains(name) && !IdentityVariable.all.contains(name)
                && !name.hasPrefix("AWS_CONTAINER_")
                && !name.hasPrefix("AWS_EC2_METADATA_")
        }
        let region = CredentialEnvironment.region(in: inherited, standard: region)
        for (name, value) in region + variables { environment[name] = value }
        return environment
    }
}
