// SPDX-License-Identifier: Apache-2.0

/// Certificates that pki itself does not make. They come from `Tests/Fixtures/make-trust-anchor-certificates` and last for a century;
/// their keys were thrown away.
enum Fixtures {
    /// A CA signed with SHA-1.
    static let sha1Root = """
        -----BEGIN CERTIFICATE-----
        MIIC7jCCAdagAwIBAgIUQtpoxtvaEBHMoDb5SCn9tN4jkM4wDQYJKoZIhvcNAQEF
        BQAwDjEMMAoGA1UEAwwDT2xkMCAXDTI2MTEyMjIzNDYwMFoYDzIxMjYxMDI5MjM0
        NjAwWjAOMQwwCgYDVQQDDANPbGQwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEK
        AoIBAQCoW8q2Uj2itNoGM9ragsY71WhMxa6+vvQTDVlfBVgjgXwtiz18JhI1x0VS
        /kBJAkoqpB+g4uWPHsx2j61i1zKcqwEME5++IEGcBCHAs4s9CYjoNQx0N4fGn9gI
        GlQRXRfc2S7h7cS5x89Ogvj3fdQbfXv/fCf6GdO0/gWbRHGibxAMJq1/D7R9AWvm
        XyQjd2rBjkXXVBbXmxJSlUbcnW7rYS2zmmOkrb+zNeIY9FlGRUcX98OuBWZ6QAhm
        dNC69jl7R6nhLTE9nAmruZTZI7VH4GnLEDdm3pKy2N9yY/YyDhoDfu9IT+V+1ecJ
        s4mgtOJDJKZo++yJG4RNoE65W05LAgMBAAGjQjBAMA8GA1UdEwEB/wQFMAMBAf8w
        DgYDVR0PAQH/BAQDAgIEMB0GA1UdDgQWBBTbhNaa7V29gju24d4IgADD7+A9mTAN
        BgkqhkiG9w0BAQUFAAOCAQEAoDRThVGT6JLkiq//+Dz14U2v3AISWBMMWAqEaA3e
        03G9UoQVGmU9AfRrb/KJNO6RDd4xpX3UAxxfAgiKyKqIi5mQlEy/LRDKXdAlSmD6
        7l3brgKQt0yrOFdi1fvesY8qCiqbm1phQiz4nEw4EfSw8ouYwNFmhqs5rhxtYgMb
        OoHgzxwXAybW6jbhT6/kzzzyugfT2X3tyO7vKuVa+GMrwbiF5Jo+9zO5Yy1RXf6r
        oxYMCT3M5++POqshmb/+7rU820FC5pwTnHnxdR02jFLSOfQ3zbVFMpqgXGZc20jq
        M7IcIiQe44Fy/7UZ185ST7ETJZlYeo9BD0DA05PP0QLUag==
        -----END CERTIFICATE-----

        """

    /// A certificate of version 1.
    static let version1 = """
        -----BEGIN CERTIFICATE-----
        MIIBGDCBvwIUD4okGrg+a/1PUq74DUlgDhbkwG0wCgYIKoZIzj0EAwIwDjEMMAoG
        A1UEAwwDT2xkMCAXDTI2MTEyMjIzNDYwMFoYDzIxMjYxMDI5MjM0NjAwWjAOMQww
        CgYDVQQDDANPbGQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATCf7o6WoFnlQ3s
        ikOxUXPnRL46pOqzTBFgTMYoDdK2eCf4ZNdfGFrtl1nHKmju/bi1k5JYeQowHbCs
        iuX/5kTNMAoGCCqGSM49BAMCA0gAMEUCIHh66sODl/zI5AFtnnqqg5sekd5w2mhR
        029cN1GrDYNKAiEAt8J8ZlfgxEkki9txg13bB3G4R/ky5Kf6/gbheTaM0hE=
        -----END CERTIFICATE-----

        """
}
