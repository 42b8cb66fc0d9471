// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// A failed libcrypto function and every entry of its error queue. Creating one empties the queue, so that nothing is
/// left for the next caller on this thread.
struct OpenSSLError: Error, CustomStringConvertible {
    let function: String

    /// Reasons with their data, oldest first. The data may be of the input.
    let reasons: [String]

    /// libcrypto's reasons without their data, oldest first.
    let plainReasons: [String]

    /// Collects and clears the calling thread's error queue.
    init(in function: StaticString) {
        self.function = "\(function)"
        var reasons: [String] = []
        var plainReasons: [String] = []
        var data: UnsafePointer<CChar>?
        var flags: CInt = 0
        while true {
            let code = unsafe ERR_get_error_all(nil, nil, nil, &data, &flags)
            guard code != 0 else { break }
            let reason = unsafe ERR_reason_error_string(code)
            var text = unsafe reason.map { unsafe String(cString: $0) } ?? "error \(code)"
            plainReasons.append(text)
            if let data = unsafe data, flags & ERR_TXT_STRING != 0 {
                let detail = unsafe String(cString: data)
                if !detail.isEmpty { text += ", \(detail)" }
            }
            reasons.append(text)
        }
        self.reasons = reasons
        self.plainReasons = plainReasons
    }

    var description: String {
        reasons.isEmpty ? "\(function) failed" : "\(function) failed: \(reasons.joined(separator: "; "))"
    }
}

extension OpenSSLError {
    /// The error for a failed decryption: the passphrase is wrong, or libcrypto gives a reason other than a senseless
    /// result.
    func wrongPassphrase(for what: String) -> CertificateError {
        let isSenseless = reasons.allSatisfy { reason in
            ["bad decrypt", "pkcs12 cipherfinal error", "mac verify failure"].contains { reason.hasPrefix($0) }
        }
        return CertificateError(
            .wrongPassphrase,
            "\(what) cannot be decrypted: the passphrase is wrong\(isSenseless ? "" : ", or \(self)")",
            hint: "of a passphrase file only the first line is used, spaces included")
    }
}

/// Throws libcrypto's errors unless the function returned 1.
func check(_ status: CInt, _ function: StaticString) throws(OpenSSLError) {
    guard status == 1 else { throw OpenSSLError(in: function) }
}

/// Clears the error queue after an expected failure, such as the end of a list.
func forgiveOpenSSLErrors() {
    ERR_clear_error()
}
