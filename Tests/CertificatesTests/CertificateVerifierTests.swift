// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

@Suite struct CertificateVerifierTests {
    /// A root, an intermediate and a leaf.
    struct Chain {
        let rootKey: PrivateKey
        let root: Certificate
        let intermediate: Certificate
        let leaf: Certificate

        init() throws {
            rootKey = try PrivateKey(generating: .ecP256)
            root = try Samples.root(rootKey)
            let key = try PrivateKey(generating: .ecP384)
            var parameters = try Samples.parameters("CN=Intermediate", key: key.publicKey, template: Samples.rootText)
            parameters.pathLength = 0
            intermediate = try parameters.signed(by: rootKey, issuer: root)
            leaf = try Samples.parameters(
                "CN=leaf", key: PrivateKey(generating: .ecP256).publicKey, template: Samples.clientText
            )
            .signed(by: key, issuer: intermediate)
        }
    }

    @Test func `a path is found through an intermediate, and ends at any anchor`() throws {
        let chain = try Chain()
        let whole = try CertificateVerifier(anchors: [chain.root]).path(
            for: chain.leaf, intermediates: [chain.intermediate], at: Samples.now)
        #expect(whole == [chain.leaf, chain.intermediate, chain.root])
        let short = try CertificateVerifier(anchors: [chain.intermediate]).path(for: chain.leaf, at: Samples.now)
        #expect(short == [chain.leaf, chain.intermediate])
    }

    @Test func `a missing intermediate, another anchor and another time are refused with the reason`() throws {
        let chain = try Chain()
        let verifier = CertificateVerifier(anchors: [chain.root])
        let other = CertificateVerifier(anchors: [try Samples.root(PrivateKey(generating: .ecP256))])
        let late = Samples.now.addingTimeInterval(200_000)
        let cases: [(CertificateVerifier, [Certificate], Date, String)] = [
            (verifier, [], Samples.now, "unable to get local issuer"),
            (other, [chain.intermediate], Samples.now, "does not verify"),
            (verifier, [chain.intermediate], late, "expired"),
            (verifier, [chain.intermediate], Samples.now.addingTimeInterval(-1000), "not yet valid"),
        ]
        for (verifier, intermediates, date, reason) in cases {
            #expect {
                try verifier.path(for: chain.leaf, intermediates: intermediates, at: date)
            } throws: { error in
                (error as? CertificateError)?.code == .untrusted && "\(error)".contains(reason)
            }
        }
    }

    @Test func `who signed whom is told by the signature`() throws {
        let chain = try Chain()
        #expect(chain.root.hasSigned(chain.intermediate))
        #expect(chain.root.hasSigned(chain.root))
        #expect(!chain.root.hasSigned(chain.leaf))
        #expect(chain.intermediate.hasSigned(chain.leaf))
    }

    @Test func `certificates are read from PEM and DER, and damaged ones are refused`() throws {
        let chain = try Chain()
        let text = "noise\n" + chain.leaf.pemEncoded + "between\n" + chain.root.pemEncoded
        #expect(try Certificate.certificates(in: Array(text.utf8)) == [chain.leaf, chain.root])
        #expect(try Certificate.certificates(in: chain.leaf.derEncoded) == [chain.leaf])
        #expect(try Certificate.certificates(in: Array("nothing".utf8)).isEmpty)
        #expect(throws: CertificateError.self) { try Certificate(derEncoded: chain.leaf.derEncoded + [0]) }
        #expect(throws: CertificateError.self) { try Certificate(derEncoded: Array(chain.leaf.derEncoded.dropLast())) }
        #expect(throws: CertificateError.self) { try Certificate(derEncoded: []) }
    }

    @Test func `the fields of a certificate are read`() throws {
        let chain = try Chain()
        #expect(chain.leaf.version == 3)
        #expect(!chain.leaf.isCA && chain.root.isCA)
        #expect(chain.intermediate.basicConstraints == BasicConstraints(isCA: true, pathLength: 0))
        #expect(chain.root.keyUsage == [.digitalSignature, .keyCertSign, .crlSign])
        #expect(chain.leaf.extendedKeyUsage == ["clientAuth"])
        #expect(chain.leaf.signatureAlgorithm.digest == "SHA384" && !chain.leaf.signatureAlgorithm.isWeak)
        #expect(chain.root.isSelfIssued && !chain.leaf.isSelfIssued)
        #expect(chain.leaf.isValid(at: chain.leaf.notBefore) && chain.leaf.isValid(at: chain.leaf.notAfter))
        #expect(!chain.leaf.isValid(at: chain.leaf.notAfter.addingTimeInterval(1)))
    }
}
