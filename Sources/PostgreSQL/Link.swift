// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL
internal import Glibc
internal import SQL

/// One connection to a server of PostgreSQL, from its beginning to its end.
///
/// No answer is waited for without end: a server that hangs keeps its TCP connections.
@safe final class Link {
    private let handle: OpaquePointer
    private let patience: Duration?
    private var isBroken = false
    /// Whether the server has said something that is no answer since this was set to `false`.
    var hasNotice = false
    /// What is known about each statement, by its text with `?`.
    private var statements: [String: KnownStatement] = [:]
    private var preparedCount = 0
    /// Whether the connection is to the server itself. Behind PgBouncer, each transaction may have another session, which does
    /// not know what was prepared.
    private var canPrepare = false

    /// Connects with settings of libpq, of which the last counts.
    ///
    /// - Parameters:
    ///   - settings: Keywords and values. The database's name may be a whole address.
    ///   - patience: How long the server may take until it begins to answer; `nil` for no limit.
    init(_ settings: [(keyword: String, value: String)], patience: Duration?) throws(SQLError) {
        self.patience = patience
        let keywords = unsafe Self.strings(settings.map(\.keyword))
        let values = unsafe Self.strings(settings.map(\.value))
        let opened = unsafe PQconnectdbParams(keywords, values, 1)
        unsafe (keywords + values).forEach { unsafe free(UnsafeMutablePointer(mutating: $0)) }
        guard let connection = unsafe opened else { throw SQLError(.other, "no memory") }
        unsafe handle = connection
        guard unsafe PQstatus(connection) == CONNECTION_OK else {
            throw Self.connectionError(unsafe String(cString: PQerrorMessage(connection)))
        }
        let receiver = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe PQsetNoticeProcessor(
            connection,
            { receiver, _ in
                if let receiver = unsafe receiver {
                    unsafe Unmanaged<Link>.fromOpaque(receiver).takeUnretainedValue().hasNotice = true
                }
            }, receiver)
        // PgBouncer has a number of its own.
        try finish(unsafe PQsendQuery(connection, "SELECT pg_backend_pid()")) { session in
            canPrepare = unsafe session.next() && session.text(0) == String(PQbackendPID(connection))
        }
    }

    deinit { unsafe PQfinish(handle) }

    /// Whether the connection can still be used.
    var isUsable: Bool { unsafe !isBroken && PQstatus(handle) == CONNECTION_OK }

    /// What libpq says about the last of several hosts, without its advice.
    private static func connectionError(_ message: String) -> SQLError {
        let failures = message.split(separator: "\n").filter { $0.hasPrefix("connection to server") }
        let text = failures.last.map(String.init) ?? message.firstLine
        let isDenied = ["authentication failed", "no password supplied", "permission denied"].contains {
            text.contains($0)
        }
        return SQLError(isDenied ? .denied : .unreachable, text)
    }

    /// Copies for C, with a null pointer at the end; the caller frees each.
    @unsafe private static func strings(_ texts: [String]) -> [UnsafePointer<CChar>?] {
        var copies = unsafe texts.map { unsafe UnsafePointer<CChar>(strdup($0)) }
        unsafe copies.append(nil)
        return unsafe copies
    }

    // MARK: - Statements

    /// Runs a statement with a `?` for each value, and visits its rows as they come.
    func visit(_ sql: String, _ values: [SQLValue], _ body: (borrowing Row) throws -> Void) throws {
        let parameters = Parameters(values)
        var known = statements[sql] ?? KnownStatement(sql)
        known.uses += 1
        statements[sql] = known
        // A plan that was made for small tables is not kept while they grow.
        if known.uses >= 100, known.uses % 100 == 0, (known.uses / 100).nonzeroBitCount == 1 {
            for name in known.names.values { try run("DEALLOCATE \(name)") }
            known.names = [:]
        }
        // What is run once is not worth it; a condition that differs each time is not kept.
        if known.names[parameters.types] == nil, known.uses > 1, canPrepare, known.names.count < 4,
            statements.count < 500
        {
            preparedCount += 1
            let name = "pki\(preparedCount)"
            try finish(unsafe parameters.prepare(known.text, name: name, on: handle))
            known.names[parameters.types] = name
        }
        statements[sql] = known
        let wasSent =
            if let name = known.names[parameters.types] {
                unsafe parameters.send(prepared: name, on: handle)
            } else {
                unsafe parameters.send(known.text, on: handle)
            }
        try checkSent(wasSent)
        // A result for each row: many rows are not kept in memory.
        _ = unsafe PQsetSingleRowMode(handle)
        while let result = try unsafe nextResult() {
            let rows = try passingOn { () throws(SQLError) in try unsafe checked(result) }
            while rows.next() { try passingOn { try body(Row(rows)) } }
        }
    }

