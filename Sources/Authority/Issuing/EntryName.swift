// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The grammar of the names under which a directory holds certificates. Every name that comes from an option, a batch or
/// another directory is checked here before it becomes a part of a file's name.
enum EntryName {
    /// Refuses what cannot be the name of anything in a directory.
    ///
    /// - Parameter name: The name.
    /// - Throws: ``AuthorityError`` with ``AuthorityErrorCode/invalidRequest``, naming the rule.
    static func check(_ name: String) throws(AuthorityError) {
        guard (1...64).contains(name.utf8.count) else { throw refusal(of: name, "it must have 1 to 64 characters") }
        guard name.utf8.allSatisfy({ isAllowed($0) }) else {
            throw refusal(of: name, "it may hold the letters a to z and A to Z, digits, \".\", \"_\", \"@\" and \"-\"")
        }
        guard !name.hasPrefix("."), !name.hasPrefix("-") else {
            throw refusal(of: name, "it must not begin with \".\" or \"-\"")
        }
    }

    /// Refuses what cannot become the name of a new certificate: the CA's own names, and those that read as files of the
    /// directory do.
    ///
    /// - Parameter name: The name.
    /// - Throws: ``AuthorityError`` with ``AuthorityErrorCode/invalidRequest``, naming the rule.
    static func checkNew(_ name: String) throws(AuthorityError) {
        try check(name)
        guard !CertificateAuthority.reservedNames.contains(name) else {
            throw refusal(of: name, "\(AuthorityFiles.certificate(of: name)) is a file of the CA's own")
        }
        // Some file systems do not tell letters by their case.
        let plain = name.lowercased()
        guard !plain.hasPrefix(Inventory.fileName), plain != "archive",
            !["-cert", "-chain", "-crl", "-cert.pem", "-key.pem", "-key.uri", "-chain.pem", "-crl.pem"]
                .contains(where: plain.hasSuffix)
        else {
            throw refusal(of: name, "files of the CA's directory are called so")
        }
    }

    private static func refusal(of name: String, _ why: String) -> AuthorityError {
        AuthorityError(.invalidRequest, "the name \"\(printable(name, limit: 100))\" is not allowed: \(why)")
    }

    private static func isAllowed(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "._@-".utf8.contains(octet)
        }
    }
}
