// SPDX-License-Identifier: Apache-2.0

import HTTPService
import SystemSupport

/// A parameter of a query, decoded.
struct QueryParameter: Equatable {
    var name: String
    var value: String

    /// Reads a query as it was received.
    ///
    /// - Parameter query: What stands behind the `?`.
    /// - Returns: The parameters in their order.
    /// - Throws: ``ServiceRefusal`` when the encoding is malformed or a parameter has no name.
    static func parameters(in query: Substring?) throws(ServiceRefusal) -> [QueryParameter] {
        guard let query, !query.isEmpty else { return [] }
        var parameters: [QueryParameter] = []
        for part in query.utf8.split(separator: 0x26, omittingEmptySubsequences: false).map(Substring.init) {
            let equals = part.utf8.firstIndex(of: 0x3d) ?? part.endIndex
            guard let name = PercentEncoding.decode(part[..<equals]), !name.isEmpty,
                let value = PercentEncoding.decode(part[equals...].dropFirst())
            else { throw .validation("the query is not well encoded at \"\(part.prefix(60))\"") }
            parameters.append(QueryParameter(name: name, value: value))
        }
        return parameters
    }
}
