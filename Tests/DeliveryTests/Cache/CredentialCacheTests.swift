// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Synchronization
import Testing

@testable import Delivery
import SystemSupport

@Suite final class CredentialCacheTests {
    private let clock = DrivenClock()
    private let directory: String
    private let service: ScriptedService
    private let key: CredentialCache.Key = ["role": "arn:aws:iam::123456789012:role/App", "duration": "3600"]

    init() throws {
        var template = Array("/tmp/pki-cache-test.XXXXXX".utf8CString)
        let path = try unsafe #require(mkdtemp(&template))
        directory = unsafe String(cString: path)
        service = ScriptedService(clock)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private var path: String { "\(directory)/pki/credentials" }
    private var cache: CredentialCache { CredentialCache(path: path, now: { [clock] in clock.now }) }

    private func get(_ key: CredentialCache.Key? = nil) throws -> CredentialCache.Outcome {
        try cache.credentials(for: key ?? self.key, status: { _ in 77 }, obtain: { try service.source.obtain() })
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    private func files(_ suffix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(suffix) }.map {
            "\(path)/\($0)"
        }
    }

    @Test func `the second time nothing is asked for, and everything is as it was`() throws {
        guard case .refreshed(let first) = try get() else { throw ScriptedService.Failure() }
        guard case .cached(let second) = try get() else { throw ScriptedService.Failure() }
        #expect(first == second)
        #expect(service.calls.count == 1)
    }

    @Test func `what differs in any part is another entry`() throws {
        _ = try get()
        _ = try get(["role": "arn:aws:iam::123456789012:role/App", "duration": "900"])
        _ = try get(["role": "arn:aws:iam::123456789012:role/Other", "duration": "3600"])
        // The same text in other parts.
        _ = try get(["role": "arn:aws:iam::123456789012:role/App\nduration", "x": "3600"])
        #expect(service.calls.count == 4)
        #expect(try files(".credentials").count == 4)
    }

    @Test func `what has expired is forgotten when something new is obtained`() throws {
        _ = try get()
        clock.advance(1800)
        _ = try get(["role": "arn:aws:iam::123456789012:role/Other"])
        #expect(try files(".credentials").count == 2)
        clock.advance(1801)
        // The first has expired, the second has not.
        _ = try get(["role": "arn:aws:iam::123456789012:role/Third"])
        #expect(try files(".credentials").count == 2)
        #expect(try files(".lock").count == 2)
        let roles = try cache.entries().compactMap { $0.parts.first { $0.name == "role" }?.value }
        #expect(roles == ["arn:aws:iam::123456789012:role/Other", "arn:aws:iam::123456789012:role/Third"])
    }

    @Test func `with less than 20 minutes left new ones are obtained`() throws {
        _ = try get()
        clock.advance(2400)
        guard case .cached = try get() else { throw ScriptedService.Failure() }
        clock.advance(1)
        guard case .refreshed = try get() else { throw ScriptedService.Failure() }
        guard case .cached(let credentials) = try get() else { throw ScriptedService.Failure() }
        #expect(credentials.accessKeyID == "ASIA2")
    }

    @Test func `when that fails, what is still valid is handed out with the reason, and nothing once it has expired`()
        throws
    {
        _ = try get()
        clock.advance(3000)
        service.fail(true)
        guard case .stale(let credentials, let error) = try get() else { throw ScriptedService.Failure() }
        #expect(credentials.accessKeyID == "ASIA1")
        #expect(error is ScriptedService.Failure)
        clock.advance(600)
        #expect(throws: ScriptedService.Failure.self) { try get() }
    }

    @Test func `directories and files are the user's alone, whatever the umask`() throws {
        let before = umask(0)
        defer { umask(before) }
        _ = try get()
        #expect(mode(path) == 0o700)
        #expect(mode("\(directory)/pki") == 0o700)
        for file in try files("") { #expect(mode(file) == 0o600) }
    }

    @Test(arguments: ["", "pki-credentials 1\n", "rubbish", "pki-credentials 3\nend\n", "\0\0\0"])
    func `a file that is none is replaced`(contents: String) throws {
        _ = try get()
        let file = try #require(try files(".credentials").first)
        try Data(contents.utf8).write(to: URL(filePath: file))
        unsafe chmod(file, 0o600)
        guard case .refreshed = try get() else { throw ScriptedService.Failure() }
        guard case .cached = try get() else { throw ScriptedService.Failure() }
    }

    @Test func `half a file is none, wherever it was cut`() throws {
        _ = try get()
        let file = try #require(try files(".credentials").first)
        let whole = try Array(Data(contentsOf: URL(filePath: file)))
        #expect(CacheEntry(whole) != nil)
        for count in 0..<whole.count { #expect(CacheEntry(Array(whole.prefix(count))) == nil) }
    }

    @Test func `a file that others may read is not believed, nor is a link`() throws {
        _ = try get()
        let file = try #require(try files(".credentials").first)
        unsafe chmod(file, 0o644)
        guard case .refreshed = try get() else { throw ScriptedService.Failure() }
        #expect(mode(file) == 0o600)
        try FileManager.default.moveItem(atPath: file, toPath: "\(directory)/elsewhere")
        let before = try Data(contentsOf: URL(filePath: "\(directory)/elsewhere"))
        try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "\(directory)/elsewhere")
        guard case .refreshed = try get() else { throw ScriptedService.Failure() }
        #expect(mode(file) == 0o600)
        #expect(try Data(contentsOf: URL(filePath: "\(directory)/elsewhere")) == before)
    }

    @Test func `a directory that is a link, or that others may write to, is not used, and nothing is asked for`() throws
    {
        _ = try get()
        unsafe chmod(path, 0o770)
        var error = #expect(throws: DeliveryError.self) { try get() }
        #expect(error?.code == .unsafePlace)
        try FileManager.default.moveItem(atPath: path, toPath: "\(directory)/elsewhere")
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "\(directory)/elsewhere")
        error = #expect(throws: DeliveryError.self) { try get() }
        #expect(error?.code == .unsafePlace)
        #expect(service.calls.count == 1)
    }

    @Test func `credentials from a clock that was far ahead are not believed`() throws {
        clock.advance(100_000)
        _ = try get()
        clock.advance(-100_000)
        guard case .refreshed = try get() else { throw ScriptedService.Failure() }
    }

    @Test(arguments: [2.0 * 365 * 86_400, 43_501])
    func `W8: what says that it lasts longer than any session is not handed out, fresh or stale`(lifetime: Double)
        throws
    {
        _ = try get()
        let file = try #require(try files(".credentials").first)
        let forged = Credentials.example(issued: clock.now, lifetime: lifetime)
        let bytes = CacheEntry(parts: key.parts, credentials: forged).bytes
        try Data(bytes).write(to: URL(filePath: file))
        #expect(try cache.cached(for: key) == nil)
        #expect(try cache.entries().map(\.isFresh) == [false])
        service.fail(true)
        #expect(throws: ScriptedService.Failure.self) { try get() }
        #expect(try cache.clear(onlyExpired: true) == 1)
    }

    @Test func `W8: an entry of the first form, or for another key, is not handed out`() throws {
        _ = try get()
        let file = try #require(try files(".credentials").first)
        let whole = String(decoding: try Data(contentsOf: URL(filePath: file)), as: UTF8.self)
        for other in [
            whole.replacing("pki-credentials 2", with: "pki-credentials 1"), whole.replacing("3600", with: "900"),
        ] {
            try Data(other.utf8).write(to: URL(filePath: file))
            #expect(try cache.cached(for: key) == nil)
        }
        try Data(whole.utf8).write(to: URL(filePath: file))
        #expect(try cache.cached(for: key) != nil)
    }

    @Test(arguments: [
        "CN=x\r", "CN=x\r\n", "\n", "x\nend\n", "x\nrole-arn evil", "%0A", "\u{301}", "\0", " ", "", "é\u{2028}",
    ])
    func `W17: no text makes an entry unreadable, or a line of its own`(text: String) throws {
        var credentials = Credentials.example()
        credentials.sourceIdentity = text
        credentials.assumedRoleARN = text
        let parts = [CredentialCache.Key.Part(name: "role", value: text)]
        let entry = try #require(CacheEntry(CacheEntry(parts: parts, credentials: credentials).bytes))
        #expect(entry.credentials == credentials)
        #expect(entry.parts == parts)
        let failure = SharedFailure(DeliveryError(.storage, text, hint: text), status: 3, at: clock.now)
        #expect(SharedFailure(failure.text)?.status == 3)
    }

    @Test func `many threads make one request`() async throws {
        let cache = cache
        let (key, service) = (key, service)
        let keys = try await withThrowingTaskGroup { group in
            for _ in 0..<32 {
                group.addTask {
                    try cache.credentials(for: key, status: { _ in 2 }, obtain: { try service.source.obtain() })
                        .credentials.accessKeyID
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(keys == ["ASIA1"])
        #expect(service.calls.count == 1)
    }

    @Test func `who waited for a failure shares it`() throws {
        service.fail(true)
        let outer = cache
        let (key, service) = (key, service)
        let began = clock.now
        #expect(throws: ScriptedService.Failure.self) { try get() }
        // What one reads who began to wait before that.
        let lock = try #require(try files(".lock").first)
        let text = String(decoding: try Data(contentsOf: URL(filePath: lock)), as: UTF8.self)
        let failure = try #require(SharedFailure(text))
        #expect(failure.date >= began)
        #expect(failure.status == 77)
        #expect(failure.message.contains("Failure"))
        // One who begins later asks himself.
        clock.advance(1)
        #expect(throws: ScriptedService.Failure.self) {
            try outer.credentials(for: key, status: { _ in 2 }, obtain: { try service.source.obtain() })
        }
        #expect(service.calls.count == 2)
    }

    @Test func `what is there is listed without being changed, and cleared`() throws {
        _ = try get()
        clock.advance(3500)
        _ = try get(["role": "other", "duration": "1"])
        clock.advance(200)
        let entries = try cache.entries()
        #expect(entries.map(\.isFresh) == [false, true])
        #expect(entries[0].parts.map(\.name) == ["role", "duration"])
        #expect(try cache.clear(onlyExpired: true) == 1)
        #expect(try cache.entries().count == 1)
        #expect(try cache.clear(onlyExpired: false) == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty)
        guard case .refreshed = try get() else { throw ScriptedService.Failure() }
    }

    @Test func `a cache that was never used is empty`() throws {
        #expect(try cache.entries().isEmpty)
        #expect(try cache.clear(onlyExpired: false) == 0)
        #expect(!FileManager.default.fileExists(atPath: "\(directory)/pki"))
    }

    @Test func `a relative XDG_CACHE_HOME does not count`() {
        #expect(CredentialCache.standardPath(environment: [:], home: "/home/u") == "/home/u/.cache/pki/credentials")
        #expect(CredentialCache.standardPath(environment: ["XDG_CACHE_HOME": "/c"], home: "/h") == "/c/pki/credentials")
        #expect(
            CredentialCache.standardPath(environment: ["XDG_CACHE_HOME": "c"], home: "/h")
                == "/h/.cache/pki/credentials")
    }
}
