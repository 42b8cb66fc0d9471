// SPDX-License-Identifier: Apache-2.0

/// A parser of foreign bytes. A new one is a file in Targets and a line in ``FuzzTarget/all``.
struct FuzzTarget: Sendable {
    /// What `--target` takes, and the directory of Corpus that belongs to it.
    let name: String

    /// Directories with more inputs to begin with, from the root of the package.
    let seeds: [String]

    /// Reads the bytes. Whatever they are, it returns.
    let run: @Sendable ([UInt8]) -> Void

    init(_ name: String, seeds: [String] = [], _ run: @escaping @Sendable ([UInt8]) -> Void) {
        (self.name, self.seeds, self.run) = (name, seeds, run)
    }

    // SAFETY: written once, before libFuzzer begins.
    nonisolated(unsafe) static var running: FuzzTarget?

    static let all: [FuzzTarget] = [
        pem, container, certificate, request, revocationList, ocspRequest, encodedName, name, template, awsFile,
        hostList, register,
        serviceAnswer, identityAnswer, httpRequest, labRequest, labSeed, policy, address, pkcs11URI, agent, cacheEntry,
        inventory, signature,
    ]
}
