// SPDX-License-Identifier: Apache-2.0
//
// Written by Tests/Fixtures/make-signing-vectors. Do not edit.
// swift-format-ignore-file

/// Certificates made by the openssl command, each with its key where a test needs one.
enum Fixtures {
    static let root = """
        -----BEGIN CERTIFICATE-----
        MIIBdTCCARqgAwIBAgIUZ7pJRcI7q1nXGc9CEiwOvuUOnOowCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAXMRUwEwYDVQQDDAxGaXh0dXJlIFJvb3QwWTATBgcqhkjOPQIB
        BggqhkjOPQMBBwNCAAQ3SEAEimt7HDlb7Kg0hnE7fIHGfzkExUoj8xC0d1ke+y3K
        vjNXZelywfDMXoMhF/Oa6vjrtfy0prv7p9jiW4Nwo0IwQDAPBgNVHRMBAf8EBTAD
        AQH/MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQUgm6umBjcx039yHApDYfndWXr
        Y+QwCgYIKoZIzj0EAwIDSQAwRgIhAL3DAAfKBA3xrH1bEA+aqFYvN7I7VQyBLta9
        vK4ZI0FkAiEAoaKWERAffDFEEh5nmsUT8pnw2jA0ZyQupBqCyR/ExDE=
        -----END CERTIFICATE-----
        """

    static let rsaCertificate = """
        -----BEGIN CERTIFICATE-----
        MIICWDCCAf+gAwIBAgIUB1ASEHyRQQDUjQngCR+PNp3iqt0wCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAWMRQwEgYDVQQDDAtyc2EuZXhhbXBsZTCCASIwDQYJKoZIhvcN
        AQEBBQADggEPADCCAQoCggEBAMwxgNkXe/LGrEgpwB8hG+lDz0l1K0jDqtoy6fMJ
        1VtLLUKH54eQkC9rJU4TxuvC/WAmvrI3FVA/NCrbIB8Ksqo5xVKgtwQm6qVzJHc4
        eUgvUijRBz4qTB5brCeJ/l532Snedj/DppL5QL4uCWxRlO3ax/TQPBxip8xKxI0e
        imtaabNLalUJWx7WJ+nUVc4N+Ui/XEYo0g1RvwNnVCmdUkqfmVpY14i0ZbsE3tv+
        fIaEHgXzk3fRA2BANbwEQssHgHLJpHc7XCScfXKDcpDy/PMwAvykd59t9BADkS2N
        dV6+MzQPCy7tf48a8cOD1n1GhHYv5ZarCZ8RimgQ8EjZwIMCAwEAAaNdMFswCQYD
        VR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFL4oP5Ifl2aX6zLoWw+7
        SF0VmOgBMB8GA1UdIwQYMBaAFIJurpgY3MdN/chwKQ2H53Vl62PkMAoGCCqGSM49
        BAMCA0cAMEQCIHKk8O1R0f2a/LzIm0rDeEQwHJ31u1HfCaocXhUHmx38AiBnTAim
        57PysdNdw8agoKsuMW7qVz183ka/jRNdtw1llQ==
        -----END CERTIFICATE-----
        """

