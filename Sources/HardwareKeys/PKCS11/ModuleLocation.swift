// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// Which file is the module that an address wants.
enum ModuleLocation {
    /// p11-kit, whose own functions are those of all modules that the system is configured with.
    #if canImport(Darwin)
    static let proxy = "libp11-kit.0.dylib"
    #else
    static let proxy = "libp11-kit.so.0"
    #endif

    /// Where distributions put modules. A directory or a module that is not root's, or that others can write to, does not count:
    /// a name stands for what the system has.
    static let directories = [
        "/usr/lib/\(architecture)-linux-gnu/pkcs11", "/usr/lib64/pkcs11", "/usr/lib/pkcs11", "/usr/local/lib/pkcs11",
        "/usr/lib/softhsm", "/usr/lib64/softhsm", "/usr/lib/\(architecture)-linux-gnu/softhsm",
        "/usr/lib/\(architecture)-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib",
    ]

    /// The file to open: what the address names by path, else what the caller names, else what the address names by name,
    /// else p11-kit.
    ///
    /// - Parameters:
    ///   - address: The address.
    ///   - module: The caller's choice.
    ///   - directories: Where names are looked for.
    /// - Returns: A path, or a name for the system's loader.
    /// - Throws: ``HardwareKeyError`` with ``HardwareKeyErrorCode/missingLibrary`` when there is no module of that name.
    static func file(
        for address: PKCS11URI,
        module: String?,
        directories: [String] = directories
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
            hint: "name it by its path: --pkcs11-lib /…/\(printable(name)).so"
        )
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
