// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// What is random about one certificate besides its key, drawn before threads share the work.
struct IssuanceRandomness: Sendable {
    let serialNumber: SerialNumber
    /// The passphrase of a PKCS#12 file, when one is to be made.
    let passphrase: SecretBytes?

    init(for request: ClientRequest, using generator: inout some RandomNumberGenerator) {
        serialNumber = .random(using: &generator)
        passphrase = request.bundle == nil ? nil : GeneratedPassphrase.make(using: &generator)
    }
}
