// SPDX-License-Identifier: Apache-2.0

import CCurl
import SystemSupport

/// One request in libcurl's hands: set up, performed once, and freed with everything that was made for it.
@safe struct CurlHandle: ~Copyable {
    private let library: CurlLibrary
    private let easy: UnsafeMutableRawPointer
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private let errorText: UnsafeMutablePointer<CChar>
    private let reception: Reception

    init(_ library: CurlLibrary, bodyLimit: Int) throws(RolesAnywhereError) {
        guard let easy = unsafe library.easyInit() else {
            throw RolesAnywhereError(.missingLibrary, "libcurl cannot make a handle: curl_easy_init failed")
        }
        self.library = library
        unsafe self.easy = unsafe easy
        unsafe headerList = nil
        unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        reception = Reception(bodyLimit: bodyLimit)
    }

    deinit {
        unsafe library.easyCleanup(easy)
        unsafe library.listFree(headerList)
        unsafe errorText.deallocate()
    }

    /// Sets what every request has in common: the answer is kept here, and neither signals nor standard output are used.
    func prepare() throws(RolesAnywhereError) {
        let context = unsafe Unmanaged.passUnretained(reception).toOpaque()
        let setOption = unsafe library.easySetOption
        let text = unsafe UnsafeMutableRawPointer(errorText)
        try require(unsafe pki_curl_easy_setopt_pointer(setOption, easy, CURLOPT_ERRORBUFFER, text))
        try require(unsafe pki_curl_easy_setopt_pointer(setOption, easy, CURLOPT_WRITEDATA, context))
        try require(unsafe pki_curl_easy_setopt_pointer(setOption, easy, CURLOPT_HEADERDATA, context))
        try require(unsafe pki_curl_easy_setopt_receiver(setOption, easy, CURLOPT_WRITEFUNCTION, Reception.body))
        try require(unsafe pki_curl_easy_setopt_receiver(setOption, easy, CURLOPT_HEADERFUNCTION, Reception.header))
        // Threads of a library must not play with the process's signals. Sockets are written with MSG_NOSIGNAL.
        try set(CURLOPT_NOSIGNAL, 1)
        // The headers with which a proxy answers CONNECT are not the server's.
        try set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    }

    /// Sets an option that is a number or a switch.
    func set(_ option: CURLoption, _ value: Int) throws(RolesAnywhereError) {
        try require(unsafe pki_curl_easy_setopt_long(library.easySetOption, easy, option, value))
    }

    /// Sets an option that is a text, which libcurl copies; nothing sets libcurl's own default aside.
    func set(_ option: CURLoption, _ value: String?) throws(RolesAnywhereError) {
        try require(unsafe pki_curl_easy_setopt_string(library.easySetOption, easy, option, value))
    }

    /// Sets an option that is a file's contents, which libcurl copies.
    func set(_ option: CURLoption, contents: SecretBytes) throws(RolesAnywhereError) {
        try require(
            unsafe contents.withUnsafeBytes { bytes in
                unsafe pki_curl_easy_setopt_blob(library.easySetOption, easy, option, bytes.baseAddress, bytes.count)
            })
    }

    /// Sets the content to send, which libcurl copies.
    func setBody(_ body: [UInt8]) throws(RolesAnywhereError) {
        try set(CURLOPT_POSTFIELDSIZE, body.count)
        let status = unsafe body.withUnsafeBytes { bytes in
            // The option copies what it is given, so that it may be given what must not be written to.
            let pointer = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
            return unsafe pki_curl_easy_setopt_pointer(library.easySetOption, easy, CURLOPT_COPYPOSTFIELDS, pointer)
        }
        try require(status)
    }

    /// Sets the header fields to send; none of libcurl's own are added but those that are not named here.
    mutating func setHeaders(_ lines: [String]) throws(RolesAnywhereError) {
        for line in lines {
            guard let list = unsafe library.listAppend(headerList, line) else {
                throw RolesAnywhereError(.missingLibrary, "libcurl cannot make a list: curl_slist_append failed")
            }
            unsafe headerList = unsafe list
        }
        try require(unsafe pki_curl_easy_setopt_list(library.easySetOption, easy, CURLOPT_HTTPHEADER, headerList))
    }

