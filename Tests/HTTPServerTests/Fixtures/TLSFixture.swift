// SPDX-License-Identifier: Apache-2.0

// Made by make-certificate.sh: do not edit.

/// A certificate for tests, known to everybody.
enum TLSFixture {
    static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBnDCCAUGgAwIBAgIUH271A1477V405taaTyI6lqoHgCQwCgYIKoZIzj0EAwIw
        FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzAwMDYxN1oYDzk5OTQwMzE2
        MDAwNjE3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAAT+YSaqrx65mW0bXR0R/jvrWTuU42Xh3yXgDNTMIOUZZiQDQtitBLlw
        x93Ahb+FyH8Q+sqOyjoc9RwOXV/w8f8wo28wbTAdBgNVHQ4EFgQU48vQ9vCs8OTp
        mKIzv/6qgpr2s+swHwYDVR0jBBgwFoAU48vQ9vCs8OTpmKIzv/6qgpr2s+swDwYD
        VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
        zj0EAwIDSQAwRgIhAOWDvpqzGQ9rtbFw/fOlIRs0PAc8gI/baEQ6Zqcvk9a/AiEA
        80jMU7Zm+UL6gcH5pF88EKGYuGZiJeW2rxx4LpYshvU=
        -----END CERTIFICATE-----
        """

    static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQrD58qRmRvmWzFWe
        HP+c+Z/pz6a8WtlADkYytFEpXEmhRANCAAT+YSaqrx65mW0bXR0R/jvrWTuU42Xh
        3yXgDNTMIOUZZiQDQtitBLlwx93Ahb+FyH8Q+sqOyjoc9RwOXV/w8f8w
        -----END PRIVATE KEY-----
        """
}
