// SPDX-License-Identifier: Apache-2.0

package import Certificates
import FoundationEssentials
import SystemSupport

/// The SSH agent of a user: OpenSSH's `ssh-agent`, or whatever else speaks its protocol (draft-miller-ssh-agent) on a
/// unix socket. Every operation has a connection of its own, so that a value can be kept and
/// used from any thread. Calls block until the agent has answered.
package struct SSHAgent: Sendable {
    package let socket: String

    /// How long an answer may take.
    package let timeout: Duration

    /// Names an agent. It is not spoken to yet.
    package init(socket: String, timeout: Duration = .seconds(60)) {
        self.socket = socket
        self.timeout = timeout
    }

    /// Lists the keys that the agent holds, in its order, those that cannot be used here too.
    package func keys() throws(HardwareKeyError) -> [SSHAgentIdentity] {
        var answer = try ask([Message.requestIdentities])
        guard answer.byte() == Message.identitiesAnswer, let count = answer.number() else {
            throw HardwareKeyError(.failed, "the SSH agent did not list its keys")
        }
        var identities: [SSHAgentIdentity] = []
        while identities.count < count {
            guard let blob = answer.string(), let comment = answer.string() else {
                throw HardwareKeyError(.failed, "the SSH agent's list of keys ends before its last key")
            }
            identities.append(SSHAgentIdentity(blob: blob, comment: comment))
        }
        return identities
    }

    package func key(fingerprint: String) throws(HardwareKeyError) -> SSHAgentKey {
        guard fingerprint.hasPrefix("SHA256:") else {
            throw HardwareKeyError(
                .invalidAddress,
                "\(printable(fingerprint, limit: 100)) is not the fingerprint of a key: it does not begin with SHA256:",
                hint: "`ssh-add -l` prints those of the agent's keys")
        }
        var wanted = Substring(fingerprint)
        while wanted.last == "=" { wanted.removeLast() }
        let identities = try keys()
        guard let identity = identities.first(where: { $0.fingerprint == wanted }) else {
            throw Self.notFound(printable(fingerprint, limit: 100), in: identities)
        }
        guard let publicKey = identity.publicKey else {
            throw HardwareKeyError(
                .unsupported,
                "the key \(identity) in the SSH agent cannot be used: \(identity.obstacle ?? "its kind is unknown")",
                hint: "use an ECDSA or RSA key: create one with ssh-keygen -t ecdsa and add it with ssh-add")
        }
        return try SSHAgentKey(in: self, identity: identity, publicKey: publicKey)
    }

    /// Asks over a connection of its own.
    func ask(_ question: [UInt8]) throws(HardwareKeyError) -> SSHWireReader {
        let connection = try SSHAgentConnection.open(socket, timeout: timeout)
        return SSHWireReader(try connection.answer(to: question))
    }

    enum Message {
        static let failure: UInt8 = 5
        static let requestIdentities: UInt8 = 11
        static let identitiesAnswer: UInt8 = 12
        static let signRequest: UInt8 = 13
        static let signResponse: UInt8 = 14
    }

    private static func notFound(_ wanted: String, in identities: [SSHAgentIdentity]) -> HardwareKeyError {
        guard !identities.isEmpty else {
            return HardwareKeyError(
                .notFound, "the SSH agent has no key \(wanted): it holds none, or it is locked",
                hint: "`ssh-add KEY` gives it a key, `ssh-add -X` unlocks it")
        }
        let shown = identities.prefix(20).map(\.description).joined(separator: ", ")
        let more = identities.count > 20 ? " and \(identities.count - 20) more" : ""
        return HardwareKeyError(
            .notFound, "the SSH agent has no key \(wanted); it holds \(shown)\(more)",
            hint: "name one of those by its whole fingerprint, or add the key with `ssh-add KEY`")
    }
}

/// A key that an SSH agent lists.
package struct SSHAgentIdentity: Hashable, Sendable {
    /// `SHA256:` and the SHA-256 of the public key in base64 without padding, as `ssh-add -l` prints it.
    package let fingerprint: String

    /// The agent's comment on the key, often the file it came from. Control characters are blanks.
    package let comment: String

    /// SSH's name of its kind: `ecdsa-sha2-nistp256`, `ssh-rsa`, `ssh-ed25519`, …
    package let keyType: String

    /// The public key, when the key can be used here.
    package let publicKey: PublicKey?

    /// Why the key cannot be used here, when it cannot.
    package let obstacle: String?

    /// The public key in requests to the agent.
    let blob: [UInt8]

    init(blob: [UInt8], comment: [UInt8]) {
        self.blob = blob
        self.comment = printable(String(decoding: comment, as: UTF8.self), limit: 200)
        fingerprint = SSHPublicKey.fingerprint(of: blob)
        let key = SSHPublicKey(blob)
        keyType = printable(key.kind, limit: 64)
        switch key.result {
        case .success(let usable): (publicKey, obstacle) = (usable, nil)
        case .failure(let reason): (publicKey, obstacle) = (nil, reason.text)
        }
    }
}

