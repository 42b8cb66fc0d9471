// SPDX-License-Identifier: Apache-2.0

/// Who asks: the files of certificate, key and chain.
struct IdentitySettings: Sendable {
    var certificate: String?
    var privateKey: String?
    var intermediates: String?
    var passphraseFile: String?
    var passphraseEnv: String?
    var passphraseFd: Int32?
    var insecurePermissions = false

    /// Where the key's passphrase is, if it has one.
    ///
    /// - Throws: ``UsageError`` when several places are named.
    func passphraseSource() throws -> PassphraseSource? {
        try PassphraseSource.choose(
            file: passphraseFile,
            environment: passphraseEnv,
            descriptor: passphraseFd,
            option: "--passphrase"
        )
    }
}
