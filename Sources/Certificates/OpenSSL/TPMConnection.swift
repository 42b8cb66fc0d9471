// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Glibc
import Synchronization
import SystemSupport

/// A libcrypto of its own with the provider that speaks to a TPM. Loading the provider connects to the TPM, for as long
/// as this value lives.
@safe final class TPMConnection: @unchecked Sendable {
    // SAFETY: libcrypto's context may be used by many threads, and what leads to the TPM is used under `lock` only: the
    // provider's older versions have no lock of their own. The providers are only let go, in `deinit`.
    private let library: Owned<LibraryContextObject>
    private var base: Owned<ProviderObject>?
    private var provider: Owned<ProviderObject>?
    private let lock = Mutex<Void>(())

    /// The connection of this process, made when it is first asked for.
    private static let sharedConnection = Mutex<TPMConnection?>(nil)

    /// The environment is changed by one at a time.
    private static let loading = Mutex<Void>(())

    /// The connection that the process's environment asks for; see ``TPMKey``. A failure is not kept.
    static func shared(insteadOf lost: TPMConnection? = nil) throws(CertificateError) -> TPMConnection {
        let names = [variable, "TPM2TOOLS_TCTI"]
        // While another connection is made, the variable has that one's value.
        let tcti = loading.withLock { _ in
            names.lazy.compactMap { unsafe text(of: getenv($0)) }.first { !$0.isEmpty }
        }
        return try sharedConnection.withLock { connection throws(CertificateError) in
            if let connection, connection !== lost { return connection }
            connection = nil
            let made = try TPMConnection(tcti: tcti)
            connection = made
            return made
        }
    }

    init(tcti: String?, modules: String? = nil) throws(CertificateError) {
        let usual = unsafe text(of: getenv("OPENSSL_MODULES")) ?? text(of: OPENSSL_info(OPENSSL_INFO_MODULES_DIR))
        let directory = modules ?? usual ?? ""
        guard FileStatus(at: "\(directory)/tpm2.so") != nil else {
            throw CertificateError(
                .unsupported,
                "keys in a TPM need OpenSSL's provider tpm2, and there is no \(printable(directory))/tpm2.so",
                hint: "apt-get install tpm2-openssl")
        }
        do {
            library = try unsafe Owned(OSSL_LIB_CTX_new(), from: "OSSL_LIB_CTX_new")
            try unsafe check(
                OSSL_PROVIDER_set_default_search_path(library.pointer, directory),
                "OSSL_PROVIDER_set_default_search_path")
            let loaded = unsafe OSSL_PROVIDER_load(library.pointer, "default")
            base = try unsafe Owned(loaded, from: "OSSL_PROVIDER_load")
        } catch {
            throw CertificateError(.failed, "the TPM cannot be used: \(error)")
        }
        do {
            let loaded = unsafe Self.load(library.pointer, tcti: tcti)
            provider = try unsafe Owned(loaded, from: "OSSL_PROVIDER_load")
        } catch {
            let place = tcti.map { printable($0, limit: 200) } ?? "the places where tpm2-tss looks for one"
            throw CertificateError(
                .absent, "no TPM answers at \(place): \(TPMAnswer(error).text)",
                hint: "\(Self.variable) names the place, as in device:/dev/tpmrm0, which the group tss may use")
        }
    }

    // In this order, and before the context.
    deinit {
        provider = nil
        base = nil
    }

    /// The variable that names the TPM to the provider, whose setting `tcti` does not work.
    private static let variable = "TPM2OPENSSL_TCTI"

    private static func load(_ library: OpaquePointer, tcti: String?) -> OpaquePointer? {
        // What a lock guards may not leave it as a pointer.
        let address = loading.withLock { _ in
            // tpm2-tss would write every failure to standard error, even an expected one; here it is in the error.
            unsafe setenv("TSS2_LOG", "all+NONE", 0)
            let before = unsafe text(of: getenv(variable))
            guard let tcti, tcti != before else {
                return unsafe UInt(bitPattern: OSSL_PROVIDER_load(library, "tpm2"))
            }
            unsafe setenv(variable, tcti, 1)
            defer {
                if let before { unsafe setenv(variable, before, 1) } else { unsafe unsetenv(variable) }
            }
            return unsafe UInt(bitPattern: OSSL_PROVIDER_load(library, "tpm2"))
        }
        return unsafe OpaquePointer(bitPattern: address)
    }

    /// Uses the TPM exclusively. The closure's libcrypto context lives at least as long as the call.
    func alone<Result: Sendable, Failure: Error>(
        _ body: (OpaquePointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try lock.withLock { _ throws(Failure) in try unsafe body(library.pointer) }
    }
}
