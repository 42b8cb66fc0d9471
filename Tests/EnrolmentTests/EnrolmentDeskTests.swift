// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Dispatch
import Synchronization
import SystemSupport
import TestSupport
import Testing

@testable import Enrolment

/// A key whose second signature takes until it is released.
private final class SlowKey: SigningKey {
    private let key: PrivateKey
    private let count = Atomic(0)
    private let isReleased = DispatchSemaphore(value: 0)
    var publicKey: PublicKey { key.publicKey }

    init(_ key: PrivateKey) { self.key = key }

    func release() { isReleased.signal() }

    func signature(for message: [UInt8], digest: Digest) throws -> [UInt8] {
        if count.add(1, ordering: .relaxed).newValue == 2 {
            #expect(isReleased.wait(timeout: .now() + 60) == .success)
        }
        return try key.signature(for: message, digest: digest)
    }
}

@Suite struct EnrolmentDeskTests {
    @Test func `what is signed does not wait for a key that takes long`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], uses: 2)
        let file = try Directory(ca.directory.path, for: .reading).read("root-key.pem").bytes
        let slow = SlowKey(try PrivateKey(reading: file, passphrase: nil))
        let authority = try CertificateAuthority(
            openingIn: ca.directory.path, by: "test", now: ca.now, keyAddress: "test:key", inventory: ca.address,
            openKey: { _, _ in slow })
        let desk = EnrolmentDesk(authority, rules: EnrolmentRules(authority.inventory), jobs: 2) { ca.now }
        await withTaskGroup { tasks in
            for name in ["web-1", "web-2"] {
                tasks.addTask {
                    let result = await withCheckedContinuation { continuation in
                        let request = try? ca.request("CN=\(name)")
                        guard let request else { return continuation.resume(returning: false) }
                        desk.submit(EnrolmentRequest(request: request, proof: .token(token), peer: "a test")) {
                            continuation.resume(returning: (try? $0.get()) != nil)
                        }
                    }
                    #expect(result)
                    slow.release()
                }
            }
        }
    }

    @Test func `more requests than a group has are each answered, with as many uses as there are`() async throws {
        let ca = try TestCA()
        let token = try ca.token(["web-*"], uses: 290)
        let key = try PrivateKey(generating: .ecP256)
        let requests = try (1...300).map {
            EnrolmentRequest(request: try ca.request("CN=web-\($0)", key: key), proof: .token(token), peer: "a test")
        }
        let results = await ca.ask(requests)
        let issued = results.filter { (try? $0.get()) != nil }
        #expect(results.count == 300 && issued.count == 290)
        #expect(try ca.inventory.token(token)?.used == 290)
    }
}
