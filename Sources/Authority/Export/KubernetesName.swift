// SPDX-License-Identifier: Apache-2.0

import Certificates
public import SystemSupport

/// The name of an object in Kubernetes: a DNS subdomain as its API server wants it (RFC 1123).
public struct KubernetesName: Hashable, Sendable, CustomStringConvertible {
    /// The name.
    public let description: String

    /// Takes the name of an object.
    ///
    /// - Parameter name: Up to 253 lower-case letters, digits, `-` and `.`, beginning and ending with a letter or a digit,
    ///   and so every part between two dots.
    /// - Throws: ``AuthorityError`` naming the rule.
    public init(_ name: String) throws(AuthorityError) {
        guard name.utf8.count <= 253, Self.isSubdomain(name) else {
            throw AuthorityError(
                .invalidRequest,
                "\"\(printable(name))\" cannot be the name of an object in Kubernetes",
                hint:
                    "up to 253 of a to z, 0 to 9, \"-\" and \".\", each part beginning and ending with a letter or digit"
            )
        }
        description = name
    }

    /// Takes the name of a namespace, which has one part and at most 63 characters.
    ///
    /// - Parameter namespace: The name.
    /// - Throws: ``AuthorityError`` naming the rule.
    public init(namespace: String) throws(AuthorityError) {
        guard namespace.utf8.count <= 63, Self.isSubdomain(namespace), !namespace.contains(".") else {
            throw AuthorityError(
                .invalidRequest,
                "\"\(printable(namespace))\" cannot be a namespace of Kubernetes",
                hint: "up to 63 of a to z, 0 to 9 and \"-\", beginning and ending with a letter or digit"
            )
        }
        description = namespace
    }

    /// Makes a name that is allowed of one that files have: in lower case, with `-` for what is not allowed.
    ///
    /// - Parameter name: The name of an identity.
    /// - Throws: ``AuthorityError`` when nothing is left of it.
    public init(madeOf name: String) throws(AuthorityError) {
        let allowed = name.lowercased().unicodeScalars.map { scalar -> Character in
            scalar == "." || Self.isAllowed(scalar) ? Character(scalar) : "-"
        }
        var parts: [Substring] = []
        for var part in String(allowed).split(separator: ".") {
            while part.first == "-" { part.removeFirst() }
            while part.last == "-" { part.removeLast() }
            if !part.isEmpty { parts.append(part) }
        }
        do {
            try self.init(parts.joined(separator: "."))
        } catch {
            throw AuthorityError(
                .invalidRequest,
                "no name for an object in Kubernetes can be made of \"\(printable(name))\"",
                hint: "choose one: --secret-name NAME"
            )
        }
    }

    private static func isSubdomain(_ name: String) -> Bool {
        !name.isEmpty
            && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part.first != "-" && part.last != "-" && part.unicodeScalars.allSatisfy(isAllowed)
            }
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "-"
    }
}