    static let rsaKey = """
        -----BEGIN PRIVATE KEY-----
        MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDMMYDZF3vyxqxI
        KcAfIRvpQ89JdStIw6raMunzCdVbSy1Ch+eHkJAvayVOE8brwv1gJr6yNxVQPzQq
        2yAfCrKqOcVSoLcEJuqlcyR3OHlIL1Io0Qc+KkweW6wnif5ed9kp3nY/w6aS+UC+
        LglsUZTt2sf00DwcYqfMSsSNHoprWmmzS2pVCVse1ifp1FXODflIv1xGKNINUb8D
        Z1QpnVJKn5laWNeItGW7BN7b/nyGhB4F85N30QNgQDW8BELLB4ByyaR3O1wknH1y
        g3KQ8vzzMAL8pHefbfQQA5EtjXVevjM0Dwsu7X+PGvHDg9Z9RoR2L+WWqwmfEYpo
        EPBI2cCDAgMBAAECggEABfIfErM4sb4P6t4EW85cALPaclojaNqsZpl67yUcfaxi
        ZKs5Fl0i8Fk0seGo4NlBsC4QpCHZ0LILySpY9MPGphGelE8HupWOLu57uQOqTGwh
        qVHviGOKPza40ZdBZ+t3eweg9oRc8ln9r6FUNuo9OvEsR2L/jRgLqMrjOZ9ntRkp
        3jGGSl6yBIUF6YRhKToOPQtMi72Lk2gZLqCZRzoT8FXyhQbYUBXpVTA4FtAa03cP
        DlE+0HY6pVFPy7RRPEttva4mGSN66iR1Dn4aPh/akagT8bUoXKJad1yMHxZR+duG
        Peouy0ChDa5li7NorNrT8zt/SX4ZVGwNCVPS8GBGEQKBgQD0B8aUnkeUam+VeCvb
        vuJvLGGoFyVw9Kv8WuO32QyzKU9iDPCO7E1+WHbSQ26lkuXxE1rznto9f7muwag3
        5KqL2s8kwrVek0n2buolNEk3FkF3UdDPVZz8gmacE+7fCWxRxf8OxPhmBBMjbwhU
        NENaT9S1gXrgyYRrptZMp2qCWQKBgQDWNYFIM4/GuHbhVxowPbDGpKIssDsNnh/N
        HSnJ2/Evr8tWyTjiOGL1GXWY0k8jm604QU0JU9aQGX/k4TbB4r3OTVE7srOu6vkc
        9D1muvTkeEdFcm0RtlX77cu14DB80jwARRcXGIRrMqfcAAUM00B/JauQABM1D60H
        2qWFEAimOwKBgF5X9z0T6EaH07XsrMAbDz294c9zi2UdIrTAitNUFaXabbdRm1sW
        HmufVei6azeWEFHgksQnAObPz4CxnBBn1kuVf4oNwMLcnLaqcNmLWlbywsKXneva
        hIPXAkaLKkmOQhNnQdF68zG1l5SWY5jyT6vFu02kzlXDcu+Po8Ak5XeZAoGBAJk9
        xbMFUAH1zPX//fgs6d3xwSL/H//p8w4lotOJyM04kdsQMOWFOSXmhL5DFeJ/aDgq
        XxYhKAoGc/wlMasarnZ70XVHrkugRX51K8fmT3NyqGoCJgzZyEFmKKmALK/fJpV6
        173qCDE4F+XHDdXS+vz60fU+WH9JK5vGy0qZ4dYpAoGAPngbRX6Cbnev/KKcp1Px
        uQABvzS++3xR19ZvI0qQXX7iMoig53XfNf7ubVH7ghfH/F56I2tpjK91q401IbGe
        WtEN6DMF3tDUe0WtgBd+cx6rarJNxpqej+YMCJ89Cd8eLHVfS7t3UI0lV0meXCP/
        1dsC/wjTITwIULIDDxOVf8k=
        -----END PRIVATE KEY-----
        """

    static let ecCertificate = """
        -----BEGIN CERTIFICATE-----
        MIIBjTCCATOgAwIBAgIUHFet6livErSQWwU2KABqk81CurkwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAVMRMwEQYDVQQDDAplYy5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
        KoZIzj0DAQcDQgAEq3YqyeOfesJ4dIqXifALaAXhpG6wgDWebOwdDVliwcy2SfKj
        e3vKa9svPLjdxl3hiwarAee37cbQ/IYl/sEJ46NdMFswCQYDVR0TBAIwADAOBgNV
        HQ8BAf8EBAMCB4AwHQYDVR0OBBYEFMNGGOSkuXtexI84p4bxuEtRbjCYMB8GA1Ud
        IwQYMBaAFIJurpgY3MdN/chwKQ2H53Vl62PkMAoGCCqGSM49BAMCA0gAMEUCIGuS
        7I0uDekKuazBAtkhr8ljXsLZKNBVSM/j+0QyViUHAiEA3ZgJhcGlTzf2KyU2TZ1l
        QYkozA3AxFVyD3VpTjeDXRc=
        -----END CERTIFICATE-----
        """

