// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import AWSModel
import FoundationEssentials
import Glibc
import RolesAnywhere
import Testing

@testable import pki

@Suite final class AccessTests {
    private let directory: String
    private let environment: [String: String]

    init() throws {
        var template = Array("/tmp/pki-access-test.XXXXXX".utf8CString)
        let made = try unsafe #require(mkdtemp(&template))
        directory = unsafe String(cString: made)
        environment = ["HOME": directory]
        let text = """
            [profile web]
            region = eu-west-1
            pki_certificate = /c.pem
            pki_private_key = /k.pem
            pki_trust_anchor_arn = arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/a
            pki_profile_arn = arn:aws:rolesanywhere:us-east-1:123456789012:profile/p
            pki_role_arn = arn:aws:iam::123456789012:role/r
            pki_session_duration = 900
            pki_endpoint = http://127.0.0.1:1
            pki_insecure_permissions = true
            pki_unknown = x

            [default]
            region = us-east-1

            [profile odd]
            pki_certificate = /c.pem
            pki_attempts = many
            """
        try FileManager.default.createDirectory(atPath: "\(directory)/.aws", withIntermediateDirectories: false)
        try Data(text.utf8).write(to: URL(filePath: "\(directory)/.aws/config"))
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    @Test func `a profile says everything`() throws {
        let access = try Access(AccessOptions.none, profile: "web", environment: environment)
        #expect(access.name == "web")
        #expect(access.request.durationSeconds == 900)
        #expect(access.request.role.description == "arn:aws:iam::123456789012:role/r")
        #expect(access.endpoint.description == "http://127.0.0.1:1")
        #expect(access.source.certificate.path == "/c.pem")
        #expect(access.source.key.path == "/k.pem")
        #expect(access.source.allowsInsecurePermissions)
    }

    @Test func `the command line goes before the profile`() throws {
        var settings = AccessOptions.none
        settings.identity.certificate = "other.pem"
        settings.session.sessionDuration = 1800
        settings.network.fips = true
        let access = try Access(settings, profile: "web", environment: environment)
        #expect(access.request.durationSeconds == 1800)
        #expect(access.source.certificate.path == "other.pem")
        #expect(access.endpoint.description == "https://rolesanywhere-fips.us-east-1.amazonaws.com")
    }

    @Test func `without a name the profile is that of the environment, else the standard one`() throws {
        var environment = environment
        environment["AWS_PROFILE"] = "web"
        #expect(try Access(AccessOptions.none, profile: nil, environment: environment).name == "web")
        environment["AWS_PROFILE"] = nil
        let error = #expect(throws: UsageError.self) {
            try Access(AccessOptions.none, profile: nil, environment: environment)
        }
        #expect(error?.message.contains("the profile default") == true)
        #expect(error?.message.contains("no settings of pki") == true)
    }

