// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An error that says what is wrong and how to fix it.
public protocol ExplainedError: Error, CustomStringConvertible {
    /// What is wrong: the thing and the rule it breaks. Lower case, no full stop, no secret.
    var message: String { get }

    /// How to fix it, if there is one way to name; a command where possible.
    var hint: String? { get }
}

extension ExplainedError {
    /// The message without the hint.
    public var description: String { message }
}

/// The error type of each module: a code to decide by, a message to read and a hint.
public struct CodedError<Code: Hashable & Sendable>: ExplainedError, Equatable {
    /// The kind of failure.
    public let code: Code

    /// What is wrong.
    public let message: String

    /// How to fix it.
    public let hint: String?

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: The kind of failure.
    ///   - message: What is wrong, in lower case and without a full stop.
    ///   - hint: How to fix it.
    public init(_ code: Code, _ message: String, hint: String? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
    }
}

/// What the system says about a failure of its own, in lower case.
package func systemErrorText(_ number: CInt) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard unsafe strerror_r(number, &buffer, buffer.count) == 0 else { return "error \(number)" }
    let text = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.prefix(1).lowercased() + text.dropFirst()
}
