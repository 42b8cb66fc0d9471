// SPDX-License-Identifier: Apache-2.0

/// What a request asks to be done (RFC 9110 §9). Methods are case-sensitive.
public struct HTTPMethod: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The token as it stands in the request line.
    public let rawValue: String

    /// Makes a method from its token.
    ///
    /// - Parameter rawValue: The token, in capitals for every standard method.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// Fetch.
    public static let get = HTTPMethod(rawValue: "GET")
    /// Fetch the headers alone.
    public static let head = HTTPMethod(rawValue: "HEAD")
    /// Do what the resource does with a body.
    public static let post = HTTPMethod(rawValue: "POST")
    /// Replace.
    public static let put = HTTPMethod(rawValue: "PUT")
    /// Change in part (RFC 5789).
    public static let patch = HTTPMethod(rawValue: "PATCH")
    /// Remove.
    public static let delete = HTTPMethod(rawValue: "DELETE")
    /// Ask what is possible.
    public static let options = HTTPMethod(rawValue: "OPTIONS")

    /// The methods that reach a handler; the server itself answers any other with 501.
    static let implemented: Set<HTTPMethod> = [.get, .head, .post, .put, .patch, .delete, .options]

    /// The token.
    public var description: String { rawValue }
}
