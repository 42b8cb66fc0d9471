// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import Glibc
import Synchronization
import SystemSupport

/// A library that speaks Cryptoki, opened and initialized; it stays so until the process ends.
///
/// Whether a module can be called from several threads is known only for those that say so. One lock per module makes it
/// true of all.
@safe final class CryptokiModule: Sendable {
    /// How it was named, for messages.
    let name: String

    // SAFETY: a table of functions that the library owns and never changes; it stays open until the process ends.
    private nonisolated(unsafe) let functions: UnsafePointer<CK_FUNCTION_LIST>

    private let lock = Mutex(())

    /// How often the module was initialized by us. Handles of sessions are worth nothing in another generation, where
    /// the same numbers may be given to others.
    let generation = Atomic(0)

    /// PINs that tokens have refused: they are not tried again in this process, by whomever they come.
    let refusals = Mutex(PINRefusals())

    /// Takes a table of functions and initializes the module behind it.
    ///
    /// - Parameters:
    ///   - name: How it was named.
    ///   - functions: The table, for good.
    /// - Throws: ``CryptokiError`` when it cannot be initialized.
    init(name: String, functions: UnsafePointer<CK_FUNCTION_LIST>) throws(CryptokiError) {
        self.name = name
        unsafe self.functions = unsafe functions
        try initialize()
    }

    /// Calls a function of the module while nobody else does.
    ///
    /// - Parameters:
    ///   - name: The function, for the error.
    ///   - body: Calls it. A module may leave a function out, which is `CKR_FUNCTION_NOT_SUPPORTED`.
    /// - Throws: ``CryptokiError`` when the function does not succeed.
    func call(_ name: StaticString, _ body: (CK_FUNCTION_LIST) -> CK_RV?) throws(CryptokiError) {
        let value = lock.withLock { _ in unsafe body(functions.pointee) }
        try require(value ?? CKR_FUNCTION_NOT_SUPPORTED, name)
    }

    /// Initializes the module, which may have been done before, or undone by someone else in this process.
    func initialize() throws(CryptokiError) {
        do {
            try call("C_Initialize") { functions in
                var arguments = unsafe CK_C_INITIALIZE_ARGS()
                unsafe arguments.flags = CKF_OS_LOCKING_OK
                return unsafe functions.C_Initialize?(&arguments)
            }
        } catch {
            switch error.value {
            case CKR_CRYPTOKI_ALREADY_INITIALIZED: return
            // Without locks of its own the module is content with ours.
            case CKR_CANT_LOCK, CKR_NEED_TO_CREATE_THREADS:
                try call("C_Initialize") { functions in functions.C_Initialize?(nil) }
            default: throw error
            }
        }
        generation.add(1, ordering: .sequentiallyConsistent)
    }

    /// Ends what the module does and initializes it again: some never find a token again that was away, or the service
    /// behind them.
    ///
    /// All sessions of this process with the module are lost, and opened again by those who need them.
    func restart() throws(CryptokiError) {
        try? call("C_Finalize") { $0.C_Finalize?(nil) }
        try initialize()
    }
}

extension CryptokiModule {
    private static let opened = Mutex<[String: CryptokiModule]>([:])

    /// The module that a file holds, opened when it is first asked for.
    ///
    /// - Parameter file: A path, or a name that the system's loader finds.
    /// - Returns: The module.
    /// - Throws: ``HardwareKeyError`` with ``HardwareKeyErrorCode/missingLibrary``.
    static func opened(_ file: String) throws -> CryptokiModule {
        try opened.withLock { opened in
            if let module = opened[file] { return module }
            let module = try CryptokiModule(opening: file)
            opened[file] = module
            return module
        }
    }

    private convenience init(opening file: String) throws(HardwareKeyError) {
        let functions = try unsafe Self.functions(of: file)
        do {
            try unsafe self.init(name: file, functions: functions)
        } catch {
            throw Self.unusable(file, "cannot be used: \(error)")
        }
    }

    /// Opens a library, for good, and asks it for its functions.
    static func functions(of file: String) throws(HardwareKeyError) -> UnsafePointer<CK_FUNCTION_LIST> {
        guard let library = unsafe dlopen(file, RTLD_NOW | RTLD_LOCAL) else {
            throw Self.unusable(file, "cannot be loaded: \(Self.loaderText)")
        }
        guard let symbol = unsafe dlsym(library, "C_GetFunctionList") else {
            throw Self.unusable(file, "has no C_GetFunctionList, so it is no PKCS#11 module")
        }
        typealias GetFunctionList =
            @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<CK_FUNCTION_LIST>?>?) -> CK_RV
        let getFunctionList = unsafe unsafeBitCast(symbol, to: GetFunctionList.self)
        var functions: UnsafeMutablePointer<CK_FUNCTION_LIST>?
        let value = unsafe getFunctionList(&functions)
        guard value == CKR_OK, let functions = unsafe functions else {
            let error = CryptokiError(value: value, function: "C_GetFunctionList")
            throw Self.unusable(file, "cannot be used: \(error)")
        }
        return unsafe UnsafePointer(functions)
    }

    private static var loaderText: String {
        guard let text = unsafe dlerror() else { return "no reason given" }
        return unsafe printable(String(cString: text), limit: 300)
    }

    private static func unusable(_ file: String, _ why: String) -> HardwareKeyError {
        HardwareKeyError(
            .missingLibrary,
            "the PKCS#11 module \(printable(file)) \(why)",
            hint: file == ModuleLocation.proxy
                ? "install it (apt-get install libp11-kit0), or name the token's own module: module-path=/…"
                : "name the token's module by its path: module-path=/usr/lib/…"
        )
    }
}
