// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Where a server is to listen, as it is written on the command line.
enum ListenAddress: Hashable, Sendable {
    /// An IP address in numbers and a port; 0 lets the system choose one.
    case tcp(address: String, port: Int)
    /// A path in the file system.
    case unix(path: String)

    /// Reads `127.0.0.1:9911`, `[::1]:9911`, `localhost:9911`, `9911` or `unix:/run/pki/pki.sock`.
    ///
    /// - Parameter text: The option's value.
    /// - Returns: The place.
    /// - Throws: `ValidationError` naming what is wrong.
    static func argument(_ text: String) throws -> ListenAddress {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst("unix:".count))
            guard !path.isEmpty else { throw ValidationError("\"\(text)\" names no path") }
            return .unix(path: path)
        }
        if text.hasPrefix("[") {
            let parts = text.dropFirst().split(separator: "]", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[1].hasPrefix(":") else { throw malformed(text) }
            return .tcp(address: String(parts[0]), port: try port(parts[1].dropFirst(), of: text))
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return .tcp(address: "127.0.0.1", port: try port(parts[0], of: text))
        case 2:
            let address = parts[0] == "localhost" ? "127.0.0.1" : String(parts[0])
            return .tcp(address: address, port: try port(parts[1], of: text))
        default: throw malformed(text)
        }
    }

    private static func port(_ digits: Substring, of text: String) throws -> Int {
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(digits), port <= 65_535
        else { throw malformed(text) }
        return port
    }

    private static func malformed(_ text: String) -> ValidationError {
        ValidationError("\"\(text)\" is none of ADDRESS:PORT, [ADDRESS]:PORT, PORT and unix:PATH")
    }
}
