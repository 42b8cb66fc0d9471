// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

@testable import RolesAnywhere

/// A directory for one test, which goes with it.
private final class CADirectory {
    let path: String

    init() throws {
        var template = Array("\(FileManager.default.temporaryDirectory.path)/identity-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw SocketFailure() }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and returns its path.
    func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
        let file = "\(path)/\(name)"
        try Data(text.utf8).write(to: URL(filePath: file))
        guard unsafe chmod(file, mode) == 0 else { throw SocketFailure() }
        return file
    }
}

struct IdentitySourceTests {
    private let directory: CADirectory

    init() throws { directory = try CADirectory() }

    private func files(mode: mode_t = 0o600) throws -> IdentitySource {
        IdentitySource(
            certificate: try directory.write("cert.pem", Fixtures.ecCertificate, mode: 0o644),
            privateKey: try directory.write("key.pem", Fixtures.ecKey, mode: mode))
    }

    @Test func `certificate and key are read from two files or from one`() throws {
        let two = try files().read()
        #expect(two.certificate.subject.description == "CN=ec.example")
        let both = try directory.write("both.pem", Fixtures.ecKey + "\n" + Fixtures.ecCertificate)
        #expect(try IdentitySource(certificate: both).read().certificate == two.certificate)
        #expect(try IdentitySource(certificate: both, privateKey: both).read().certificate == two.certificate)
    }

    @Test func `intermediates are read from a file of their own`() throws {
        let intermediate = try TestAuthority().intermediate("Between")
        let key = try PrivateKey(generating: .ecP256)
        let text = try unsafe key.pemEncoded().withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        let files = IdentitySource(
            certificate: try directory.write("cert.pem", intermediate.client(key: key).pemEncoded),
            privateKey: try directory.write("key.pem", text),
            intermediates: try directory.write("chain.pem", intermediate.certificate.pemEncoded))
        #expect(try files.read().intermediates == [intermediate.certificate])
    }

    @Test(arguments: [0o640, 0o604, 0o620, 0o660, 0o644, 0o777] as [mode_t])
    func `a key that others can use is refused unless that is allowed`(mode: mode_t) throws {
        var files = try files(mode: mode)
        let error = try #require(throws: RolesAnywhereError.self) { try files.read() }
        #expect(error.code == .unprotectedFile)
        #expect(error.message.contains("key.pem"))
        #expect(error.message.contains("its mode is 0\(String(mode, radix: 8))"))
        #expect(error.hint?.contains("chmod 600") == true)
        files.allowsInsecurePermissions = true
        #expect(throws: Never.self) { try files.read() }
    }

    @Test(.enabled(if: geteuid() == 0)) func `W15: a key that somebody else wrote, or links to, is refused`() throws {
        var files = try files()
        let key = "\(directory.path)/key.pem"
        let link = "\(directory.path)/link.pem"
        #expect(unsafe symlink(key, link) == 0)
        files.key = .file(link)
        _ = try files.read()
        #expect(unsafe lchown(link, 65_534, 65_534) == 0)
        var error = try #require(throws: RolesAnywhereError.self) { try files.read() }
        #expect(error.code == .unprotectedFile && error.message.contains("65534"))
        files.key = .file(key)
        _ = try files.read()
        #expect(unsafe chown(key, 65_534, 65_534) == 0)
        error = try #require(throws: RolesAnywhereError.self) { try files.read() }
        #expect(error.code == .unprotectedFile && error.message.contains("65534"))
        files.allowsInsecurePermissions = true
        _ = try files.read()
    }

    @Test(arguments: [0o600, 0o400, 0o700] as [mode_t])
    func `a key of its owner alone is read`(mode: mode_t) throws {
        let files = try files(mode: mode)
        #expect(throws: Never.self) { try files.read() }
    }

    @Test func `a certificate that others can read is refused only when the key stands in it`() throws {
        let both = try directory.write("both.pem", Fixtures.ecKey + "\n" + Fixtures.ecCertificate, mode: 0o644)
        let error = try #require(throws: RolesAnywhereError.self) { try IdentitySource(certificate: both).read() }
        #expect(error.code == .unprotectedFile)
    }