    static let ecKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQeavOoieaPudvhmO
        31sWWYwchNnnB7AXlCCdWcrKvjyhRANCAASrdirJ4596wnh0ipeJ8AtoBeGkbrCA
        NZ5s7B0NWWLBzLZJ8qN7e8pr2y88uN3GXeGLBqsB57ftxtD8hiX+wQnj
        -----END PRIVATE KEY-----
        """

    static let ed25519Certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBYzCCAQmgAwIBAgIUbOLWRvfbGvMA5sbeQ1s4FRbNNtQwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAaMRgwFgYDVQQDDA9lZDI1NTE5LmV4YW1wbGUwKjAFBgMrZXAD
        IQB1T9E3azS1YyY+NYjKf/c/BO36RF8/amy8xyjG8Veot6NdMFswCQYDVR0TBAIw
        ADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFEF3k2icHx3cudG4jGCaOD2ayXHW
        MB8GA1UdIwQYMBaAFIJurpgY3MdN/chwKQ2H53Vl62PkMAoGCCqGSM49BAMCA0gA
        MEUCIQDspuFVYQ0o1DyqbIsL3RZSoWlbTOIYtaSm7kBHyPdFMgIgB4Wq4AP/Z16P
        oXWYYZNlFzD3Lee7bOhOKVhARXxvNe8=
        -----END CERTIFICATE-----
        """

    static let ed25519Key = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIKhKtJQ0Ofej+xZTs+83i1afXJfDUyqdNoUuTc1H9TO9
        -----END PRIVATE KEY-----
        """

    // The following are for the EC key above.

    static let sha1Certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBjjCCATSgAwIBAgIUKiQjCVFtssJtoUPKg7xGq8k1qGwwCQYHKoZIzj0EATAX
        MRUwEwYDVQQDDAxGaXh0dXJlIFJvb3QwIBcNMjAwMTAxMDAwMDAwWhgPOTk5OTEy
        MzEyMzU5NTlaMBcxFTATBgNVBAMMDHNoYTEuZXhhbXBsZTBZMBMGByqGSM49AgEG
        CCqGSM49AwEHA0IABKt2Ksnjn3rCeHSKl4nwC2gF4aRusIA1nmzsHQ1ZYsHMtkny
        o3t7ymvbLzy43cZd4YsGqwHnt+3G0PyGJf7BCeOjXTBbMAkGA1UdEwQCMAAwDgYD
        VR0PAQH/BAQDAgeAMB0GA1UdDgQWBBTDRhjkpLl7XsSPOKeG8bhLUW4wmDAfBgNV
        HSMEGDAWgBSCbq6YGNzHTf3IcCkNh+d1Zetj5DAJBgcqhkjOPQQBA0kAMEYCIQDf
        nIgk8Ti8c4ejV1FTQLkjaJmQCCfxJLBK8WW1i6KexAIhANdZP0GnIMJSknwXN7Lg
        Rsz5/atLEkwat4em9DTcdHk6
        -----END CERTIFICATE-----
        """

    static let certificateWithoutKeyUsage = """
        -----BEGIN CERTIFICATE-----
        MIIBhjCCAS2gAwIBAgIUV/kGEaMNo9OcahQrL0u51/Q9zmQwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAfMR0wGwYDVQQDDBRuby1rZXktdXNhZ2UuZXhhbXBsZTBZMBMG
        ByqGSM49AgEGCCqGSM49AwEHA0IABKt2Ksnjn3rCeHSKl4nwC2gF4aRusIA1nmzs
        HQ1ZYsHMtknyo3t7ymvbLzy43cZd4YsGqwHnt+3G0PyGJf7BCeOjTTBLMAkGA1Ud
        EwQCMAAwHQYDVR0OBBYEFMNGGOSkuXtexI84p4bxuEtRbjCYMB8GA1UdIwQYMBaA
        FIJurpgY3MdN/chwKQ2H53Vl62PkMAoGCCqGSM49BAMCA0cAMEQCICTd7HNp9XrL
        6L/qjehOmr6g7EGsWSy1kG8FHRVQgjdjAiA5/q9quJoV3ysR+6YIoyhMvs+ooZ/Y
        vXrIFR8glydZfw==
        -----END CERTIFICATE-----
        """

