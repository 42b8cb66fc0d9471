// SPDX-License-Identifier: Apache-2.0

import Glibc
import PostgreSQL
import SQL

/// The server of PostgreSQL for tests, which `PKI_TEST_POSTGRESQL` names: `postgresql://…`.
package enum TestDatabase {
    /// The server's address; `nil` if the tests have none.
    package static let address: String? = unsafe getenv("PKI_TEST_POSTGRESQL").map { unsafe String(cString: $0) }

    package static var isThere: Bool { address != nil }

    /// Makes an empty schema, and returns the address that uses it alone; `nil` without a server.
    package static func newSchema() throws -> String? {
        guard let address else { return nil }
        let schema = "s\(UInt64.random(in: 0 ... .max))"
        let separator: Character = address.contains("?") ? "&" : "?"
        try Server(address, isReading: false).execute("CREATE SCHEMA \(schema)")
        return "\(address)\(separator)options=-csearch_path%3D\(schema)"
    }
}
