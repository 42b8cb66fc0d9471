// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import Synchronization
import SystemSupport

/// A PKCS#11 library, opened and initialized until the process ends. One lock per module serializes its calls, because
/// only some modules may be called from several threads.
@safe final class CryptokiModule: Sendable {
    /// How it was named, for messages.
    let name: String

    // SAFETY: a table of functions that the library owns and never changes; it stays open until the process ends.
    private nonisolated(unsafe) let functions: UnsafePointer<CK_FUNCTION_LIST>

    private let lock = Mutex(())

    /// How often this process initialized the module. Session handles of another generation are invalid: the same numbers
    /// may be in use again.
    let generation = Atomic(0)

    /// PINs that tokens have refused: they are not tried again in this process, by whomever they come.
    let refusals = Mutex(PINRefusals())

    /// Initializes the module of a table of functions, which must stay valid.
    init(name: String, functions: UnsafePointer<CK_FUNCTION_LIST>) throws(CryptokiError) {
        self.name = name
        unsafe self.functions = unsafe functions
        try initialize()
    }

    /// Calls a function of the module under its lock. A function that the module leaves out is
    /// `CKR_FUNCTION_NOT_SUPPORTED`.
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
            // A module without locks of its own is protected by ours.
            case CKR_CANT_LOCK, CKR_NEED_TO_CREATE_THREADS:
                try call("C_Initialize") { functions in functions.C_Initialize?(nil) }
            default: throw error
            }
        }
        generation.add(1, ordering: .sequentiallyConsistent)
    }

    /// Finalizes the module and initializes it again: some never find a token again that was removed. All sessions of
    /// this process with the module are lost, and are opened again when they are needed.
    func restart() throws(CryptokiError) {
        try? call("C_Finalize") { $0.C_Finalize?(nil) }
        try initialize()
    }
}

extension CryptokiModule {
    private static let opened = Mutex<[String: CryptokiModule]>([:])

    /// The module that a file holds, opened when it is first asked for.
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

    /// Opens a library, which is never closed, and gets its functions.
    static func functions(of file: String) throws(HardwareKeyError) -> UnsafePointer<CK_FUNCTION_LIST> {
        let library: DynamicLibrary
        do { library = try DynamicLibrary(file, isLazy: false) } catch {
            throw Self.unusable(file, "cannot be loaded: \(error.reason)")
        }
        guard let symbol = unsafe library.symbol("C_GetFunctionList") else {
            throw Self.unusable(file, "has no C_GetFunctionList, so it is not a PKCS#11 module")
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

    private static func unusable(_ file: String, _ why: String) -> HardwareKeyError {
        HardwareKeyError(
            .missingLibrary, "the PKCS#11 module \(printable(file)) \(why)",
            hint: file == ModuleLocation.proxy
                ? "install it (apt-get install libp11-kit0), or name the token's own module: module-path=/…"
                : "name the token's module by its path: module-path=/usr/lib/…")
    }
}

/// Finds the file of the module for an address.
enum ModuleLocation {
    /// p11-kit, whose own functions are those of all modules that the system is configured with.
    #if canImport(Darwin)
    static let proxy = "libp11-kit.0.dylib"
    #else
    static let proxy = "libp11-kit.so.0"
    #endif

    /// The directories in which distributions install modules. A directory or a module that is not root's, or that others
    /// can write to, is ignored.
    static let directories = [
        "/usr/lib/\(architecture)-linux-gnu/pkcs11", "/usr/lib64/pkcs11", "/usr/lib/pkcs11", "/usr/local/lib/pkcs11",
        "/usr/lib/softhsm", "/usr/lib64/softhsm", "/usr/lib/\(architecture)-linux-gnu/softhsm",
        "/usr/lib/\(architecture)-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib",
    ]

    /// The file to open: what the address names by path, else what the caller names, else what the address names by name,
    /// else p11-kit.
    static func file(
        for address: PKCS11URI, module: String?, directories: [String] = directories
    ) throws(HardwareKeyError) -> String {
        if let path = address.modulePath ?? module { return path }
        guard let name = address.moduleName else { return proxy }
        for directory in directories {
            for file in ["\(directory)/\(name).so", "\(directory)/lib\(name).so", "\(directory)/\(name)"]
            where isSystems(directory, .directory) && isSystems(file, .regular) {
                return file
            }
        }
        throw HardwareKeyError(
            .missingLibrary,
            "there is no PKCS#11 module \(printable(name)) in the directories where modules are, or it is not root's alone",
            hint: "name it by its path: --pkcs11-lib /…/\(printable(name)).so")
    }

    private static func isSystems(_ path: String, _ kind: FileStatus.Kind) -> Bool {
        guard let status = FileStatus(at: path) else { return false }
        return status.kind == kind && status.owner == 0 && status.mode & 0o022 == 0
    }

    private static var architecture: String {
        #if arch(arm64)
        "aarch64"
        #else
        "x86_64"
        #endif
    }
}
