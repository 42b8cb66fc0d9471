// SPDX-License-Identifier: Apache-2.0

package import SystemSupport

/// Why credentials could not be put where programs look for them.
package typealias DeliveryError = CodedError<DeliveryErrorCode>

/// The kinds of ``DeliveryError``.
package enum DeliveryErrorCode: Sendable {
    /// The system would not let a file be read, locked or written.
    case storage
    /// A file or directory is a link or a device, belongs to someone else, or others may change it: nothing is read from it
    /// or put there.
    case unsafePlace
    /// A file does not hold what it should.
    case malformed
    /// A name or value cannot be used.
    case invalidArgument
}

extension DeliveryError {
    /// A failure with a file.
    ///
    /// - Parameters:
    ///   - error: The failure, which names the file.
    ///   - what: What the file is to be.
    init(_ error: FileError, _ what: String = "") {
        let code: Code =
            switch error.code {
            case .kind, .unprotected, .foreign: .unsafePlace
            case .missing, .exists, .system: .storage
            }
        self.init(code, what.isEmpty ? error.message : "\(what) \(error.message)", hint: error.hint)
    }
}
