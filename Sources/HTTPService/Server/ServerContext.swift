// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import Logging
internal import NIOPosix

/// What every connection of a server shares.
final class ServerContext: Sendable {
    let limits: HTTPLimits
    let handler: any HTTPHandler
    let now: @Sendable () -> Date
    let workers: NIOThreadPool
    let logger: Logger
    let connections: ConnectionRegistry

    init(
        limits: HTTPLimits,
        handler: any HTTPHandler,
        now: @escaping @Sendable () -> Date,
        workers: NIOThreadPool,
        logger: Logger
    ) {
        self.limits = limits
        self.handler = handler
        self.now = now
        self.workers = workers
        self.logger = logger
        connections = ConnectionRegistry(limit: limits.connections)
    }
}
