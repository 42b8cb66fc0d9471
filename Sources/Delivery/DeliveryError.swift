// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Why credentials could not be put where programs look for them.
public struct DeliveryError: ExplainedError, Equatable {
    /// The kind of failure. Compare with the static members; new ones may be added.
    public struct Code: Hashable, Sendable {
        private enum Kind { case storage, unsafePlace, malformed, invalidArgument }
        private let kind: Kind

        /// The system would not let a file be read, locked or written.
        public static let storage = Code(kind: .storage)
        /// A file or folder is a link or a device, belongs to someone else, or others may change it: nothing is read from it
        /// or put there.
        public static let unsafePlace = Code(kind: .unsafePlace)
        /// A file does not hold what it should.
        public static let malformed = Code(kind: .malformed)
        /// A name or value cannot be used.
        public static let invalidArgument = Code(kind: .invalidArgument)
    }

    /// The kind of failure.
    public let code: Code

    /// What is wrong. Never holds a secret.
    public let message: String

    /// The way out, when there is one to name.
    public let remedy: String?

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - code: The kind of failure.
    ///   - message: What is wrong, in lower case and without a full stop.
    ///   - remedy: The way out.
    public init(_ code: Code, _ message: String, remedy: String? = nil) {
        self.code = code
        self.message = message
        self.remedy = remedy
    }
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
        self.init(code, what.isEmpty ? error.message : "\(what) \(error.message)", remedy: error.remedy)
    }
}
