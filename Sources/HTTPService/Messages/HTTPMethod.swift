// SPDX-License-Identifier: Apache-2.0

/// What a request asks to be done (RFC 9110 §9). Methods are case-sensitive.
package struct HTTPMethod: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The token as it stands in the request line.
    package let rawValue: String

    /// Makes a method from its token.
    ///
    /// - Parameter rawValue: The token, in capitals for every standard method.
    package init(rawValue: String) { self.rawValue = rawValue }

    /// Fetch.
    package static let get = HTTPMethod(rawValue: "GET")
    /// Fetch the headers alone.
    package static let head = HTTPMethod(rawValue: "HEAD")
    /// Do what the resource does with a body.
    package static let post = HTTPMethod(rawValue: "POST")
    /// Replace.
    package static let put = HTTPMethod(rawValue: "PUT")
    /// Change in part (RFC 5789).
    package static let patch = HTTPMethod(rawValue: "PATCH")
    /// Remove.
    package static let delete = HTTPMethod(rawValue: "DELETE")
    /// Ask what is possible.
    package static let options = HTTPMethod(rawValue: "OPTIONS")

    /// The methods that reach a handler; the server itself answers any other with 501.
    static let implemented: Set<HTTPMethod> = [.get, .head, .post, .put, .patch, .delete, .options]

    /// The token.
    package var description: String { rawValue }
}