extension SSHAgentIdentity: CustomStringConvertible {
    /// Fingerprint, comment and kind on one line.
    package var description: String {
        let kind = publicKey?.algorithm.description ?? keyType
        return comment.isEmpty ? "\(fingerprint) (\(kind))" : "\(fingerprint) \(comment) (\(kind))"
    }
}

/// A public key as SSH writes it (RFC 4253 §6.6, RFC 5656 §3.1): a name and what belongs to it.
struct SSHPublicKey {
    /// The name of its kind: `ecdsa-sha2-nistp256`, `ssh-rsa`, …
    let kind: String

    /// The same key as X.509 writes it, or why it cannot be used.
    let result: Result<PublicKey, Obstacle>

    /// Why a key cannot be used, to be put after a colon.
    struct Obstacle: Error {
        let text: String
    }

    /// Reads a key. One of an unknown kind can be listed too.
    init(_ blob: [UInt8]) {
        var reader = SSHWireReader(blob)
        guard let kind = reader.name() else {
            self.kind = "unknown"
            result = .failure(Obstacle(text: "its public half cannot be read"))
            return
        }
        self.kind = kind
        result =
            switch kind {
            case "ssh-rsa": Self.rsaKey(&reader)
            case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521": Self.ecKey(&reader, kind: kind)
            default: .failure(Obstacle(text: Self.obstacle(of: kind)))
            }
    }

    /// The fingerprint that `ssh-keygen -l` prints.
    static func fingerprint(of blob: [UInt8]) -> String {
        let base64 = Data(Digest.sha256.hash(blob)).base64EncodedString()
        return "SHA256:" + base64.prefix { $0 != "=" }
    }

    private static func rsaKey(_ reader: inout SSHWireReader) -> Result<PublicKey, Obstacle> {
        guard let exponent = reader.magnitude(), let modulus = reader.magnitude(), reader.isAtEnd else {
            return .failure(Obstacle(text: "its public half cannot be read"))
        }
        return key(PublicKey.rsaEncoding(modulus: modulus, exponent: exponent)) {
            if case .rsa = $0 { true } else { false }
        }
    }

    private static func ecKey(_ reader: inout SSHWireReader, kind: String) -> Result<PublicKey, Obstacle> {
        let curves: [String: NamedCurve] = ["nistp256": .p256, "nistp384": .p384, "nistp521": .p521]
        guard let name = reader.name(), kind.hasSuffix(name), let curve = curves[name],
            let point = reader.string(), point.first == 0x04, reader.isAtEnd
        else { return .failure(Obstacle(text: "its public half cannot be read")) }
        let parameters = DER.objectIdentifier(curve.objectIdentifier)
        return key(PublicKey.ecEncoding(parameters: parameters, point: point)) { $0.namedCurve == curve }
    }

    /// Lets libcrypto check a SubjectPublicKeyInfo.
    private static func key(_ derEncoded: [UInt8], isKnown: (KeyAlgorithm) -> Bool) -> Result<PublicKey, Obstacle> {
        guard let key = try? PublicKey(derEncoded: derEncoded), isKnown(key.algorithm) else {
            return .failure(Obstacle(text: "its public half is not a valid key"))
        }
        return .success(key)
    }

    private static func obstacle(of kind: String) -> String {
        if kind.contains("-cert-v") {
            return
                "it is a certificate of OpenSSH, which signs for SSH alone; its plain key can be used if the agent has it"
        }
        if kind.hasPrefix("sk-") {
            return "a FIDO security key signs data of its own around the message, which is not a signature of X.509"
        }
        if kind == "ssh-ed25519" || kind == "ssh-ed448" {
            return "neither certificates here nor IAM Roles Anywhere use Edwards curves"
        }
        return "keys of the kind \(printable(kind, limit: 64)) are not supported"
    }
}

