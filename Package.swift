// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

/// Every Swift target is built with the same settings, so that a file can move between rooms unchanged.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "pki",
    products: [
        .executable(name: "pki", targets: ["pki"]),
        .library(name: "Certificates", targets: ["Certificates"]),
        .library(name: "Authority", targets: ["Authority"]),
        .library(name: "TrustAnchors", targets: ["TrustAnchors"]),
        .library(name: "RolesAnywhere", targets: ["RolesAnywhere"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        // Reads DER in tests.
        .package(url: "https://github.com/apple/swift-asn1", exact: "1.7.4"),
    ],
    targets: [
        // Headers only, which the compiler finds by itself: without pkg-config nothing is linked, so that start-up does not pay
        // for libraries that a command does not use. CLibraries opens libcrypto, libssl and SQLite when they are first
        // called, RolesAnywhere opens libcurl with its 38 libraries when the network is needed.
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CPostgreSQL", providers: [.apt(["libpq-dev"])]),
        // A header only: the library of a token is opened when a key in it is used.
        .systemLibrary(name: "CPKCS11", providers: [.apt(["libp11-kit-dev"])]),
        .target(name: "CLibraries", exclude: ["functions.inc"]),
        .target(name: "SystemSupport", dependencies: ["CLibraries"], swiftSettings: settings),
        .target(name: "SQL", swiftSettings: settings),
        .target(name: "SQLite", dependencies: ["CSQLite", "SQL", "SystemSupport"], swiftSettings: settings),
        .target(name: "PostgreSQL", dependencies: ["CPostgreSQL", "SQL", "SystemSupport"], swiftSettings: settings),
        .target(name: "Certificates", dependencies: ["COpenSSL", "SystemSupport"], swiftSettings: settings),
        .target(
            name: "Authority",
            dependencies: ["Certificates", "PostgreSQL", "SQL", "SQLite", "SystemSupport"],
            exclude: ["Templates/setup", "Templates/systemd", "Templates/lab.json"],
            resources: [.embedInCode("Templates")],
            swiftSettings: settings
        ),
        .target(
            name: "Enrolment", dependencies: ["Authority", "Certificates", "SystemSupport"], swiftSettings: settings),
        .target(
            name: "EnrolmentService",
            dependencies: ["Authority", "Certificates", "Enrolment", "HTTPServer", "SystemSupport"],
            swiftSettings: settings
        ),
        .target(name: "AWSModel", dependencies: ["Certificates", "SystemSupport"], swiftSettings: settings),
        .target(
            name: "TrustAnchors",
            dependencies: ["AWSModel", "Certificates", "SystemSupport"],
            resources: [.embedInCode("Templates")],
            swiftSettings: settings
        ),
        .target(
            name: "RolesAnywhere",
            dependencies: ["AWSModel", "Certificates", "CCurl", "SystemSupport"],
            swiftSettings: settings
        ),
        .target(
            name: "EnrolmentClient",
            dependencies: ["Authority", "Certificates", "Enrolment", "RolesAnywhere", "SystemSupport"],
            swiftSettings: settings
        ),
        .target(
            name: "HardwareKeys",
            dependencies: ["Certificates", "CPKCS11", "SystemSupport"],
            swiftSettings: settings
        ),
        .target(
            name: "HTTPServer",
            dependencies: ["COpenSSL", nioCore, nioPosix, logging, "SystemSupport"],
            swiftSettings: settings
        ),
        .target(
            name: "Delivery",
            dependencies: ["Certificates", "HTTPServer", "SystemSupport", logging],
            swiftSettings: settings
        ),
        .target(
            name: "Lab",
            dependencies: ["AWSModel", "Certificates", "HTTPServer", "SQL", "SQLite", "SystemSupport"],
            resources: [.embedInCode("Page")],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "pki",
            dependencies: [
                "Certificates", "AWSModel", "Authority", "Enrolment", "EnrolmentClient", "EnrolmentService",
                "TrustAnchors",
                "RolesAnywhere", "HardwareKeys", "Delivery", "HTTPServer", "Lab", "SystemSupport", logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings,
            // Smaller and sooner started: nothing is exported from a program, its 80,000 relative relocations are packed, what
            // is not used is left out, and C++'s runtime, which Swift's needs, is linked in. What the loader has set up is
            // read-only from then on, the table of functions too.
            linkerSettings: [
                .unsafeFlags(
                    ["-use-ld=lld", "-Xclang-linker", "-static-libgcc"]
                        + [
                            "--no-export-dynamic", "-z", "pack-relative-relocs", "-z", "relro", "-z", "now",
                            "--gc-sections",
                            "--remap-inputs=*/libstdc++.so=/dev/null", "-l:libstdc++.a",
                        ].flatMap { ["-Xlinker", $0] },
                    .when(platforms: [.linux], configuration: .release)
                )
            ]
        ),
        .target(
            name: "CTestSupport", path: "Tests/Support",
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .target(
            name: "TestSupport", dependencies: ["PostgreSQL", "SQL", "SystemSupport"], path: "Tests/TestSupport",
            swiftSettings: settings),
        .testTarget(
            name: "CertificatesTests",
            dependencies: [
                "Certificates", "SystemSupport", "CTestSupport", "TestSupport",
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ],
            exclude: ["Corpus"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SystemSupportTests", dependencies: ["SystemSupport", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "PostgreSQLTests", dependencies: ["PostgreSQL", "SQL", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "SQLiteTests", dependencies: ["SQL", "SQLite", "SystemSupport"], swiftSettings: settings),
        .testTarget(
            name: "AuthorityTests",
            dependencies: [
                "Authority", "Certificates", "PostgreSQL", "SQL", "SQLite", "SystemSupport", "TestSupport",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EnrolmentTests",
            dependencies: [
                "PostgreSQL", "SQL", "Enrolment", "Authority", "Certificates", "SystemSupport", "TestSupport",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EnrolmentServiceTests",
            dependencies: ["EnrolmentService", "Enrolment", "Certificates", "SystemSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AWSModelTests",
            dependencies: ["AWSModel", "Certificates", "SystemSupport"],
            exclude: ["Fixtures"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "TrustAnchorsTests",
            dependencies: ["TrustAnchors", "AWSModel", "Certificates", "SystemSupport", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RolesAnywhereTests",
            dependencies: ["RolesAnywhere", "AWSModel", "Certificates", "SystemSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HardwareKeysTests",
            dependencies: ["HardwareKeys", "Certificates", "SystemSupport", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "DeliveryTests",
            dependencies: ["Delivery", "HTTPServer", "Certificates", "SystemSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HTTPServerTests",
            dependencies: [
                "HTTPServer", "SystemSupport", "CTestSupport", nioCore, nioPosix, nioEmbedded, logging,
            ],
            exclude: ["Fixtures/make-certificate.sh"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "LabTests",
            dependencies: ["Lab", "AWSModel", "HTTPServer", "Certificates", "SQL", "SQLite", "SystemSupport"],
            exclude: ["Fixtures/make-fixtures.py"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "pkiTests",
            dependencies: [
                "pki", "AWSModel", "Certificates", "Authority", "RolesAnywhere", "Delivery", "SystemSupport",
                "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)

// `script/fuzz` names libFuzzer's library here; the fuzz program is built by that script alone.
if let fuzzer = Context.environment["PKI_FUZZER"] {
    package.targets += [
        .systemLibrary(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "Certificates", "AWSModel", "Authority", "EnrolmentService", "SQL", "SQLite", "RolesAnywhere",
                "HardwareKeys",
                "Delivery",
                "HTTPServer", "Lab", "SystemSupport", "CFuzzer",
            ],
            path: "Tests/Fuzz",
            exclude: ["CFuzzer", "Corpus"],
            swiftSettings: settings,
            linkerSettings: [.unsafeFlags([fuzzer, "-lstdc++"])]
        ),
    ]
}
