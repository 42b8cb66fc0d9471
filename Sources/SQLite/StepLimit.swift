// SPDX-License-Identifier: Apache-2.0

internal import CSQLite

/// Ends statements that run longer than any honest one: a damaged or malicious file can make them run for ever.
@safe final class StepLimit {
    /// How many steps of SQLite's machine there are between two looks.
    private static let interval: Int32 = 10_000

    /// The looks that are left.
    // SAFETY: allocated in `init`, freed in `deinit`, which comes after the connection's own end.
    private let remaining = UnsafeMutablePointer<Int>.allocate(capacity: 1)

    /// The looks that each statement has.
    private let allowance: Int

    /// Allows statements as many steps as a file may need: 50 million, a second or two, and 50 for each byte.
    ///
    /// - Parameter size: The size of the file when it is opened, in bytes.
    init(fileSize size: Int) {
        allowance = 5_000 + size / 200
        unsafe remaining.initialize(to: .max)
    }

    deinit { unsafe remaining.deallocate() }

    /// Watches a connection, which must end before this value does.
    @unsafe func install(on handle: OpaquePointer) {
        unsafe sqlite3_progress_handler(
            handle,
            Self.interval,
            { counter in
                guard let counter = unsafe counter?.assumingMemoryBound(to: Int.self) else { return 0 }
                unsafe counter.pointee -= 1
                return unsafe counter.pointee < 0 ? 1 : 0
            },
            remaining
        )
    }

    /// Begins a statement.
    func begin() { unsafe remaining.pointee = allowance }
}
