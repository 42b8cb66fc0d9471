// SPDX-License-Identifier: Apache-2.0

/// An error that can say what is wrong and what to do about it.
///
/// Every module's error type conforms, so that whoever talks to the user needs one piece of code to do it.
public protocol ExplainedError: Error, CustomStringConvertible {
    /// What is wrong: the thing, the rule it breaks. Lower case, no full stop, no secret.
    var message: String { get }

    /// The way out, when there is one to name.
    var remedy: String? { get }
}

extension ExplainedError {
    /// The message; the remedy is for whoever can show it on a line of its own.
    public var description: String { message }
}
