// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// Whom to believe that a server is the one it says it is.
public struct ServerTrust: Hashable, Sendable {
    /// Where the trusted certificates are.
    enum Source: Hashable, Sendable {
        /// Wherever libcurl was built to look.
        case library
        /// A PEM file, a folder (or several, with colons between) of certificates under their hashed names, or both.
        case paths(file: String?, folder: String?)
        /// Nowhere: everyone is believed.
        case unverified
    }

    let source: Source

    /// The certificates of the system.
    ///
    /// Where `/etc/ssl/certs` holds certificates under their hashed names, as Debian keeps them, they are looked up one
    /// by one: reading the whole bundle file costs some 20 milliseconds for each request.
    public static var system: ServerTrust { system(folder: "/etc/ssl/certs") }

    /// Everyone is believed. Whoever sits between here and the service can then read the credentials.
    public static let unverified = ServerTrust(source: .unverified)

    /// Certificates of one's own, instead of the system's.
    ///
    /// - Parameter path: A PEM file, or a folder with certificates under their hashed names (`openssl rehash`).
    /// - Returns: Trust in those certificates alone.
    /// - Throws: ``RolesAnywhereError`` when nothing is there or it cannot be read.
    public static func certificates(at path: String) throws(RolesAnywhereError) -> ServerTrust {
        var status = stat()
        guard unsafe stat(path, &status) == 0, unsafe access(path, R_OK) == 0 else {
            throw RolesAnywhereError(
                .unreadableFile,
                "the CA certificates \"\(printable(path))\" cannot be read: \(systemErrorText(errno))"
            )
        }
        let isFolder = status.st_mode & S_IFMT == S_IFDIR
        return ServerTrust(source: isFolder ? .paths(file: nil, folder: path) : .paths(file: path, folder: nil))
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
        let (file, folder) = (value("SSL_CERT_FILE"), value("SSL_CERT_DIR"))
        if let file { _ = try certificates(at: file) }
        return file == nil && folder == nil ? system : ServerTrust(source: .paths(file: file, folder: folder))
    }

    /// The system's certificates, from a folder when it holds any under a hashed name (`5ad8a5d6.0`).
    static func system(folder path: String) -> ServerTrust {
        guard let folder = unsafe opendir(path) else { return ServerTrust(source: .library) }
        defer { unsafe closedir(folder) }
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { unsafe Array($0.prefix(10)) }
            let isHashed = name.prefix(8).allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
            if isHashed, name[8] == UInt8(ascii: "."), (0x30...0x39).contains(name[9]) {
                return ServerTrust(source: .paths(file: nil, folder: path))
            }
        }
        return ServerTrust(source: .library)
    }
}
