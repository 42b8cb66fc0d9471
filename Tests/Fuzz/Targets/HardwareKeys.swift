// SPDX-License-Identifier: Apache-2.0

@testable import HardwareKeys

extension FuzzTarget {
    static let pkcs11URI = FuzzTarget("pkcs11-uri") { bytes in
        guard let address = try? PKCS11URI(String(decoding: bytes, as: UTF8.self)) else { return }
        _ = "\(address)"
    }

    static let agent = FuzzTarget("ssh-agent") { bytes in
        _ = "\(SSHAgentIdentity(blob: bytes, comment: bytes))"
        var reader = SSHWireReader(bytes)
        while !reader.isAtEnd {
            guard reader.magnitude() != nil, reader.string() != nil else { break }
        }
    }
}