    static let certificateForEncipherment = """
        -----BEGIN CERTIFICATE-----
        MIIBjzCCATWgAwIBAgIUVH+ss0jSvW6Lg4A8BgQ3Z9U5C9IwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAiMSAwHgYDVQQDDBd3cm9uZy1rZXktdXNhZ2UuZXhhbXBsZTBZ
        MBMGByqGSM49AgEGCCqGSM49AwEHA0IABKt2Ksnjn3rCeHSKl4nwC2gF4aRusIA1
        nmzsHQ1ZYsHMtknyo3t7ymvbLzy43cZd4YsGqwHnt+3G0PyGJf7BCeOjUjBQMA4G
        A1UdDwEB/wQEAwIFIDAdBgNVHQ4EFgQUw0YY5KS5e17EjzinhvG4S1FuMJgwHwYD
        VR0jBBgwFoAUgm6umBjcx039yHApDYfndWXrY+QwCgYIKoZIzj0EAwIDSAAwRQIh
        AK7/cUhSAhQs5SSWLMauBa7YyAgb2aYpYHXbqqqGy34nAiBrWB2G1N32ofRsA8uc
        ibsj+Q4CKg6oPbXLeE1m+EAqcg==
        -----END CERTIFICATE-----
        """

    static let certificateOfCA = """
        -----BEGIN CERTIFICATE-----
        MIIBlDCCATmgAwIBAgIUKDRo9e+AJ4kKYwnMwtQ59XSgNg4wCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAVMRMwEQYDVQQDDApjYS5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
        KoZIzj0DAQcDQgAEq3YqyeOfesJ4dIqXifALaAXhpG6wgDWebOwdDVliwcy2SfKj
        e3vKa9svPLjdxl3hiwarAee37cbQ/IYl/sEJ46NjMGEwDwYDVR0TAQH/BAUwAwEB
        /zAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0OBBYEFMNGGOSkuXtexI84p4bxuEtRbjCY
        MB8GA1UdIwQYMBaAFIJurpgY3MdN/chwKQ2H53Vl62PkMAoGCCqGSM49BAMCA0kA
        MEYCIQCtD2ksXXgq1Lg8IrZiqgfQnceoTWrTsjb4lkYc+yb3lwIhAObynHAInNvK
        kYRzvHeI6jwCv4hqx86lzmw6jvTkXzbT
        -----END CERTIFICATE-----
        """

    static let certificateWithoutSubject = """
        -----BEGIN CERTIFICATE-----
        MIIBdzCCAR6gAwIBAgIUHYat8eM1aX0mGSO3XTaBXaNkKrUwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAAMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEq3YqyeOfesJ4
        dIqXifALaAXhpG6wgDWebOwdDVliwcy2SfKje3vKa9svPLjdxl3hiwarAee37cbQ
        /IYl/sEJ46NdMFswCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYE
        FMNGGOSkuXtexI84p4bxuEtRbjCYMB8GA1UdIwQYMBaAFIJurpgY3MdN/chwKQ2H
        53Vl62PkMAoGCCqGSM49BAMCA0cAMEQCIHuO3CMf3z50ndNj2BEpn3i/eN1KsZQh
        SWqyVadZI0JYAiBN/fzJ3c8DLqwEknL7DKqajl6J0mzZPVUS6O9EIxBP1A==
        -----END CERTIFICATE-----
        """

