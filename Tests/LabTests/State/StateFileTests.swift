// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import Glibc
import SQL
import SQLite
import Testing

@testable import Lab
import SystemSupport

@Suite struct StateFileTests {
    /// A directory that goes with the test.
    private final class CADirectory {
        let path: String

        init() throws {
            var template = Array("/tmp/StateFileTests-XXXXXX".utf8CString)
            try #require(unsafe mkdtemp(&template) != nil)
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        deinit {
            for name in ["s", "s-wal", "s-shm"] { _ = unsafe unlink("\(path)/\(name)") }
            _ = unsafe rmdir(path)
        }

        var file: String { "\(path)/s" }
    }

    private func store(_ directory: CADirectory, _ environment: LabEnvironment = fixtureEnvironment()) throws
        -> ResourceStore
    {
        try ResourceStore(environment: environment, file: StateFile(path: directory.file))
    }

    @Test func `what was set up and who was here comes back`() throws {
        let directory = try CADirectory()
        let seed = try LabSeed(
            certificates: try Certificate.certificates(in: Array(FixtureText.root.utf8)), in: fixtureEnvironment())
        var anchor = try #require(seed.trustAnchors.first)
        anchor.tags = [Tag(key: "team", value: "web")]
        anchor.setAlias("first")
        anchor.setAlias("second")
        anchor.notifications = [NotificationSetting(event: .authority, isEnabled: false, threshold: 7)]
        var profile = try #require(seed.profiles.first)
        profile.sessionPolicy = #"{"Version":"2012-10-17","Statement":[]}"#
        profile.attributeMappings = [AttributeMapping(field: .subject, specifiers: ["CN"])]
        var role = try #require(seed.roles.first)
        role.attachedPolicyARNs = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
        role.inlinePolicies = [
            "one": try PolicyDocument(
                #"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#, kind: .identity)
        ]
        let leaf = try #require(try Certificate.certificates(in: Array(FixtureText.leaf.utf8)).first)
        let session = SessionRecord(
            accessKeyIdentifier: "ASIA", assumedRoleARN: "arn", roleARN: "role", subject: "CN=x",
            sourceIdentity: "CN=x", issuedAt: fixtureMoment, expiration: fixtureMoment, tags: ["x509Subject/CN": "x"])
        var first: ResourceStore? = try store(directory)
        let key = first?.sessionKey
        try first?.update { account in
            account.trustAnchors[anchor.identifier] = anchor
            account.profiles[profile.identifier] = profile
            account.roles[role.name] = role
        }
        let subject = try first?.record(
            CertificateUse(certificate: leaf, date: fixtureMoment, instanceProperties: ["host": "a"], session: session))
        first = nil
        let second = try store(directory)
        #expect(second.sessionKey == key)
        #expect(second.snapshot.trustAnchors[anchor.identifier] == anchor)
        #expect(second.snapshot.profiles[profile.identifier] == profile)
        #expect(second.snapshot.roles[role.name] == role)
        #expect(second.subjects == [try #require(subject)])
        #expect(second.sessions == [session])
    }

    @Test func `W12: a link, a pipe or a file that others can write to is no state file`() throws {
        for suffix in ["", "-wal", "-journal"] {
            let directory = try CADirectory()
            let path = directory.file + suffix
            for make in [
                { unsafe symlink("/etc/passwd", path) }, { unsafe symlink("elsewhere", path) },
                { unsafe mkfifo(path, 0o600) }, { unsafe mkdir(path, 0o700) },
                {
                    close(unsafe open(path, O_CREAT | O_WRONLY, 0o600))
                    return unsafe chmod(path, 0o622)
                },
            ] {
                #expect(make() == 0)
                #expect(throws: LabError.self) { try StateFile(path: directory.file) }
                _ = unsafe rmdir(path)
                _ = unsafe unlink(path)
                if !suffix.isEmpty { #expect(unsafe access(directory.file, F_OK) != 0) }
            }
        }
    }

    @Test func `what was removed stays removed`() throws {
        let directory = try CADirectory()
        let role = try Role(name: "web", in: fixtureEnvironment())
        try store(directory).update { $0.roles["web"] = role }
        try store(directory).update { $0.roles["web"] = nil }
        #expect(try store(directory).snapshot.roles.count == 0)
    }

    @Test func `what was planted and deleted does not come back`() throws {
        let directory = try CADirectory()
        let seed = try LabSeed(
            certificates: try Certificate.certificates(in: Array(FixtureText.root.utf8)), in: fixtureEnvironment())
        func lab() throws -> LabService {
            var options = LabService.Options()
            options.stateFile = try StateFile(path: directory.file)
            let lab = try LabService(environment: fixtureEnvironment(), options: options)
            try lab.plant(seed)
            return lab
        }
        do {
            let first = try lab()
            #expect(first.store.snapshot.profiles.count == 1)
            try first.store.update { account in
                for profile in seed.profiles { account.profiles[profile.identifier] = nil }
            }
        }
        let second = try lab()
        #expect(second.store.snapshot.profiles.count == 0)
        #expect(second.store.snapshot.trustAnchors.count == 1)
        #expect(second.store.snapshot.roles.count == 1)
    }

    @Test func `a change that is refused leaves nothing, neither in memory nor in the file`() throws {
        let directory = try CADirectory()
        let role = try Role(name: "web", in: fixtureEnvironment())
        do {
            let first = try store(directory)
            #expect(throws: ServiceRefusal.self) {
                try first.update { account in
                    account.roles["web"] = role
                    throw ServiceRefusal.validation("no")
                }
            }
            #expect(first.snapshot.roles.count == 0)
        }
        #expect(try store(directory).snapshot.roles.count == 0)
    }

    @Test func `C18: a file that another lab uses is refused`() throws {
        let directory = try CADirectory()
        do {
            let first = try store(directory)
            let error = #expect(throws: LabError.self) { try store(directory) }
            #expect(error?.code == .stateUnavailable)
            _ = first.snapshot
        }
        _ = try store(directory)
    }

    @Test func `a file of another account or region is refused`() throws {
        let directory = try CADirectory()
        _ = try store(directory)
        var other = fixtureEnvironment()
        other.region = "eu-central-1"
        let error = #expect(throws: LabError.self) { try store(directory, other) }
        #expect(error?.code == .stateUnavailable)
        #expect(error?.hint?.contains("--region us-east-1") == true)
        #expect(error?.message.contains(directory.file) == true)
    }

    @Test func `a file of a newer program is refused, not changed`() throws {
        let directory = try CADirectory()
        _ = try store(directory)
        let mark: Int32 = 0x706b_694c
        try Database(path: directory.file, applicationIdentifier: mark).setSchemaVersion(99)
        let error = #expect(throws: LabError.self) { try store(directory) }
        #expect(error?.message.contains("newer") == true)
        #expect(try Database(path: directory.file, applicationIdentifier: mark).schemaVersion() == 99)
    }

    @Test func `a place without a directory is refused by name`() throws {
        let directory = try CADirectory()
        let error = #expect(throws: LabError.self) { try StateFile(path: "\(directory.path)/none/s") }
        #expect(error?.message.contains("\(directory.path)/none/s") == true)
    }
}

@Suite struct LabSeedReadingTests {
    private func seed(_ text: String) throws -> LabSeed {
        try LabSeed(reading: Array(text.utf8), name: "seed.json", in: fixtureEnvironment()) { _ in
            try Certificate.certificates(in: Array(FixtureText.root.utf8))
        }
    }

