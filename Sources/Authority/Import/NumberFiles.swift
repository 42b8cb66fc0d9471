// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The files in which `openssl` keeps the numbers that it uses next.
struct NumberFiles {
    /// The next serial number.
    private(set) var serialNumber: SerialNumber?

    /// The number of the next revocation list.
    private(set) var listNumber: SerialNumber?

    /// Reads the files of one CA.
    ///
    /// - Parameters:
    ///   - scan: The files in the directory.
    ///   - layout: The directory's layout.
    ///   - indexes: The CA's indexes, beside which its numbers are.
    ///   - authority: The CA's certificate.
    ///   - isRoot: Whether the configuration file speaks of this CA.
    init(
        _ scan: DirectoryScan,
        _ layout: ImportLayout,
        beside indexes: [String],
        of authority: CertificateFamily.Member,
        isRoot: Bool
    ) {
        guard layout.kind == .openSSL || layout.kind == .easyRSA || layout.kind == .plain else { return }
        let directories = indexes.map { String($0[..<($0.lastIndex(of: "/").map($0.index(after:)) ?? $0.startIndex)]) }
        func number(_ setting: OpenSSLConfiguration.Setting, _ name: String) -> SerialNumber? {
            let configured = isRoot ? layout.configuration?.candidates(for: setting) ?? [] : []
            for path in configured + directories.map({ $0 + name }) {
                if let number = Self.number(in: path, of: scan) { return number }
            }
            return nil
        }
        serialNumber = number(.serial, "serial")
        listNumber = number(.revocationListNumber, "crlnumber")
        guard serialNumber == nil, let dot = authority.file.lastIndex(of: ".") else { return }
        // `openssl x509 -CA` keeps the last one that it used.
        serialNumber = Self.number(in: "\(authority.file[..<dot]).srl", of: scan)?.successor
    }

    private static func number(in file: String, of scan: DirectoryScan) -> SerialNumber? {
        guard let contents = try? scan.contents(of: file, limit: 4096) else { return nil }
        return unsafe contents.withUnsafeBytes {
            unsafe SerialNumber(hexadecimal: String(decoding: $0, as: UTF8.self))
        }
    }
}

extension OpenSSLConfiguration {
    /// What it names that is not below the directory that is read.
    ///
    /// - Parameter scan: The files in the directory.
    /// - Returns: Paths from the root.
    func elsewhere(than scan: DirectoryScan) -> [String] {
        let settings: [Setting] = [.certificate, .privateKey, .database, .newCertificates, .revocationList]
        return settings.compactMap { setting in
            let candidates = candidates(for: setting)
            let isHere = candidates.contains { path in
                scan.files.contains { $0.path == path || $0.path.hasPrefix(path + "/") }
            }
            guard !isHere, let path = candidates.first(where: { $0.hasPrefix("/") }) else { return nil }
            return path
        }
    }
}