    /// Sends the request and takes in the answer.
    consuming func perform(explain: (CurlFailure) -> RolesAnywhereError) throws(RolesAnywhereError) -> HTTPResponse {
        let code = unsafe library.easyPerform(easy)
        guard code == CURLE_OK else {
            throw explain(
                CurlFailure(
                    code: code, text: unsafe String(cString: errorText), proxyStatus: number(CURLINFO_HTTP_CONNECTCODE),
                    isTooLong: reception.excess))
        }
        return HTTPResponse(
            status: number(CURLINFO_RESPONSE_CODE), headers: reception.headers, body: reception.body,
            timings: HTTPTimings(
                resolved: time(CURLINFO_NAMELOOKUP_TIME_T), connected: time(CURLINFO_CONNECT_TIME_T),
                secured: time(CURLINFO_APPCONNECT_TIME_T), firstByte: time(CURLINFO_STARTTRANSFER_TIME_T),
                total: time(CURLINFO_TOTAL_TIME_T)))
    }

    private func number(_ information: CURLINFO) -> Int {
        var value = 0
        let status = unsafe pki_curl_easy_getinfo_long(library.easyGetInfo, easy, information, &value)
        return status == CURLE_OK ? value : 0
    }

    private func time(_ information: CURLINFO) -> Duration {
        var microseconds: curl_off_t = 0
        let status = unsafe pki_curl_easy_getinfo_offset(library.easyGetInfo, easy, information, &microseconds)
        return .microseconds(status == CURLE_OK ? Int(microseconds) : 0)
    }

    private func require(_ status: CURLcode) throws(RolesAnywhereError) {
        guard status == CURLE_OK else {
            throw RolesAnywhereError(
                .missingLibrary, "this libcurl does not know an option that is needed (error \(status.rawValue))",
                hint: "libcurl 7.85 or newer built with OpenSSL is needed")
        }
    }
}

/// Why libcurl brought no answer.
struct CurlFailure {
    /// Its error code.
    let code: CURLcode
    /// Its own words; may be empty.
    let text: String
    /// With what status a proxy answered; zero without one.
    let proxyStatus: Int
    /// Whether the answer was given up because it was too long.
    let isTooLong: Bool
}

/// What has come in so far.
private final class Reception {
    private(set) var headers = HTTPHeaders()
    private(set) var body: [UInt8] = []
    private(set) var excess = false
    private let bodyLimit: Int
    private var headerSize = 0

    /// The most bytes that all header fields may have together.
    private static let headerLimit = 65_536

    init(bodyLimit: Int) { self.bodyLimit = bodyLimit }

    /// Takes a piece of the content.
    static let body: pki_curl_receiver = { bytes, size, count, context in
        unsafe receive(bytes, size * count, context) { reception, piece in
            guard piece.count <= reception.bodyLimit - reception.body.count else { return false }
            unsafe reception.body.append(contentsOf: piece)
            return true
        }
    }

    /// Takes one line of the header. A status line begins another answer, as after `100 Continue`.
    static let header: pki_curl_receiver = { bytes, size, count, context in
        unsafe receive(bytes, size * count, context) { reception, piece in
            reception.headerSize += piece.count
            guard reception.headerSize <= headerLimit else { return false }
            let line = unsafe String(decoding: piece, as: UTF8.self)
            if line.hasPrefix("HTTP/") {
                reception.headers = HTTPHeaders()
            } else if let colon = line.firstIndex(of: ":") {
                let value = line[line.index(after: colon)...].filter { !$0.isNewline }
                reception.headers.add(String(line[..<colon]), value)
            }
            return true
        }
    }

    private static func receive(
        _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int, _ context: UnsafeMutableRawPointer?,
        _ take: (Reception, UnsafeRawBufferPointer) -> Bool
    ) -> Int {
        guard let context = unsafe context, let bytes = unsafe bytes else { return 0 }
        let reception = unsafe Unmanaged<Reception>.fromOpaque(context).takeUnretainedValue()
        guard unsafe take(reception, UnsafeRawBufferPointer(start: bytes, count: count)) else {
            // libcurl gives up when fewer bytes are taken than were offered.
            reception.excess = true
            return 0
        }
        return count
    }
}

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
    static func loaded() throws(RolesAnywhereError) -> CurlLibrary { try shared.get() }

    private static let shared = Result { () throws(RolesAnywhereError) in try CurlLibrary(opening: fileName) }

    #if canImport(Darwin)
    private static let fileName = "libcurl.4.dylib"
    #else
    private static let fileName = "libcurl.so.4"
    #endif

    /// Opens the library, for good.
    init(opening fileName: String) throws(RolesAnywhereError) {
        guard let library = try? DynamicLibrary(fileName, isLazy: true) else {
            throw Self.unusable(fileName, "cannot be loaded")
        }
        func symbol(_ name: String) throws(RolesAnywhereError) -> UnsafeMutableRawPointer {
            guard let symbol = unsafe library.symbol(name) else { throw Self.unusable(fileName, "has no \(name)") }
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
            .missingLibrary, "the library \(fileName) \(why), and without it there is no network",
            hint: "install it: apt-get install libcurl4")
    }
}
