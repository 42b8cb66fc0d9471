// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import Glibc
import Synchronization
import SystemSupport
import Testing

@testable import HardwareKeys

extension TokenTests {
    @Suite(.serialized) struct PINs {
        let tests: TokenTests
        var directory: TokenDirectory { tests.directory }

        init() throws {
            tests = try TokenTests()
            Interposed.flags.store(0, ordering: .sequentiallyConsistent)
        }

        /// A source that writes down what it is asked, on a module that counts logins.
        private func source(
            reusesPIN: Bool = false, requests: Requests = Requests(), _ answer: String? = TokenDirectory.pin
        ) throws -> PKCS11Source {
            let module = try Interposed.module()
            return PKCS11Source(
                reusesPIN: reusesPIN,
                pin: { request in
                    requests.add(request)
                    return answer.map { SecretBytes($0.utf8) }
                },
                open: { _ in module }
            )
        }

        private func address(_ path: String, _ query: String = "") throws -> PKCS11URI {
            try PKCS11URI("pkcs11:\(path)" + (query.isEmpty ? "" : "?\(query)"))
        }

        @Test func `a wrong PIN is tried once, and never again`() throws {
            try directory.makeKey("refusing", "key", id: "01")
            let before = Interposed.logins.value
            let requests = Requests()
            let wrong = try source(requests: requests, "000000")
            let first = try tests.failure { try wrong.key(at: address("token=refusing;object=key")) }
            #expect(first.code == .wrongPIN)
            #expect(first.message.contains("refusing") && first.message.contains("CKR_PIN_INCORRECT"))
            #expect(first.hint?.contains("few attempts") == true)
            #expect(Interposed.logins.value == before + 1)

            // Neither asked for again, nor from elsewhere.
            for again in [wrong, try source("000000")] {
                let error = try tests.failure { try again.key(at: address("token=refusing;object=key")) }
                #expect(error.code == .wrongPIN)
            }
            let told = try address("token=refusing;object=key", "pin-value=000000")
            #expect(try tests.failure { try source().key(at: told) }.code == .wrongPIN)
            #expect(Interposed.logins.value == before + 1)
            #expect(requests.all.count == 2)
            #expect(requests.all.map(\.hasFewAttempts) == [false, true])
            for text in [first.message, first.hint ?? ""] { #expect(!text.contains("000000")) }

            let key = try source().key(at: address("token=refusing;object=key"))
            #expect(Interposed.logins.value == before + 2)
            #expect(key.label == "key")
        }

        @Test func `without a PIN none is tried`() throws {
            let before = Interposed.logins.value
            for answer in [nil, ""] {
                let error = try tests.failure { try source(answer).key(at: address("token=first;object=pinless")) }
                #expect(error.code == .pinNeeded)
                #expect(error.message.contains("first"))
            }
            #expect(Interposed.logins.value == before)
        }

        @Test(arguments: [CKF_USER_PIN_LOCKED, CKF_USER_PIN_FINAL_TRY])
        func `a token that is locked, or would be, is left alone`(flag: CK_FLAGS) throws {
            let before = Interposed.logins.value
            Interposed.flags.store(flag, ordering: .sequentiallyConsistent)
            let error = try tests.failure { try source().key(at: address("token=first;object=locked")) }
            #expect(error.code == .locked)
            #expect(error.hint != nil)
            #expect(Interposed.logins.value == before)
        }

        @Test func `a token with a keypad asks by itself`() throws {
            try directory.makeKey("first", "keypad", id: "02")
            let requests = Requests()
            Interposed.flags.store(CKF_PROTECTED_AUTHENTICATION_PATH, ordering: .sequentiallyConsistent)
            let key = try source(requests: requests).key(at: address("token=first;object=keypad", "pin-value=000000"))
            #expect(try !key.signature(for: [1], digest: .sha256).isEmpty)
            #expect(requests.all.isEmpty)
        }

        @Test func `an accepted PIN is not asked for twice`() throws {
            try directory.makeKey("first", "asked", id: "03")
            let requests = Requests()
            let source = try source(requests: requests)
            for _ in 0..<3 { _ = try source.key(at: address("token=first;object=asked")) }
            #expect(requests.all == [PINRequest(tokenLabel: "first", purpose: .login, hasFewAttempts: false)])
        }

        @Test(arguments: ["", "\n", "\r\nnext line\n"])
        func `a PIN comes from the first line of a file`(end: String) throws {
            if end.isEmpty { try directory.makeKey("first", "source", id: "04") }
            let file = try directory.write(Array("\(TokenDirectory.pin)\(end)".utf8), to: "pin")
            let key = try source(nil).key(at: address("token=first;object=source", "pin-source=file:\(file)"))
            #expect(key.identifier == [4])
        }

        @Test(arguments: ["", "\n", String(repeating: "1", count: 2000)])
        func `a file without a PIN is named`(text: String) throws {
            let file = try directory.write(Array(text.utf8), to: "no-pin")
            let sources = ["pin-source=\(file)", "pin-source=\(file).missing"]
            for query in sources {
                let error = try tests.failure { try source().key(at: address("token=second;object=x", query)) }
                #expect(error.code == .pinNeeded)
                #expect(error.message.contains(file))
            }
        }

        @Test func `a key that wants the PIN for each signature is given it`() throws {
            try directory.makeKey("first", "always", id: "05", "--always-auth")
            let requests = Requests()
            let key = try source(requests: requests).key(at: address("token=first;object=always"))
            // One login, and one for the signature that proves the key.
            #expect(requests.all.map(\.purpose) == [.login, .signature])
            for _ in 0..<2 { _ = try key.signature(for: [1], digest: .sha256) }
            #expect(requests.all.map(\.purpose) == [.login, .signature, .signature, .signature])

            let reusing = Requests()
            let reused = try source(reusesPIN: true, requests: reusing).key(at: address("token=first;object=always"))
            for _ in 0..<2 { _ = try reused.signature(for: [1], digest: .sha256) }
            #expect(reusing.all.count == 1)
        }

        @Test func `a key that wants the PIN for each signature says so when there is none`() throws {
            try directory.makeKey("first", "never", id: "06", "--always-auth")
            let path = try address("token=first;object=never", "pin-value=\(TokenDirectory.pin)")
            let error = try tests.failure { try source(nil).key(at: path) }
            #expect(error.code == .pinNeeded)
            #expect(error.message.contains("each signature"))
            #expect(try source(reusesPIN: true, nil).key(at: path).label == "never")
        }

        @Test func `a PIN of the wrong kind does not spoil the session`() throws {
            try directory.makeKey("second", "mixed", id: "07", "--always-auth")
            let answers = Mutex([TokenDirectory.pin, TokenDirectory.pin, "999999", TokenDirectory.pin])
            let module = try Interposed.module()
            let source = PKCS11Source(
                reusesPIN: false,
                pin: { _ in SecretBytes(answers.withLock { $0.removeFirst() }.utf8) },
                open: { _ in module }
            )
            let key = try source.key(at: address("token=second;object=mixed"))
            #expect(try tests.failure { try key.signature(for: [1], digest: .sha256) }.code == .wrongPIN)
            #expect(try !key.signature(for: [1], digest: .sha256).isEmpty)
        }
    }
}

/// What was asked for.
final class Requests: Sendable {
    private let list = Mutex<[PINRequest]>([])
    var all: [PINRequest] { list.withLock { $0 } }
    func add(_ request: PINRequest) { list.withLock { $0.append(request) } }
}

/// SoftHSM with a few functions replaced: logins are counted, and tokens say what a test wants them to say.
enum Interposed {
    static let logins = Counter()
    static let flags = Atomic<CK_FLAGS>(0)

