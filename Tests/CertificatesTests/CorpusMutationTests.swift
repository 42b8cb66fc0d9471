// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

/// Damaged files are read or refused: no crash, no endless loop, whatever stands in them.
///
/// A crash ends the process before a test can say at which number: the debugger shows `number`, or fewer of them are run.
@Suite struct CorpusMutationTests {
    /// How many damaged files are read; `script/test --full` asks for ten times as many.
    static let mutations = ProcessInfo.processInfo.environment["PKI_TEST_MUTATIONS"].flatMap(Int.init) ?? 20_000

    /// Parts that can be run beside one another.
    static let parts = 8

    /// No file may keep the reader busy for longer. The limits on key derivation allow for some seconds.
    static let patience = Duration.seconds(900)

    @Test(arguments: 0..<parts)
    func `a damaged file is read or refused`(part: Int) async throws {
        let sources = try Self.sources()
        var (opened, refused) = (0, 0)
        for number in stride(from: part, to: Self.mutations, by: Self.parts) {
            let mutation = CorpusMutation(number: number, of: sources)
            let start = ContinuousClock.now
            do {
                let file = SecretBytes(mutation.contents)
                let container = try Container(reading: file, passphrase: mutation.passphrase)
                for object in container.objects {
                    use(object, passphrase: mutation.passphrase, signing: number % 8 == 0)
                }
                opened += 1
            } catch {
                if error.message.isEmpty { Issue.record("mutation \(number) is refused without a word") }
                refused += 1
            }
            if ContinuousClock.now - start > Self.patience { Issue.record("mutation \(number) keeps the reader busy") }
            // Other tests want their turn.
            if number % 512 == part { await Task.yield() }
        }
        // Damage that never hurts, or always does at once, would prove nothing.
        #expect(min(opened, refused) * 10 > opened + refused, "\(opened) opened, \(refused) refused")
    }

    /// The corpus, as often as each of its files shall be taken.
    private static func sources() throws -> [CorpusMutation.Source] {
        try Corpus.load().files.flatMap { file in
            let contents = try file.contents()
            let source = CorpusMutation.Source(
                contents: contents, passphrase: file.secret,
                documents: file.form == .pem ? (try? PEMDocument.documents(in: contents)) ?? [] : [],
                weight: weight(of: file, contents.count))
            return Array(repeating: source, count: source.weight)
        }
    }

    /// Large files, and those whose key derivation takes long, are damaged rarely; containers that no authentication code
    /// protects from damage, often.
    private static func weight(of file: Corpus.File, _ count: Int) -> Int {
        if file.costly == true { return 1 }
        if file.form == .pkcs12, file.passphrase == nil { return 2000 }
        let weight =
            switch count {
            case 0..<1000: 400
            case 1000..<2500: 200
            case 2500..<5000: 50
            default: 10
            }
        // 2,048 rounds are cheap once.
        return file.passphrase == nil ? weight : weight / 2
    }

    /// Asks an object for everything that it can say.
    private func use(_ object: Container.Object, passphrase: SecretBytes?, signing: Bool) {
        switch object {
        case .certificate(let certificate):
            _ =
                "\(certificate.subject) \(certificate.issuer) \(certificate.serialNumber) \(certificate.signatureAlgorithm)"
            _ = (certificate.version, certificate.notBefore, certificate.notAfter, certificate.fingerprint)
            _ = (certificate.publicKey, certificate.extensions, certificate.basicConstraints, certificate.keyUsage)
            _ = (certificate.subjectKeyIdentifier, certificate.authorityKeyIdentifier, certificate.isSelfIssued)
            for each in certificate.extensions { _ = "\(each)" }
        case .certificateRequest(let request):
            _ = "\(request.subject) \(request.subjectAlternativeNames) \(request.otherExtensions) \(request.publicKey)"
        case .revocationList(let list):
            _ = "\(list.issuer) \(list.signatureAlgorithm) \(list.thisUpdate) \(list.unhandledCriticalExtensions)"
            _ = (list.version, list.nextUpdate, list.number, list.authorityKeyIdentifier, list.isDelta)
            for entry in list.entries { _ = list.entry(for: entry.serialNumber)?.reason }
        case .publicKey(let key):
            _ = "\(key.algorithm)"
            if signing { _ = key.isValid(signature: [1, 2, 3], for: [4], digest: .sha256) }
        case .privateKey(let encoded):
            _ = encoded.encryption
            guard let key = try? encoded.key(passphrase: passphrase) else { return }
            _ = "\(key.publicKey.algorithm)"
            if signing { _ = try? key.signature(for: [4], digest: .sha256) }
        case .unknown(let label): _ = label.count
        }
    }
}
