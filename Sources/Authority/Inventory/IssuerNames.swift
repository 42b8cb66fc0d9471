// SPDX-License-Identifier: Apache-2.0

/// The names of a directory's CAs, by their keys.
public struct IssuerNames: Sendable {
    private let names: [[UInt8]: String]

    init(_ names: [[UInt8]: String]) { self.names = names }

    /// The name of the CA with a key.
    func name(ofKey key: [UInt8]) -> String? { names[key] }

    /// The name of the CA that issued a certificate.
    ///
    /// - Parameter entry: The certificate.
    /// - Returns: The name; nothing when the directory does not know the CA.
    public func name(of entry: InventoryEntry) -> String? { names[entry.issuerKey] }
}

extension Inventory {
    /// The names of all CAs, for many questions.
    ///
    /// - Returns: The names.
    /// - Throws: ``AuthorityError``.
    public func issuerNames() throws -> IssuerNames {
        var names: [[UInt8]: String] = [:]
        try withDatabase { database in
            // What stands under its name comes last and stays; a root before its cross-certificate.
            try database.visit(where: "is_ca = 1 ORDER BY place DESC, subject_key = issuer_key, id") { entry in
                names[entry.subjectKey] = entry.place == .current ? entry.name : "\(entry.name) (replaced)"
            }
        }
        return IssuerNames(names)
    }
}