/// One question to an agent and its answer, over a connection of their own.
struct SSHAgentConnection: ~Copyable {
    /// The longest message in both directions, which is OpenSSH's own limit.
    static let longestMessage = 256 * 1024

    private let socket: UnixSocket
    private let timeout: Duration
    private let deadline: ContinuousClock.Instant

    private static func connect(
        to address: UnixSocketAddress, timeout: Duration
    ) throws(SystemError) -> UnixSocket {
        let socket = try UnixSocket(.stream)
        // Connecting and sending, for which an agent needs no time.
        socket.setSendTimeout(timeout)
        try socket.connect(to: address)
        return socket
    }

    static func open(_ path: String, timeout: Duration) throws(HardwareKeyError) -> SSHAgentConnection {
        let hint = "start one and give it the key: eval \"$(ssh-agent)\"; ssh-add KEY"
        guard !path.isEmpty else {
            throw HardwareKeyError(.absent, "there is no SSH agent: SSH_AUTH_SOCK is not set", hint: hint)
        }
        guard let address = UnixSocketAddress(path: path) else {
            throw HardwareKeyError(
                .invalidAddress,
                "\(printable(path)) cannot be the socket of an SSH agent: "
                    + "a path has at most \(UnixSocketAddress.longestPath) bytes")
        }
        do {
            let socket = try connect(to: address, timeout: timeout)
            return SSHAgentConnection(socket: socket, timeout: timeout, deadline: .now + timeout)
        } catch {
            throw HardwareKeyError(.absent, "no SSH agent answers at \(printable(path)): \(error)", hint: hint)
        }
    }

    consuming func answer(to question: [UInt8]) throws(HardwareKeyError) -> [UInt8] {
        do {
            try socket.send(sshString(question))
        } catch {
            throw failure(error)
        }
        var reader = SSHWireReader(try receive(4))
        guard let count = reader.number(), (1...Self.longestMessage).contains(count) else {
            throw HardwareKeyError(
                .failed,
                "the program on the SSH agent's socket is not an agent: a message has 1 to \(Self.longestMessage) bytes"
            )
        }
        return try receive(count)
    }

    private borrowing func receive(_ total: Int) throws(HardwareKeyError) -> [UInt8] {
        let bytes: [UInt8]
        do { bytes = try socket.receive(total, until: deadline) } catch { throw failure(error) }
        guard bytes.count == total else {
            throw HardwareKeyError(.failed, "the SSH agent did not answer: it closed the connection")
        }
        return bytes
    }

    private borrowing func failure(_ error: SystemError) -> HardwareKeyError {
        guard error == .timedOut else { return HardwareKeyError(.failed, "the SSH agent did not answer: \(error)") }
        return HardwareKeyError(
            .failed, "the SSH agent did not answer within \(timeout)",
            hint: "it may be waiting for a touch of the device or for a confirmation on its own screen")
    }
}

/// Parses a message of the SSH protocols (RFC 4251 §5). Malformed parts are `nil`, and nothing is read past them.
struct SSHWireReader {
    /// The bytes that have not been read.
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: some Sequence<UInt8>) { rest = Array(bytes)[...] }

    var isAtEnd: Bool { rest.isEmpty }

    /// A single byte.
    mutating func byte() -> UInt8? { rest.popFirst() }

    /// Four bytes, the most significant first.
    mutating func number() -> Int? {
        guard rest.count >= 4 else { return nil }
        defer { rest = rest.dropFirst(4) }
        return rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
    }

    /// Bytes after their number.
    mutating func string() -> [UInt8]? {
        var ahead = self
        guard let count = ahead.number(), count <= ahead.rest.count else { return nil }
        defer { rest = ahead.rest.dropFirst(count) }
        return Array(ahead.rest.prefix(count))
    }

    /// A string that is a name.
    mutating func name() -> String? { string().map { String(decoding: $0, as: UTF8.self) } }

    /// The magnitude of a positive number of any length, without leading zeros. A set first bit means a negative number
    /// (RFC 4251 §5), which keys and signatures do not have: it is read as a missing zero octet.
    mutating func magnitude() -> [UInt8]? {
        guard let octets = string() else { return nil }
        let magnitude = Array(octets.drop { $0 == 0 })
        return magnitude.isEmpty ? nil : magnitude
    }
}

func sshNumber(_ number: Int) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
}

/// Bytes after their number.
func sshString(_ bytes: [UInt8]) -> [UInt8] { sshNumber(bytes.count) + bytes }