    static let certificateOfVersion1 = """
        -----BEGIN CERTIFICATE-----
        MIIBMDCB1gIUKAmk7+Tn7jqnEBgncV3TNqEuo1AwCgYIKoZIzj0EAwIwFzEVMBMG
        A1UEAwwMRml4dHVyZSBSb290MCAXDTI2MTEyMjIzMjQzOVoYDzk5NjYxMDI4MjMy
        NDM5WjAcMRowGAYDVQQDDBF2ZXJzaW9uLTEuZXhhbXBsZTBZMBMGByqGSM49AgEG
        CCqGSM49AwEHA0IABKt2Ksnjn3rCeHSKl4nwC2gF4aRusIA1nmzsHQ1ZYsHMtkny
        o3t7ymvbLzy43cZd4YsGqwHnt+3G0PyGJf7BCeMwCgYIKoZIzj0EAwIDSQAwRgIh
        APw8dOOXNCobINnV/4G6C8VnnLMiX44L35i4xXe6HYdFAiEAolYbYAHHR9X6uUAu
        8zouO6pJZohKT2wMFHwWLVnKPBI=
        -----END CERTIFICATE-----
        """
}

/// One request for 2026-01-02T03:04:05Z, worked out step by step from the description of CreateSession.
enum SigningVector {
    static let serialNumber = "41748568642892441884632602112086288405631249117"

    static let canonicalRequest = """
        POST
        /sessions
        profileArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aprofile%2F0f5dc9ff-0001&roleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fservice%2FApp%2BTest%40one%3D1&trustAnchorArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aalias%2Ftrust-anchor%2FMy%20Anchor
        content-type:application/json
        host:rolesanywhere.us-east-1.amazonaws.com
        x-amz-date:20260102T030405Z
        x-amz-x509:MIICWDCCAf+gAwIBAgIUB1ASEHyRQQDUjQngCR+PNp3iqt0wCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAWMRQwEgYDVQQDDAtyc2EuZXhhbXBsZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAMwxgNkXe/LGrEgpwB8hG+lDz0l1K0jDqtoy6fMJ1VtLLUKH54eQkC9rJU4TxuvC/WAmvrI3FVA/NCrbIB8Ksqo5xVKgtwQm6qVzJHc4eUgvUijRBz4qTB5brCeJ/l532Snedj/DppL5QL4uCWxRlO3ax/TQPBxip8xKxI0eimtaabNLalUJWx7WJ+nUVc4N+Ui/XEYo0g1RvwNnVCmdUkqfmVpY14i0ZbsE3tv+fIaEHgXzk3fRA2BANbwEQssHgHLJpHc7XCScfXKDcpDy/PMwAvykd59t9BADkS2NdV6+MzQPCy7tf48a8cOD1n1GhHYv5ZarCZ8RimgQ8EjZwIMCAwEAAaNdMFswCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFL4oP5Ifl2aX6zLoWw+7SF0VmOgBMB8GA1UdIwQYMBaAFIJurpgY3MdN/chwKQ2H53Vl62PkMAoGCCqGSM49BAMCA0cAMEQCIHKk8O1R0f2a/LzIm0rDeEQwHJ31u1HfCaocXhUHmx38AiBnTAim57PysdNdw8agoKsuMW7qVz183ka/jRNdtw1llQ==

        content-type;host;x-amz-date;x-amz-x509
        1a15f67f6619aa540b13e9a4c37d149fb2c9bdea25d82b73a3878826694dfe27
        """

    static let stringToSign = """
        AWS4-X509-RSA-SHA256
        20260102T030405Z
        20260102/us-east-1/rolesanywhere/aws4_request
        a0c4fbe8c898d4d5b656cca6306d7fb485a64f65db28eaf6d69b2034f6949aed
        """