    @Test func `the ARN of a trust anchor is put into a trust policy`() throws {
        let seed = try seed(
            """
            {"trustAnchors": [{"name": "a"}],
             "roles": [{"name": "r", "trustPolicy": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
               "Principal": {"Service": "rolesanywhere.amazonaws.com"}, "Action": "sts:AssumeRole",
               "Condition": {"ArnEquals": {"aws:SourceArn": "${trustAnchor:a}"},
                             "StringLike": {"aws:PrincipalTag/x509Subject/CN": "${aws:SourceAccount}*"}}}]}}],
             "profiles": [{"name": "p", "roles": ["r", "arn:aws:iam::123456789012:role/other"], "durationSeconds": 900}]}
            """
        )
        let arn = try #require(seed.trustAnchors.first).arn.description
        #expect(seed.roles.first?.trustPolicy.text.contains(arn) == true)
        #expect(seed.roles.first?.trustPolicy.text.contains("${aws:SourceAccount}*") == true)
        #expect(
            seed.profiles.first?.roleARNs == [
                "arn:aws:iam::123456789012:role/r", "arn:aws:iam::123456789012:role/other",
            ]
        )
        #expect(seed.profiles.first?.durationSeconds == 900)
        #expect(seed.profiles.first?.isEnabled == true)
    }

    @Test(arguments: [
        ("[]", "not an object"), ("{\"rolls\": []}", "rolls is not known"),
        ("{\"roles\": [{\"name\": \"r\", \"maxSessionDuration\": 60}]}", "roles[0].maxSessionDuration is 60"),
        ("{\"roles\": [{\"name\": \"r\"}, {\"name\": \"r\"}]}", "two roles have the name r"),
        ("{\"profiles\": [{\"name\": \"p\", \"roles\": [\"x\"]}]}", "names the role x"),
        ("{\"roles\": [{\"name\": \"r\", \"trustPolicy\": {}}]}", "trust policy of the role r"),
        (
            """
            {"roles": [{"name": "r", "trustPolicy": {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "x.amazonaws.com"}, "Condition": {"ArnLike": {"aws:SourceArn": "${trustAnchor:z}"}}}}}]}
            """, "${trustAnchor:z}"
        ),
    ])
    func `what is wrong in it is said with its place`(_ text: String, _ words: String) {
        let error = #expect(throws: LabError.self) { try seed(text) }
        #expect(error?.message.contains("seed.json") == true)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
}
