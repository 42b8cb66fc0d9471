// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// How the service is reached.
struct NetworkOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            The service's address in place of the region's; its path goes before /sessions; http:// for loopback only. \
            (default: AWS_ENDPOINT_URL_ROLESANYWHERE, else AWS_ENDPOINT_URL, as AWS's SDKs have it)
            """,
            valueName: "url"
        )
    )
    var endpoint: String?

    @Flag(name: .long, help: "Use the region's dual-stack endpoint (IPv4 and IPv6).")
    var dualStack = false

    @Flag(name: .long, help: "Use the region's FIPS endpoint.")
    var fips = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            CA certificates to check the server against: a PEM file or a hashed directory. (default: AWS_CA_BUNDLE, else \
            SSL_CERT_FILE and SSL_CERT_DIR, else the system's)
            """,
            valueName: "path"
        )
    )
    var caBundle: String?

    @Flag(name: .long, help: "Do not check who the server is. Whoever answers in its place can read the credentials.")
    var noVerifySsl = false

    @Flag(
        name: .long,
        help: """
            Accepted for aws_signing_helper's sake: HTTPS_PROXY, ALL_PROXY and NO_PROXY are always honoured, except for \
            loopback addresses.
            """
    )
    var withProxy = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "How long a connection may take to stand, TLS included. (default: 5)",
            valueName: "seconds"
        )
    )
    var connectTimeout: Double?

    @Option(
        name: .long,
        help: ArgumentHelp("How long one attempt may take as a whole. (default: 20)", valueName: "seconds")
    )
    var timeout: Double?

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            How often to ask at most: throttling, failures of the service and of the network are tried again. (default: 4)
            """,
            valueName: "n"
        )
    )
    var attempts: Int?

    @Flag(name: .long, help: "Show on standard error what is signed, sent and answered, and when; never a secret.")
    var debug = false

    func validate() throws {
        if let problem = settings.problem { throw ValidationError(problem) }
    }

    /// The options' values.
    var settings: NetworkSettings {
        NetworkSettings(
            endpoint: endpoint,
            dualStack: dualStack,
            fips: fips,
            caBundle: caBundle,
            noVerifySsl: noVerifySsl,
            connectTimeout: connectTimeout,
            timeout: timeout,
            attempts: attempts,
            debug: debug
        )
    }
}