    @Test func `a profile that is not there is named, with the file`() throws {
        let error = #expect(throws: UsageError.self) {
            try Access(AccessOptions.none, profile: "nobody", environment: self.environment)
        }
        #expect(error?.message == "there is no profile nobody in \(directory)/.aws/config")
        #expect(error?.hint?.contains("pki configure --profile nobody") == true)
    }

    @Test func `a value that is none is named with its setting`() throws {
        let error = #expect(throws: InputError.self) {
            try Access(AccessOptions.none, profile: "odd", environment: self.environment)
        }
        #expect(error?.message.contains("pki_attempts is \"many\", which is not a whole number") == true)
    }

    @Test func `with a certificate on the command line no profile is read`() throws {
        var settings = AccessOptions.none
        settings.identity.certificate = "c.pem"
        var environment = environment
        environment["AWS_PROFILE"] = "nobody"
        let error = #expect(throws: UsageError.self) { try Access(settings, profile: nil, environment: environment) }
        #expect(error?.message == "--trust-anchor-arn is missing")
    }

    @Test(arguments: [
        ("a", "/x", "/x/a"), ("/a/./b//c", "/x", "/a/b/c"), ("../a", "/x/y", "/x/y/../a"), ("./a", "/", "/a"),
    ])
    func `a path becomes one from the root`(path: String, directory: String, expected: String) {
        #expect(absolutePath(path, in: directory) == expected)
    }

    @Test func `every setting has its option's name, and comes back as it was written`() throws {
        let options = try AccessOptions.parse([
            "--certificate", "c", "--private-key", "k", "--intermediates", "i", "--passphrase-file", "f",
            "--insecure-permissions", "--trust-anchor-arn", "t", "--profile-arn", "p", "--role-arn", "r",
            "--session-duration", "901", "--role-session-name", "n", "--dual-stack", "--ca-bundle", "b",
            "--connect-timeout", "1.5", "--timeout", "2", "--attempts", "3",
        ])
        var read = AccessOptions.none
        var names: Set<String> = []
        for setting in ProfileSetting.all {
            guard let text = setting.text(in: options, directory: "/d") else { continue }
            names.insert(setting.name)
            try setting.fill(text, into: &read)
        }
        #expect(names.count == 15)
        #expect(read.identity.certificate == "/d/c" && read.identity.privateKey == "/d/k")
        #expect(read.identity.insecurePermissions && read.network.dualStack && !read.network.fips)
        #expect(read.session.sessionDuration == 901 && read.network.attempts == 3)
        #expect(read.network.connectTimeout == 1.5 && read.network.timeout == 2)
        #expect(read.network.caBundle == "/d/b")
    }

    @Test func `options made without the parser are all readable, and none is given`() {
        let options = AccessOptions.none
        #expect(!"\(options)".contains("*definition*"))
        for setting in ProfileSetting.all { #expect(setting.text(in: options, directory: "/") == nil) }
    }

    @Test(arguments: [
        ("--profile web --cache", true), ("--cache --profile=web", true), ("--profile a=b", true), ("", true),
        (
            """
            --certificate c --private-key=env:K --intermediates i --passphrase-file p --insecure-permissions --reuse-pin \
            --trust-anchor-arn a --profile-arn b --role-arn c --session-duration 900 --role-session-name s --endpoint e \
            --ca-bundle b --connect-timeout 0.5 --timeout 3 --attempts 2 --cache --format env
            """, true
        ),
        ("--certificate-store s --cert-selector Key=x509Subject,Value=CN=x --use-latest-expiring-certificate", true),
        ("--pkcs11-lib l --no-tpm-key-password --fips --no-verify-ssl --passphrase-env P --format=ini", true),
        ("--profile", false), ("--profile=", false), ("--profile -x", false), ("--profile=-x", false), ("web", false),
        ("--profile web --debug", false), ("--cache --cache", false), ("--cache=yes", false), ("-o env", true),
        ("--format xml", false), ("--session-duration x", false), ("--timeout 0", false),
        ("--fips --dual-stack", false),
        ("--timeout 1e3", true), ("--session-duration +901", true), ("--timeout nan", false),
        ("--certificate --help", false),
        ("--", false), ("-- --cache", false), ("--cach", false), ("--profile a --profile b", false),
    ])
    func `creds reads without the parser what the parser reads alike, and nothing else`(line: String, isRead: Bool)
        throws
    {
        let words = line.split(separator: " ").map(String.init)
        let read = CredsCommand(words: words)
        #expect((read != nil) == isRead)
        if let read { #expect(try "\(read)" == "\(CredsCommand.parse(words))") }
    }

    @Test func `every command is part of pki for the parser, which then has less to look for`() {
        for command in PKI.configuration.subcommands {
            #expect(command.configuration._superCommandName == "pki", "\(command)")
        }
    }

    @Test(arguments: [
        ("web-1", true), ("", true), ("--name web-1", true),
        ("web-1 --dns a.example --dns=b.example --ip 192.0.2.1", true),
        ("--uri spiffe://a/b --email a@b.example --subject CN=x,O=y --days 3 --issuer i --force web", true),
        ("web --key-type ec-p384 --csr f --profile server --directory d -o json", true), ("help", true),
        ("web --key-passphrase-file p --passphrase-file q --format=text", true),
        ("a b", false), ("a --name b", false), ("a --days x", false), ("a --days -5", false), ("a --ip x", false),
        ("a --dns -x", false), ("a --batch f", false), ("a -o xml", false), ("a -o=json", false), ("a -qo json", false),
        ("a --force --force", false), ("a --profile", false), ("--help", false), ("a --days 3 --days 4", false),
        ("a --subject x", false), ("a -- b", false), ("a --forc", false), ("a --key-type rsa", false),
    ])
    func `issue-client reads without the parser what the parser reads alike`(line: String, isRead: Bool) throws {
        let words = line.split(separator: " ").map(String.init)
        let read = IssueClientCommand(words: words)
        #expect((read != nil) == isRead)
        if let read { #expect(try "\(read)" == "\(IssueClientCommand.parse(words))") }
    }

    @Test func `what the parser would refuse is not read without it`() throws {
        func compare<Command: PlainCommand>(_ command: Command.Type) throws {
            // Quiet is for the whole process.
            let options = command.plainOptions.flatMap(\.names).filter { $0 != "-q" && $0 != "--quiet" }
            let words =
                options + options.map { "\($0)=1" }
                + [
                    "env", "json", "x", "a.example", "ec-p256", "-1", "0", "900", "--help", "--", "--debug", "-", "",
                    "a=b",
                ]
            var generator = SystemRandomNumberGenerator()
            for _ in 0..<40 {
                let line = (0..<Int.random(in: 1...4, using: &generator)).compactMap { _ in
                    words.randomElement(using: &generator)
                }
                guard let read = Command(words: line) else { continue }
                #expect(try "\(read)" == "\(Command.parse(line))", "\(line): \(read)")
            }
        }
        try compare(CredsCommand.self)
        try compare(IssueClientCommand.self)
    }

    @Test(arguments: [
        ("/usr/bin/pki creds --profile web --cache", true), ("'/opt/it'\\''s/pki' creds --profile=-x --cache", true),
        (#""/opt/a b/pki" creds --profile web --cache"#, true), ("/opt/it's/pki creds --profile a --cache", true),
        ("pki-1.2 creds --profile 'R&D' --cache", true), ("/usr/bin/other creds --profile web", false),
        ("/usr/bin/pki exec --profile web", false), ("/usr/bin/pki creds --certificate c", false), ("", false),
    ])
    func `F3: its own credential_process is known, however it is quoted`(command: String, isOurs: Bool) {
        #expect(ConfigureCommand.isOurs(command) == isOurs)
    }

    @Test func `a command's environment has no other credentials, and keeps the rest`() {
        let inherited = [
            "PATH": "/bin", "AWS_PROFILE": "x", "AWS_ACCESS_KEY_ID": "old", "AWS_ROLE_ARN": "r",
            "AWS_WEB_IDENTITY_TOKEN_FILE": "w", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/c",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL_STS": "http://s", "AWS_CONFIG_FILE": "f",
        ]
        let made = ExecCommand.environment(inherited, adding: [("AWS_ACCESS_KEY_ID", "new")], region: "eu-west-1")
        #expect(
            made == [
                "PATH": "/bin", "AWS_ACCESS_KEY_ID": "new", "AWS_ENDPOINT_URL_STS": "http://s", "AWS_CONFIG_FILE": "f",
                "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
            ]
        )
        let kept = ExecCommand.environment(["AWS_DEFAULT_REGION": "x"], adding: [], region: "y")
        #expect(kept == ["AWS_REGION": "x", "AWS_DEFAULT_REGION": "x"])
    }
}

extension IdentitySource.Certificates {
    /// The file that is named.
    fileprivate var path: String? {
        if case .file(let path) = self { path } else { nil }
    }
}

extension IdentitySource.Key {
    /// The file that is named.
    fileprivate var path: String? {
        if case .file(let path) = self { path } else { nil }
    }
}