    static func module() throws -> CryptokiModule { try made.get() }

    // SAFETY: set once, before anything is called through the table, and never freed.
    private nonisolated(unsafe) static var real: UnsafePointer<CK_FUNCTION_LIST>?

    private static let made = Result {
        let original = try unsafe CryptokiModule.functions(of: TokenDirectory.module)
        unsafe real = unsafe original
        let table = UnsafeMutablePointer<CK_FUNCTION_LIST>.allocate(capacity: 1)
        unsafe table.initialize(to: original.pointee)
        unsafe table.pointee.C_GetTokenInfo = { slot, information in
            let value = unsafe Interposed.real?.pointee.C_GetTokenInfo(slot, information)
            unsafe information?.pointee.flags |= Interposed.flags.load(ordering: .sequentiallyConsistent)
            return value ?? CKR_GENERAL_ERROR
        }
        unsafe table.pointee.C_Login = { session, user, pin, count in
            Interposed.logins.count()
            guard let login = unsafe Interposed.real?.pointee.C_Login else { return CKR_GENERAL_ERROR }
            guard unsafe pin == nil else { return unsafe login(session, user, pin, count) }
            var typed = Array(TokenDirectory.pin.utf8)
            return unsafe login(session, user, &typed, CK_ULONG(typed.count))
        }
        return try unsafe CryptokiModule(name: "interposed", functions: UnsafePointer(table))
    }
}
