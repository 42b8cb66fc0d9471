// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// An error of a TPM, or of the software that leads to it.
struct TPMAnswer {
    /// The meaning of the error for the caller.
    enum Meaning {
        /// The password is wrong, or missing.
        case wrongPassword
        /// Too many wrong passwords (TPM_RC_LOCKOUT).
        case lockedOut
        /// There is no such object.
        case noObject
        /// The key is not made for signing.
        case notForSigning
        /// The key signs in another way, or with another hash function.
        case otherScheme
        /// The key requires a policy, not a password.
        case policy
        /// The key was wrapped by another TPM, or under another parent.
        case otherParent
        /// The TPM's few places for loaded keys are taken.
        case full
        /// The TPM does not answer.
        case unreachable
        /// Anything else.
        case other
    }

    let meaning: Meaning
    let text: String

    /// Finds the TPM's response code among the reasons of a failure. The provider puts it into the error's text, in
    /// decimal: `2337 tpm:warn(2.0): authorizations for objects subject to DA protection are not allowed`.
    init(_ error: OpenSSLError) {
        for reason in error.reasons {
            guard let data = reason.split(separator: ", ", maxSplits: 1).last,
                let code = UInt32(data.prefix { $0.isNumber }), code > 0xff
            else { continue }
            meaning = Self.meaning(of: code)
            text = printable(String(data.drop { $0.isNumber }.drop { $0 == " " }), limit: 200)
            return
        }
        meaning = .other
        text =
            error.reasons.isEmpty ? "no reason is known" : printable(error.reasons.joined(separator: "; "), limit: 400)
    }

    /// The meaning of a response code (TCG, TPM 2.0 Library, part 2, 6.6).
    private static func meaning(of code: UInt32) -> Meaning {
        // The layers of tpm2-tss have numbers of their own; those of TCTIs lead to the TPM. A resource manager passes the
        // TPM's codes on under its own number.
        let layer = code >> 16 & 0xff
        if layer == 0x0a { return .unreachable }
        // ESAPI's permanent state after the TPM did not answer (TSS2_ESYS_RC_BAD_SEQUENCE).
        if code & 0xffffff == 0x07_0007 { return .unreachable }
        guard [0x00, 0x0b, 0x0c].contains(layer) else { return .other }
        let code = code & 0xffff
        // Bit 7 tells a code that names a parameter, a handle or a session, whose number is not part of the meaning.
        guard code & 0x80 != 0 else {
            switch code {
            case 0x921: return .lockedOut
            case 0x902, 0x903: return .full
            case 0x12f, 0x126: return .policy
            default: return .other
            }
        }
        switch code & 0xbf {
        case 0x8e, 0xa2: return .wrongPassword
        case 0x8b: return .noObject
        case 0x9c, 0x82, 0xa0: return .notForSigning
        case 0x92, 0x83: return .otherScheme
        case 0x9d: return .policy
        case 0x9f, 0xa6: return .otherParent
        default: return .other
        }
    }

    func error(of key: String, hasPassword: Bool) -> CertificateError {
        switch meaning {
        case .wrongPassword where hasPassword:
            CertificateError(
                .wrongPassphrase, "the password for \(key) is wrong; it was tried once, and wrong ones lock the TPM",
                hint: "give the right one; `tpm2_getcap properties-variable` shows how many wrong ones were counted")
        case .wrongPassword:
            CertificateError(
                .missingPassphrase, "\(key) has a password, and none was given",
                hint: "name where it is: --passphrase-file FILE")
        case .lockedOut:
            CertificateError(
                .locked, "the TPM accepts no password for \(key): there were too many wrong ones",
                hint: "wait, or run tpm2_dictionarylockout --clear-lockout")
        case .noObject:
            CertificateError(
                .absent, "\(key) or its parent does not exist",
                hint: "`tpm2_getcap handles-persistent` lists the keys that stay in the TPM")
        case .notForSigning:
            CertificateError(
                .unsupported,
                "\(key) may not sign what it is given: it is made for something else, or restricted (\(text))",
                hint: "make a key with the attribute sign and without restricted")
        case .otherScheme:
            CertificateError(
                .unsupported,
                "\(key) does not sign in this way: it is bound to another scheme or hash function (\(text))",
                hint: "make a key without a scheme of its own, or for RSASSA or ECDSA with SHA-256")
        case .policy:
            CertificateError(
                .unsupported, "\(key) can be used under a policy only, not with a password (\(text))",
                hint: "make a key with the attribute userwithauth")
        case .otherParent:
            CertificateError(
                .mismatch, "\(key) was made in another TPM, or under another parent (\(text))",
                hint: "only the TPM that made it can load it: make a new key in this one")
        case .full:
            CertificateError(
                .failed, "the TPM has no room to load \(key) (\(text))",
                hint: "go through the system's resource manager, /dev/tpmrm0, or clear the TPM: tpm2_flushcontext -t")
        case .unreachable:
            CertificateError(
                .absent, "\(key) cannot be used: the TPM does not answer any more (\(text))",
                hint: "see whether the TPM or its resource manager works: tpm2_getcap properties-fixed")
        case .other:
            CertificateError(.failed, "\(key) cannot be used: \(text)")
        }
    }
}
