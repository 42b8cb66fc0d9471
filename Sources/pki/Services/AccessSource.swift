// SPDX-License-Identifier: Apache-2.0

import Certificates
import Delivery
import FoundationEssentials
import RolesAnywhere
import Synchronization
import SystemSupport

/// Credentials from IAM Roles Anywhere for as long as a process runs, by an identity that follows its files.
final class AccessSource: Sendable {
    private let access: Access
    private let identity: RotatingIdentity
    private let client: SessionClient
    private let console: Console
    private let clock: ServiceClock
    private let lastComplaint = Mutex("")

    /// Reads the identity.
    ///
    /// - Parameters:
    ///   - access: What is asked for.
    ///   - clock: Is told how far this machine's clock is off.
    ///   - console: Where it is said what happens to the files.
    /// - Throws: What is wrong with the identity.
    init(_ access: Access, clock: ServiceClock, console: Console) throws {
        self.access = access
        self.console = console
        self.clock = clock
        identity = try access.rotatingIdentity()
        client = try access.client(console)
    }

    /// What a keeper needs of it.
    var source: CredentialSource {
        CredentialSource(
            obtain: { try self.obtain() },
            hasChanged: { self.hasChanged() },
            certificateExpiration: { self.identity.identity.certificate.notAfter }
        )
    }

    private func obtain() throws -> Credentials {
        _ = hasChanged()
        let session = try client.createSession(access.request, as: identity.identity)
        clock.correction = client.clockCorrection
        return Credentials(session, issued: clock.now)
    }

    /// Looks at the files, and says what came of it.
    private func hasChanged() -> Bool {
        switch identity.update() {
        case nil: return false
        case .replaced(let identity):
            lastComplaint.withLock { $0 = "" }
            console.note(
                "\(access.name): the certificate was replaced: \(identity.certificate.subject), valid until "
                    + CivilTime(identity.certificate.notAfter).extended
            )
            return true
        case .kept(let error):
            let message = (error as? any ExplainedError)?.message ?? "\(error)"
            // Files are looked at every few seconds; half a rotation is complained of once.
            let isNew = lastComplaint.withLock { last in
                defer { last = message }
                return last != message
            }
            if isNew {
                console.warning(
                    "\(access.name): the files have changed and cannot be used, so the old ones are: \(message)"
                )
            }
            return false
        }
    }
}

/// The time, by the service's clock once this machine's was found to be wrong.
final class ServiceClock: Sendable {
    private let offset = Mutex(0.0)

    /// By how many seconds the service's clock is ahead of this machine's.
    var correction: Double {
        get { offset.withLock { $0 } }
        set { offset.withLock { $0 = newValue } }
    }

    /// The time.
    var now: Date { Date.now.addingTimeInterval(correction) }
}
