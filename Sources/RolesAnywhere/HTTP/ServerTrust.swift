// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// Whom to believe that a server is the one it says it is.
public struct ServerTrust: Hashable, Sendable {
    /// Where the trusted certificates are.
    enum Source: Hashable, Sendable {
        /// Wherever libcurl was built to look.
        case library
        /// A PEM file, a directory (or several, with colons between) of certificates under their hashed names, or both.
        case paths(file: String?, directory: String?)
        /// Nowhere: everyone is believed.
        case unverified
    }

    let source: Source

    /// The certificates of the system.
    ///
    /// Where `/etc/ssl/certs` holds certificates under their hashed names, as Debian keeps them, they are looked up one
    /// by one: reading the whole bundle file costs some 20 milliseconds for each request.
    public static var system: ServerTrust { system(directory: "/etc/ssl/certs") }

    /// Everyone is believed. Whoever sits between here and the service can then read the credentials.
    public static let unverified = ServerTrust(source: .unverified)

    /// Certificates of one's own, instead of the system's.
    ///
    /// - Parameter path: A PEM file, or a directory with certificates under their hashed names (`openssl rehash`).
    /// - Returns: Trust in those certificates alone.
    /// - Throws: ``RolesAnywhereError`` when nothing is there or it cannot be read.
    public static func certificates(at path: String) throws(RolesAnywhereError) -> ServerTrust {
        do {
            guard FileStatus(at: path)?.kind == .directory else {
                try FilePath.requireReadable(path)
                return ServerTrust(source: .paths(file: path, directory: nil))
            }
            _ = try Directory(path, for: .output)
            return ServerTrust(source: .paths(file: nil, directory: path))
        } catch {
            throw RolesAnywhereError(.unreadableFile, "the CA certificates \(error.message)", hint: error.hint)
        }
    }

    /// What the environment asks for: `AWS_CA_BUNDLE` as the AWS CLI and the SDKs know it, else `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` as OpenSSL and the reference helper know them, else the system's certificates.
    ///
    /// - Parameter environment: The variables. One that is empty counts as absent.
    /// - Returns: Whom the environment trusts.
    /// - Throws: ``RolesAnywhereError`` when `AWS_CA_BUNDLE` or `SSL_CERT_FILE` names something that cannot be read.
    public static func environment(_ environment: [String: String]) throws(RolesAnywhereError) -> ServerTrust {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let bundle = value("AWS_CA_BUNDLE") { return try certificates(at: bundle) }
        let (file, directory) = (value("SSL_CERT_FILE"), value("SSL_CERT_DIR"))
        if let file { _ = try certificates(at: file) }
        return file == nil && directory == nil ? system : ServerTrust(source: .paths(file: file, directory: directory))
    }

    /// The system's certificates, from a directory when it holds any under a hashed name (`5ad8a5d6.0`).
    static func system(directory path: String) -> ServerTrust {
        let names = (try? Directory(path, for: .output).names()) ?? []
        let isHashed = names.contains { name in
            let name = Array(name.utf8)
            return name.count >= 10 && name[..<8].allSatisfy { UInt8(hexadecimalDigit: $0) != nil }
                && name[8] == UInt8(ascii: ".") && (0x30...0x39).contains(name[9])
        }
        return ServerTrust(source: isHashed ? .paths(file: nil, directory: path) : .library)
    }
}
