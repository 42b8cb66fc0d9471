// SPDX-License-Identifier: Apache-2.0

/// What a server grants a client before it answers with an error or closes the connection.
///
/// A connection has at most one request in work. Further requests on it stay in the kernel's buffer, so pipelining
/// needs no limit of its own.
package struct HTTPLimits: Sendable {
    /// The longest request line, in bytes with its line end. Beyond: 414.
    package var requestLineBytes = 8_192

    /// The most bytes of a head, request line and line ends included; also of trailers. Beyond: 431.
    package var headBytes = 32_768

    /// The most header fields; also the most trailers. Beyond: 431.
    package var headerCount = 100

    /// The longest body, in bytes without its transfer coding. Beyond: 413.
    package var bodyBytes = 1_048_576

    /// How long a connection may take from being opened, or from the first byte of a further request, until the head is
    /// complete; a TLS handshake included. Beyond: 408.
    package var headTime: Duration = .seconds(10)

    /// How long a body may take from the end of the head. Beyond: 408.
    package var bodyTime: Duration = .seconds(30)

    /// How long a connection is kept open without a request.
    package var idleTime: Duration = .seconds(60)

    /// How long a client may leave an answer unread once the buffers between are full.
    package var writeTime: Duration = .seconds(30)

    /// The most connections at once. One more is answered with 503, or closed where it would need a TLS handshake.
    package var connections = 1_024

    /// The most bytes of a streamed body that may wait for a slow client before its connection is closed.
    package var streamBacklogBytes = 1_048_576

    /// The default limits.
    package init() {}
}
