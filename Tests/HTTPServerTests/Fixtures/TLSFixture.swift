// SPDX-License-Identifier: Apache-2.0

// Made by make-certificate.sh: do not edit.

/// A certificate for tests, known to everybody.
struct TLSFixture {
    let certificate: String
    let key: String

    static let server = TLSFixture(
        certificate: """
            -----BEGIN CERTIFICATE-----
            MIIBmzCCAUGgAwIBAgIUCKeGuNQ1ZU/gXr4IQcgOg/86u2AwCgYIKoZIzj0EAwIw
            FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEzMDEyMjE0MVoYDzk5OTQwMzIz
            MTIyMTQxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
            PQMBBwNCAASXa8fFMoNvrDKjMfyNB0hXhMQJDozXExHLdt3D0jJhng0K+iGIvjTo
            jIcxwCzmTb8UHzZL1H0cowa1jULNCwwpo28wbTAdBgNVHQ4EFgQUILLOfP8pSKPg
            AoeVpj7oz0LlTMkwHwYDVR0jBBgwFoAUILLOfP8pSKPgAoeVpj7oz0LlTMkwDwYD
            VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
            zj0EAwIDSAAwRQIgJWFo6i/X9+rjm+ZzCaBs7mJEHetljvtV7Z89BnPxOXwCIQDb
            CbCgopldh6fgXhhl64eEkDdAQNKvxFYmPDXPRZgPiQ==
            -----END CERTIFICATE-----
            """,
        key: """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLpoRMK8qDO1cUZM6
            unjwFe/bjRWgqEiPWBTN8tah1S+hRANCAASXa8fFMoNvrDKjMfyNB0hXhMQJDozX
            ExHLdt3D0jJhng0K+iGIvjTojIcxwCzmTb8UHzZL1H0cowa1jULNCwwp
            -----END PRIVATE KEY-----
            """
    )

    static let clients = TLSFixture(
        certificate: """
            -----BEGIN CERTIFICATE-----
            MIIBijCCATGgAwIBAgIUNGe0PfUDObZLJ+5F6IJzmWhk+DwwCgYIKoZIzj0EAwIw
            GjEYMBYGA1UEAwwPcm9vdCBvZiBjbGllbnRzMCAXDTI2MTEzMDEyMjE0MVoYDzk5
            OTQwMzIzMTIyMTQxWjAaMRgwFgYDVQQDDA9yb290IG9mIGNsaWVudHMwWTATBgcq
            hkjOPQIBBggqhkjOPQMBBwNCAAQjuVqy9AcfKN1kkIZrjW1LDMpNyhM36HkJcsOA
            PTYa204roopydNjnN4ZKXKAX+N8he6EtmENqyc6bPgTOE3Xmo1MwUTAdBgNVHQ4E
            FgQUvtMlINkaAWnBCxr2Hpc2568R3kswHwYDVR0jBBgwFoAUvtMlINkaAWnBCxr2
            Hpc2568R3kswDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAHZPDe
            9oOZSt6UrklONIBF4v43/aIn2+cJUoCc0d20CAIgaI1/MA1wQMOFY9hJfslRdC5k
            UGgKnsM8fpruSTxWJqk=
            -----END CERTIFICATE-----
            """,
        key: """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLLTvsgHuRnz767Ol
            4gjXpeATF8AswTUiB0hCTQDDqRuhRANCAAQjuVqy9AcfKN1kkIZrjW1LDMpNyhM3
            6HkJcsOAPTYa204roopydNjnN4ZKXKAX+N8he6EtmENqyc6bPgTOE3Xm
            -----END PRIVATE KEY-----
            """
    )

    static let client = TLSFixture(
        certificate: """
            -----BEGIN CERTIFICATE-----
            MIIBljCCATygAwIBAgIUGs4E3o15S2sZfq+mlhNp0tFmR9UwCgYIKoZIzj0EAwIw
            GjEYMBYGA1UEAwwPcm9vdCBvZiBjbGllbnRzMCAXDTI2MTEzMDEyMjE0MVoYDzk5
            OTQwMzIzMTIyMTQxWjATMREwDwYDVQQDDAhhIGNsaWVudDBZMBMGByqGSM49AgEG
            CCqGSM49AwEHA0IABGn1KuuBGJqKw+v7EUA304SxG9oLAwkBi2VSFhabr7vP6PgR
            GDoKoAsaO6oqzapb05Nm+UwZPzrAH1frq52MeuOjZTBjMB0GA1UdDgQWBBTaDLAs
            zx9tpCOH6FXzTqiNZCBA3TAfBgNVHSMEGDAWgBS+0yUg2RoBacELGvYelzbnrxHe
            SzATBgNVHSUEDDAKBggrBgEFBQcDAjAMBgNVHRMBAf8EAjAAMAoGCCqGSM49BAMC
            A0gAMEUCIDYdGQgedlPwAySuBwcf4ZeODHXMZsIDS+YK13ol/hpMAiEAksvu4hh/
            gIiLo8sZoonAiDZDdBjcZ97UhV5gPSFvw6U=
            -----END CERTIFICATE-----
            """,
        key: """
            -----BEGIN PRIVATE KEY-----
            MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/kmko2hywEOkKEl8
            ALo5Z3jgQyVSpiCsXuUx1IoVIGihRANCAARp9SrrgRiaisPr+xFAN9OEsRvaCwMJ
            AYtlUhYWm6+7z+j4ERg6CqALGjuqKs2qW9OTZvlMGT86wB9X66udjHrj
            -----END PRIVATE KEY-----
            """
    )
}
