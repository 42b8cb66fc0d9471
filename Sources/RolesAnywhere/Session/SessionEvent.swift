// SPDX-License-Identifier: Apache-2.0

/// A step on the way to credentials, for whoever looks for a fault. None holds a secret.
public enum SessionEvent: Sendable {
    /// A request is about to be sent. The signature in its headers, valid for a few minutes, is shown by no description.
    case sending(attempt: Int, SignedRequest)
    /// An answer came; its content is not handed out.
    case received(status: Int, headers: HTTPHeaders, timings: HTTPTimings?)
    /// The server's clock is ahead of this machine's by so many seconds, and the request is signed again by that clock.
    case clockCorrected(seconds: Double)
    /// An attempt failed and another follows after a wait.
    case waiting(Duration, after: RolesAnywhereError)
}
