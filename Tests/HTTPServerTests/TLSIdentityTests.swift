// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import HTTPServer
import SystemSupport

extension TLSFixture {
    func identity(clientRoots: String = "") throws -> TLSIdentity {
        try TLSIdentity(
            certificateChain: Array(certificate.utf8), privateKey: Array(key.utf8), clientRoots: Array(clientRoots.utf8)
        )
    }

    var certificateDER: [UInt8] {
        Array(Data(base64Encoded: certificate.split(separator: "\n").dropFirst().dropLast().joined()) ?? Data())
    }
}

@Suite struct TLSIdentityTests {
    private static let own = TLSFixture.server

    // openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkcs8 -topk8 -iter 1000 -passout pass:x
    private static let encryptedKey = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiErR9MIDEa1wICA+gw
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEP9FDYF9WIzcRJjYOkx4jhMEgZD4
        4qAbCYLTucjQxWvB5wFY7UTA2IZDaEmg0wCI2p8Nk4P8PVZ6yorxF7vD9ePJljn9
        2IRih5b/tH3CuQUX+k+e5NTYHJDWlilpk2f3bA7BQa9ikhH/hMC2Nbpit1+nKGDE
        /tpOa0rSlnVby4KZCMaNLrNVFhW4htdTbJPYbozGr3SbeGB768mNYdIcIbzFijs=
        -----END ENCRYPTED PRIVATE KEY-----
        """

    @Test func `PEM is read with what surrounds it`() throws {
        let chain = "a comment\n\(Self.own.certificate)\n\n\(TLSFixture.clients.certificate)\n"
        _ = try TLSIdentity(certificateChain: Array(chain.utf8), privateKey: Array("\(Self.own.key)\n".utf8))
    }

    @Test(arguments: [
        // Of another certificate, cut, with a passphrase, and none.
        (own.certificate, TLSFixture.client.key),
        (own.certificate, String(own.key.prefix(120)) + "\n-----END PRIVATE KEY-----"),
        (own.certificate, encryptedKey),
        (own.certificate, ""),
        (own.certificate, own.certificate),
        ("", own.key),
        (own.key, own.key),
        (own.certificate + "\n" + TLSFixture.client.certificate.replacing("MII", with: "AAA"), own.key),
        (own.certificate.replacing("MII", with: "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMII"), own.key),
    ])
    func `certificates and keys that do not fit or cannot be read are refused`(_ chain: String, _ key: String) {
        let error = #expect(throws: HTTPServerError.self) {
            try TLSIdentity(certificateChain: Array(chain.utf8), privateKey: Array(key.utf8))
        }
        #expect(error?.code == .invalidIdentity)
    }

    @Test func `roots for clients that cannot be read are refused`() {
        #expect(throws: HTTPServerError.self) { try Self.own.identity(clientRoots: Self.own.key) }
    }

    @Test func `no description of an identity shows the key`() throws {
        let identity = try Self.own.identity()
        var text = "\(identity) \(String(reflecting: identity)) "
        dump(identity, to: &text)
        #expect(!text.contains("PRIVATE"))
        #expect(text.contains("TLSIdentity"))
    }
}
