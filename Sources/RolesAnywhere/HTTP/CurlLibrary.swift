// SPDX-License-Identifier: Apache-2.0

import CCurl
import Glibc

/// libcurl, opened when the first request is made.
///
/// It is not linked, because it brings 38 libraries, and loading them costs 4 milliseconds: as much as everything else
/// that a command which needs no network does.
@safe struct CurlLibrary: Sendable {
    typealias EasyInit = @convention(c) () -> UnsafeMutableRawPointer?
    typealias EasyCleanup = @convention(c) (UnsafeMutableRawPointer?) -> Void
    typealias EasyPerform = @convention(c) (UnsafeMutableRawPointer?) -> CURLcode
    typealias GlobalInit = @convention(c) (CLong) -> CURLcode
    typealias ListAppend =
        @convention(c) (UnsafeMutablePointer<curl_slist>?, UnsafePointer<CChar>?) -> UnsafeMutablePointer<curl_slist>?
    typealias ListFree = @convention(c) (UnsafeMutablePointer<curl_slist>?) -> Void

    // SAFETY: functions of a library that stays open until the process ends.
    nonisolated(unsafe) let easyInit: EasyInit
    nonisolated(unsafe) let easyCleanup: EasyCleanup
    nonisolated(unsafe) let easyPerform: EasyPerform
    nonisolated(unsafe) let easySetOption: pki_curl_function
    nonisolated(unsafe) let easyGetInfo: pki_curl_function
    nonisolated(unsafe) let listAppend: ListAppend
    nonisolated(unsafe) let listFree: ListFree

    /// The library, opened and initialized on the first call.
    ///
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/missingLibrary``.
    static func loaded() throws(RolesAnywhereError) -> CurlLibrary { try shared.get() }

    private static let shared = Result { () throws(RolesAnywhereError) in try CurlLibrary(opening: fileName) }

    #if canImport(Darwin)
    private static let fileName = "libcurl.4.dylib"
    #else
    private static let fileName = "libcurl.so.4"
    #endif

    /// Opens the library, for good.
    ///
    /// - Parameter fileName: Its name, which the system's loader finds.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/missingLibrary``.
    init(opening fileName: String) throws(RolesAnywhereError) {
        guard let library = unsafe dlopen(fileName, RTLD_LAZY | RTLD_LOCAL) else {
            throw Self.unusable(fileName, "cannot be loaded")
        }
        func symbol(_ name: String) throws(RolesAnywhereError) -> UnsafeMutableRawPointer {
            guard let symbol = unsafe dlsym(library, name) else { throw Self.unusable(fileName, "has no \(name)") }
            return unsafe symbol
        }
        unsafe easyInit = unsafe unsafeBitCast(try symbol("curl_easy_init"), to: EasyInit.self)
        unsafe easyCleanup = unsafe unsafeBitCast(try symbol("curl_easy_cleanup"), to: EasyCleanup.self)
        unsafe easyPerform = unsafe unsafeBitCast(try symbol("curl_easy_perform"), to: EasyPerform.self)
        unsafe easySetOption = unsafe unsafeBitCast(try symbol("curl_easy_setopt"), to: pki_curl_function.self)
        unsafe easyGetInfo = unsafe unsafeBitCast(try symbol("curl_easy_getinfo"), to: pki_curl_function.self)
        unsafe listAppend = unsafe unsafeBitCast(try symbol("curl_slist_append"), to: ListAppend.self)
        unsafe listFree = unsafe unsafeBitCast(try symbol("curl_slist_free_all"), to: ListFree.self)
        let globalInit = unsafe unsafeBitCast(try symbol("curl_global_init"), to: GlobalInit.self)
        guard globalInit(CLong(CURL_GLOBAL_DEFAULT)) == CURLE_OK else {
            throw Self.unusable(fileName, "cannot be initialized")
        }
    }

    private static func unusable(_ fileName: String, _ why: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .missingLibrary,
            "the library \(fileName) \(why), and without it there is no network",
            hint: "install it: apt-get install libcurl4"
        )
    }
}