    @Test(arguments: [
        ("cert.pem", Sample("nothing", ""), "it is empty"),
        ("cert.pem", Sample("words", "hello"), "it is neither PEM nor DER"),
        ("cert.pem", Sample("a key", Fixtures.ecKey), "there is no certificate in"),
        (
            "cert.pem", Sample("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "cannot be read"
        ),
        ("cert.pem", Sample("half", "-----BEGIN CERTIFICATE-----\nAAAA\n"), "no END"),
        ("cert.pem", Sample("another's", Fixtures.rsaCertificate), "is not that of the certificate"),
        ("key.pem", Sample("nothing", ""), "it is empty"),
        ("key.pem", Sample("words", "hello"), "key"),
        ("key.pem", Sample("a certificate", Fixtures.ecCertificate), "key"),
        ("key.pem", Sample("another's", Fixtures.rsaKey), "is not that of the certificate"),
    ])
    func `a file that is not what it should be is named`(name: String, sample: Sample, words: String) throws {
        let files = try files()
        _ = try directory.write(name, sample.text)
        let error = try #require(throws: RolesAnywhereError.self) { try files.read() }
        #expect(error.code == .unusableIdentity)
        #expect(error.message.contains(words))
        #expect(error.message.contains(name))
    }

    @Test func `a file that cannot be read is named with the reason`() throws {
        var files = try files()
        files.certificate = .file("\(directory.path)/absent.pem")
        let absent = try #require(throws: RolesAnywhereError.self) { try files.read() }
        #expect(absent.code == .unreadableFile)
        #expect(absent.message.contains("absent.pem\" cannot be read: no such file"))
        files.certificate = .file(directory.path)
        let isDirectory = try #require(throws: RolesAnywhereError.self) { try files.read() }
        #expect(isDirectory.message.contains("it is a directory"))
        files.certificate = .file(
            try directory.write("large.pem", String(repeating: "x", count: FileContents.limit + 1)))
        let large = try #require(throws: RolesAnywhereError.self) { try files.read() }
        #expect(large.message.contains("larger than 4 MiB"))
    }

    @Test func `a snapshot knows when its file was replaced or written to`() throws {
        let path = try directory.write("file", "one")
        let contents = try FileContents(of: path)
        #expect(contents.isCurrent)
        _ = try directory.write("next", "two")
        let status = unsafe rename("\(directory.path)/next", path)
        #expect(status == 0)
        #expect(!contents.isCurrent)
        let next = try FileContents(of: path)
        try FileManager.default.removeItem(atPath: path)
        #expect(!next.isCurrent)
    }

    @Test func `trust comes from a file, a directory, the environment or the system`() throws {
        let file = try directory.write("ca.pem", Fixtures.root)
        #expect(try ServerTrust.certificates(at: file).source == .paths(file: file, directory: nil))
        #expect(try ServerTrust.certificates(at: directory.path).source == .paths(file: nil, directory: directory.path))
        #expect(throws: RolesAnywhereError.self) { try ServerTrust.certificates(at: "\(directory.path)/absent") }

        let both = ["AWS_CA_BUNDLE": file, "SSL_CERT_FILE": "/absent"]
        #expect(try ServerTrust.environment(both).source == .paths(file: file, directory: nil))
        let openssl = ["AWS_CA_BUNDLE": "", "SSL_CERT_FILE": file, "SSL_CERT_DIR": "/a:/b"]
        #expect(try ServerTrust.environment(openssl).source == .paths(file: file, directory: "/a:/b"))
        #expect(throws: RolesAnywhereError.self) { try ServerTrust.environment(["SSL_CERT_FILE": "/absent"]) }
        #expect(try ServerTrust.environment([:]) == .system)
    }

    @Test func `the system's directory is used when it holds certificates under their hashes`() throws {
        _ = try directory.write("5ad8a5d6.pem", "")
        _ = try directory.write("not-a-hash.0", "")
        #expect(ServerTrust.system(directory: directory.path).source == .library)
        _ = try directory.write("5ad8a5d6.0", "")
        #expect(ServerTrust.system(directory: directory.path).source == .paths(file: nil, directory: directory.path))
        #expect(ServerTrust.system(directory: "/absent").source == .library)
    }
}
