// SPDX-License-Identifier: Apache-2.0

import Certificates
import EnrolmentService
import SystemSupport

extension FuzzTarget {
    static let signature = FuzzTarget("json-web-signature") { bytes in
        if let value = try? JSONReader.value(of: bytes) { _ = try? JSONWebKey(value) }
        guard let message = try? JSONWebSignature(bytes) else { return }
        if case .key(let key) = message.signer {
            precondition(key.thumbprint.count == 32)
            try? message.verify(by: key.publicKey)
        }
    }
}
