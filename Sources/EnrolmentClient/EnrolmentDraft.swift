// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import SystemSupport

/// A key, unless it is in a device, and the request that is made for it, kept in one file until the certificate is in place, so that an interrupted run
/// is taken up again: the server gives the same certificate to the same request.
///
/// When the certificate has come it is added, so that the files are put in place without the server.
package struct EnrolmentDraft: Sendable {
    /// `nil` if it is in a device.
    package let key: PrivateKey?
    package let request: CertificateRequest
    /// What was answered; `nil` until then.
    package private(set) var answer: IssuedPath?

    package init(key: PrivateKey?, request: CertificateRequest) {
        (self.key, self.request) = (key, request)
    }

    /// The name of the file, which no listing of certificates shows.
    package static func fileName(of name: String) -> String { ".\(name).enrolment" }

    /// Reads the draft of a name; `nil` if there is none.
    package static func read(
        _ name: String, in directory: Directory, passphrase: SecretBytes?
    ) throws -> EnrolmentDraft? {
        let file = fileName(of: name)
        guard directory.contains(file) else { return nil }
        let contents = try directory.read(file, .ownerOnly)
        let container = try Container(reading: contents.bytes, passphrase: passphrase)
        let requests = container.objects.compactMap { object in
            if case .certificateRequest(let request) = object { request } else { nil }
        }
        let key = try container.privateKeys.first?.key(passphrase: passphrase)
        guard container.privateKeys.count <= 1, let request = requests.first, requests.count == 1,
            key == nil || request.publicKey == key?.publicKey, request.isSignedByItsKey == true
        else {
            throw FileError(
                .kind, "\"\(printable(contents.name))\" is not a key and its request",
                hint: "remove it: rm \(Quoting.shell(contents.name))")
        }
        var draft = EnrolmentDraft(key: key, request: request)
        draft.answer = IssuedPath(checked: container.certificates)
        return draft
    }

    /// Writes the draft before anything is asked, or again with what was answered.
    package mutating func write(
        _ name: String, in directory: Directory, passphrase: SecretBytes?, answer: IssuedPath? = nil
    ) throws {
        if let answer { self.answer = answer }
        let certificates = self.answer?.path ?? []
        let rest = SecretBytes((request.pemEncoded + certificates.map(\.pemEncoded).joined()).utf8)
        let file = try NewFile(Self.fileName(of: name), in: directory, replacing: .always)
        if let key { try file.write(key.pemEncoded(passphrase: passphrase)) }
        try file.write(rest)
        try file.finish()
        try file.place()
    }

    package static func remove(_ name: String, in directory: Directory) {
        directory.unlink(fileName(of: name))
    }
}