    /// Throws the body's error once the rest of the answer was taken, so that another statement can be run.
    private func passingOn<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            while let rest = try unsafe nextResult() { unsafe PQclear(rest) }
            throw error
        }
    }

    /// Runs statements without values, separated by semicolons; rows are not looked at.
    func run(_ sql: String) throws(SQLError) { try finish(unsafe PQsendQuery(handle, sql)) }

    /// Waits for the end of what was sent, and throws its error.
    private func finish(_ wasSent: Int32, _ body: (QueryResult) -> Void = { _ in }) throws(SQLError) {
        try checkSent(wasSent)
        var failure: SQLError?
        while let result = try unsafe nextResult() {
            do {
                body(try unsafe checked(result))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    private func checkSent(_ wasSent: Int32) throws(SQLError) {
        guard wasSent != 1 else { return }
        throw SQLError(isUsable ? .other : .unreachable, unsafe String(cString: PQerrorMessage(handle)).firstLine)
    }

    /// The next part of an answer; `nil` after the last.
    @unsafe private func nextResult() throws(SQLError) -> OpaquePointer? {
        guard waits() else {
            isBroken = true
            throw SQLError(.unreachable, "the server does not answer")
        }
        guard let result = unsafe PQgetResult(handle) else { return nil }
        // No statement of ours begins a copy, and such an answer would have no end.
        if [PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH].contains(unsafe PQresultStatus(result)) {
            unsafe PQclear(result)
            isBroken = true
            throw SQLError(.unreachable, "the server does not answer as it should")
        }
        return unsafe result
    }

    /// Waits until a result can be taken; `false` if the server took too long.
    private func waits() -> Bool {
        let end = patience.map { ContinuousClock.now + $0 }
        while unsafe PQisBusy(handle) != 0 {
            var entry = unsafe pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
            let left = end.map { (ContinuousClock.now.duration(to: $0)).components.seconds + 1 }
            let count = unsafe poll(&entry, 1, Int32(clamping: (left ?? 3_600) * 1_000))
            if count == 0, let end, ContinuousClock.now >= end { return false }
            // What went wrong is in the result.
            if count > 0, unsafe PQconsumeInput(handle) == 0 { return true }
        }
        return true
    }

    /// Takes over a result, and throws its error.
    @unsafe private func checked(_ result: OpaquePointer) throws(SQLError) -> QueryResult {
        let status = unsafe PQresultStatus(result)
        if [PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE].contains(status) {
            return unsafe QueryResult(result)
        }
        defer { unsafe PQclear(result) }
        let state = unsafe Self.field("C", of: result)
        let whole = unsafe String(cString: PQresultErrorMessage(result))
        let primary = unsafe Self.field("M", of: result)
        throw SQLError(Self.kind(state, isConnected: isUsable), primary ?? whole.firstLine)
    }

    @unsafe private static func field(_ code: Unicode.Scalar, of result: OpaquePointer) -> String? {
        unsafe PQresultErrorField(result, Int32(code.value)).map { unsafe String(cString: $0) }
    }

    /// The kind of an error by its SQLSTATE.
    private static func kind(_ state: String?, isConnected: Bool) -> SQLError.Kind {
        guard let state else { return isConnected ? .other : .unreachable }
        switch state {
        case "23505": return .duplicate
        case "40001", "40P01", "55P03", "57014": return .busy
        case "53100": return .full
        case "42501", "28000", "28P01": return .denied
        case "XX001", "XX002": return .damaged
        // Too many connections, an ending or starting server, and a standby.
        case "53300", "57P01", "57P02", "57P03", "57P05", "25006", "25P03": return .unreachable
        default: return state.hasPrefix("08") || !isConnected ? .unreachable : .other
        }
    }
}

/// A statement that was run before.
private struct KnownStatement {
    /// With `$1` for the first `?`.
    let text: String
    var uses = 0
    /// What it was prepared as on this connection, by the types of its values.
    var names: [[Oid]: String] = [:]

    init(_ sql: String) {
        var (text, count, isQuoted) = ("", 0, false)
        for character in sql {
            if character == "'" { isQuoted.toggle() }
            if character == "?", !isQuoted {
                count += 1
                text += "$\(count)"
            } else {
                text.append(character)
            }
        }
        self.text = text
    }
}

extension String {
    var firstLine: String { split(separator: "\n").first.map(String.init) ?? self }
}
