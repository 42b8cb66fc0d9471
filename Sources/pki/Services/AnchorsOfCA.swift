// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import TrustAnchors

/// The recorded trust anchors, as far as they matter for one CA's CRL. AWS takes a CRL only from a CA in the trust anchor.
struct AnchorsOfCA {
    let name: String
    /// All that are recorded.
    let recorded: [RecordedResources.Anchor]
    /// Those that the CA is in.
    let holding: [RecordedResources.Anchor]
    private let directory: String

    /// - Parameter key: The SHA-256 of the CA's public key.
    init(of name: String, key: [UInt8], in directory: String) throws {
        self.name = name
        self.directory = directory
        recorded = try RecordedResources(in: directory).trustAnchors
        holding = recorded.filter { $0.holds(key) }
    }

    /// Whether no recorded trust anchor takes the CA's CRL.
    var isWithout: Bool { !recorded.isEmpty && holding.isEmpty }

    /// The two ways to revoke clients of a CA that is in no trust anchor.
    var hint: String {
        let file = FilePath.Part.certificate.name(of: name)
        let option = Quoting.words("--ca-certificate", "\(directory)/\(file)")
        return
            "give \(name) a trust anchor of its own: pki print-setup --format aws-cli \(Quoting.command(option)); or revoke \(name) itself, "
            + "with all its clients, by the root's CRL: pki revoke \(Quoting.shell(name))"
    }

    /// Says that a CRL of the CA is of no use in AWS.
    func warnIfWithout(_ console: Console) {
        guard isWithout else { return }
        console.warning(
            "AWS cannot revoke clients of \(name): it takes a CRL only from a CA in the trust anchor, and \(name) is in none"
        )
        console.hint(hint)
    }
}
