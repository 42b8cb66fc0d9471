// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// The libcrypto that this process runs with.
package enum OpenSSLVersion {
    /// Name, version and date: `OpenSSL 3.0.17 1 Jul 2025`.
    package static var text: String { unsafe Certificates.text(of: OpenSSL_version(OPENSSL_VERSION)) ?? "libcrypto" }
}