    static let authorization = """
        AWS4-X509-RSA-SHA256 Credential=41748568642892441884632602112086288405631249117/20260102/us-east-1/rolesanywhere/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-x509, Signature=1e0318966785935bb8b0453c58a7523562409b224ee5c970433301db59f21dd262148266eda2ca4ceb693a4889fae00168e0581d707b07c489b6a69bcc34403191d367e686fe6b45323ceeafec9e7d227acbe73efeb997b8255afa2921c7f7a36bc39c56bc8ea7631b215d46be596edc340e7553c7be7eaee50266f5e506df86b2ac7110742777374f997ac4a9164c18250c8cbab8ece7cc3013742a076e45fd2c253b2e700dcb0352bca423d04bf50900d0a49b9c8898b11f2aba30ac03ffbf1f4a9db08c8bd5a32fcd3dda041c93a8c4fe1da36bff2d78b82b8b031c06431a5e09cb5027ea1b601ecbcf89ead32b1846e8b76d630eef7db9f4d637038e99ec
        """

    /// Sent to https://127.0.0.1:8443/gateway/v1 with the EC certificate as a chain.

    static let canonicalRequestWithPath = """
        POST
        /gateway/v1/sessions
        profileArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aprofile%2F0f5dc9ff-0001&roleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fservice%2FApp%2BTest%40one%3D1&trustAnchorArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aalias%2Ftrust-anchor%2FMy%20Anchor
        content-type:application/json
        host:127.0.0.1:8443
        x-amz-date:20260102T030405Z
        x-amz-x509:MIICWDCCAf+gAwIBAgIUB1ASEHyRQQDUjQngCR+PNp3iqt0wCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAWMRQwEgYDVQQDDAtyc2EuZXhhbXBsZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAMwxgNkXe/LGrEgpwB8hG+lDz0l1K0jDqtoy6fMJ1VtLLUKH54eQkC9rJU4TxuvC/WAmvrI3FVA/NCrbIB8Ksqo5xVKgtwQm6qVzJHc4eUgvUijRBz4qTB5brCeJ/l532Snedj/DppL5QL4uCWxRlO3ax/TQPBxip8xKxI0eimtaabNLalUJWx7WJ+nUVc4N+Ui/XEYo0g1RvwNnVCmdUkqfmVpY14i0ZbsE3tv+fIaEHgXzk3fRA2BANbwEQssHgHLJpHc7XCScfXKDcpDy/PMwAvykd59t9BADkS2NdV6+MzQPCy7tf48a8cOD1n1GhHYv5ZarCZ8RimgQ8EjZwIMCAwEAAaNdMFswCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFL4oP5Ifl2aX6zLoWw+7SF0VmOgBMB8GA1UdIwQYMBaAFIJurpgY3MdN/chwKQ2H53Vl62PkMAoGCCqGSM49BAMCA0cAMEQCIHKk8O1R0f2a/LzIm0rDeEQwHJ31u1HfCaocXhUHmx38AiBnTAim57PysdNdw8agoKsuMW7qVz183ka/jRNdtw1llQ==
        x-amz-x509-chain:MIIBjTCCATOgAwIBAgIUHFet6livErSQWwU2KABqk81CurkwCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAVMRMwEQYDVQQDDAplYy5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEq3YqyeOfesJ4dIqXifALaAXhpG6wgDWebOwdDVliwcy2SfKje3vKa9svPLjdxl3hiwarAee37cbQ/IYl/sEJ46NdMFswCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFMNGGOSkuXtexI84p4bxuEtRbjCYMB8GA1UdIwQYMBaAFIJurpgY3MdN/chwKQ2H53Vl62PkMAoGCCqGSM49BAMCA0gAMEUCIGuS7I0uDekKuazBAtkhr8ljXsLZKNBVSM/j+0QyViUHAiEA3ZgJhcGlTzf2KyU2TZ1lQYkozA3AxFVyD3VpTjeDXRc=

        content-type;host;x-amz-date;x-amz-x509;x-amz-x509-chain
        1a15f67f6619aa540b13e9a4c37d149fb2c9bdea25d82b73a3878826694dfe27
        """
}
