// SPDX-License-Identifier: Apache-2.0
//
// Written by Tests/Fixtures/make-signing-vectors. Do not edit.
// swift-format-ignore-file

/// Certificates made by the openssl command, each with its key where a test needs one.
enum Fixtures {
    static let root = """
        -----BEGIN CERTIFICATE-----
        MIIBczCCARqgAwIBAgIULaLrl796PFFld/+/lGkK7HQWhl4wCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAXMRUwEwYDVQQDDAxGaXh0dXJlIFJvb3QwWTATBgcqhkjOPQIB
        BggqhkjOPQMBBwNCAARSHw8/Vg4fZFA3WK8LLhRfGX4pm/Une7dcHoY3fdb2tknb
        NjPtLe0gOdSdFmiTZRs+aXb7FUefU9x44GFK2WEko0IwQDAPBgNVHRMBAf8EBTAD
        AQH/MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQUdancSSB7iV5FnHnAEzc/yjmQ
        nrUwCgYIKoZIzj0EAwIDRwAwRAIgcQl7PKwZ3iZ6H9fIg8jeE10hxqX1JFKIUJsc
        e/g2vJ8CIGWGvqBfG8pfBgsBN7ZiKV4JLNK85kXBinmnvdN/erPR
        -----END CERTIFICATE-----
        """

    static let rsaCertificate = """
        -----BEGIN CERTIFICATE-----
        MIICWjCCAf+gAwIBAgIUFyY24vVwtshL7kM74ZSnp2OY/p0wCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAWMRQwEgYDVQQDDAtyc2EuZXhhbXBsZTCCASIwDQYJKoZIhvcN
        AQEBBQADggEPADCCAQoCggEBAJtPcDcePgKmJRcnORR8avfQ+iDXhAxfM4MXRcuX
        8f4OBJnO7Bp3oox/5aSox1ki2aaiFVb7EvevJlnWbex1XQKdHow8gWiL31gAJjG/
        wU/dAnwCI1lhuukN3p3Dxs0LcZZIMUGu9v4oVoIzw/wf9s4Mr6JrGYxi8DRgCMx4
        cHo4Q93DCHNqNiQqig6w9Ss75gRSD0gp4KcwEuhIOCRPCyTTBr4mrFBuvozUY0Nu
        1kbq/CPLZ30qaGplDQZg8WLRs9LYPTzqUVr+mg9Ph6j6DIjbcjnut8uEnWmkyO3y
        jrCbCo3w6husUGTScECO73w0IhcPCp279a3piCLDCkwWqCMCAwEAAaNdMFswCQYD
        VR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFNWhji4Cbxo+68F2k7Ol
        9MlceuSuMB8GA1UdIwQYMBaAFHWp3Ekge4leRZx5wBM3P8o5kJ61MAoGCCqGSM49
        BAMCA0kAMEYCIQCmumdcOFxO9FGInuj8g8tuw5q0BvFLVIh1cxIXBAbogwIhAI4y
        jn7FxmNPe25ZNXzW2VXI7FtkfvDQkF+Rb6jW0qvH
        -----END CERTIFICATE-----
        """

    static let rsaKey = """
        -----BEGIN PRIVATE KEY-----
        MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCbT3A3Hj4CpiUX
        JzkUfGr30Pog14QMXzODF0XLl/H+DgSZzuwad6KMf+WkqMdZItmmohVW+xL3ryZZ
        1m3sdV0CnR6MPIFoi99YACYxv8FP3QJ8AiNZYbrpDd6dw8bNC3GWSDFBrvb+KFaC
        M8P8H/bODK+iaxmMYvA0YAjMeHB6OEPdwwhzajYkKooOsPUrO+YEUg9IKeCnMBLo
        SDgkTwsk0wa+JqxQbr6M1GNDbtZG6vwjy2d9KmhqZQ0GYPFi0bPS2D086lFa/poP
        T4eo+gyI23I57rfLhJ1ppMjt8o6wmwqN8OobrFBk0nBAju98NCIXDwqdu/Wt6Ygi
        wwpMFqgjAgMBAAECggEAPwzNS/sBhpbHePJJ6GioDknuuVV0vIcLhPz2LzRUn+Q1
        9vD7hbUqrqofYqzIHQYaYNztF94esaGPyqnT/0oYA78gTyMjD/u0pGePGeQ0SMU6
        xHgjvJ4BwKoKRXbcppIuPym4oWczyzM6B2qXdivNyJF63c9n1Ee4JzMTb1q3os3B
        V8yzTIh2LXF9yKGubbt9bLodRj3nb+9TIQwVq8Y39riCs6I1+dkYGQ4oOqd/syhq
        x1ik/NAB3I2TuNPFqrtmZ0FYefZlwNh9OrM61SeEHRkc/kp2zYdJIZIZJ2EUYjIT
        rMhGcZbWiWi6eznjtnB+vYIU4cK1oaMCrkF5h6v2QQKBgQDXAQ6Kn/WBtDGGidZl
        +EG/QwP5PGVaxVFkISkeEZAjg+/17hPF+LINLKLxqaGSN5WpZZB3UZNH5rzURiCK
        vLlwQPTr3dJNqqy9btkE3YdAVD7ePbspoWajJxtNSCqkAZ9KvMAo1h9Ti9cmCdsK
        rR5Rk+hZxnmhgD1U5vAVexwCwQKBgQC47I/SIxwUJ2MSIjpVAq9MvunfSv9U02LY
        l318yZNkOalh0dIx8pRfQnLo2o5gnd+fMVXBqFhonxrLOU/L3QMZUV/YLu6G2r73
        PB1gZZ1c9rI8iTBum+gnrW5lC6l3FNGnarww50fVKLKp3zccTRHeIxr3pD3zqmvj
        UeBXuZj34wKBgAWFdm0i7HgXO4pb8dCOjomt2+VDosqw9IUgwOCPzObMlZX4NjPI
        TjI+ajTQiWCq4sIF5K7bvm+DQmglIOLPM+fpEyEXgjYSYvs+ZH5Wfgmt4Ctu5GaO
        SYd5Ep9qcgXiMMgHjtu9m/JWTgEhEan1hijMJpRfn3IBTBHpGFNE5RRBAoGATucI
        2pWGdobzu5oFH56co3dWHKNIXK4xH89LiMINdJcx0X4QXKVvb1HP69DNLSZPcwI+
        3/lvd3xjl1Cl3os3tkbFSV2FAt802hK5ShcxVKgiFrhGhPtazAsw7kZSkW+9oNxm
        3crhGG9cBCUsw5OSyyBZck6O7HfLvtuBiIy1WxcCgYAkF9sxu4VMo06UBxoevEjS
        Y47CcYBcCt05Wh36aSuiyN7UuWE7pNfj2SXgCRzcT2LxWfPsmZGenxooMvi62GBa
        rB6MTnaWf5d5RfGYRMUBA99CDdAAagXIHnuyLD+Bc/cGbM/RIW0MR5WQBQiogbHU
        Z5qTMyWbkHnkY6I7LoiQuw==
        -----END PRIVATE KEY-----
        """

    static let ecCertificate = """
        -----BEGIN CERTIFICATE-----
        MIIBjjCCATOgAwIBAgIUSRKUEPOHqd+uzxh7EtpH3Hsv0m4wCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAVMRMwEQYDVQQDDAplYy5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
        KoZIzj0DAQcDQgAEI9NkNA+Ia0j4mWDP7YM3OCc+Lo+IAre9Q2awI03X+fqOKFWc
        xvfZ3h7o+aPq/czcXw4l/FCUfGTAgZkjtSAEZaNdMFswCQYDVR0TBAIwADAOBgNV
        HQ8BAf8EBAMCB4AwHQYDVR0OBBYEFMelZxltSK5UudLoTJTLaT0tZTi+MB8GA1Ud
        IwQYMBaAFHWp3Ekge4leRZx5wBM3P8o5kJ61MAoGCCqGSM49BAMCA0kAMEYCIQCt
        7xirh53rpatDQ1akIRlvc2+y+8hQ2qvtsNo4vZHp9AIhAIsgE9tVjg8S/ZMh8boG
        wemc+9tDJgLam6f+P2WwS3Qj
        -----END CERTIFICATE-----
        """

    static let ecKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNNlmVaP8LDlJp6AA
        YX4+ggzcgqikjsFAWLVnKNWknhKhRANCAAQj02Q0D4hrSPiZYM/tgzc4Jz4uj4gC
        t71DZrAjTdf5+o4oVZzG99neHuj5o+r9zNxfDiX8UJR8ZMCBmSO1IARl
        -----END PRIVATE KEY-----
        """

    static let ed25519Certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBYjCCAQmgAwIBAgIUDm4w0v0Yrpsb5I4dS7w+8hypTPwwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAaMRgwFgYDVQQDDA9lZDI1NTE5LmV4YW1wbGUwKjAFBgMrZXAD
        IQAAw9T/yQ8MPgEoJa3f/hkH6FvDoTI/q7U2/Bpl/4ueMaNdMFswCQYDVR0TBAIw
        ADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFPaD5JEmT9Pxj1e/ih971HIEQViJ
        MB8GA1UdIwQYMBaAFHWp3Ekge4leRZx5wBM3P8o5kJ61MAoGCCqGSM49BAMCA0cA
        MEQCIBAihjuDQxDPTb1CtwuyeUcFi/x52Xsh+3sQ0LMxIQz+AiB6/3bPSNzN+KkK
        ucXN/zIjREm2rvQrwBl3shhVvhmObw==
        -----END CERTIFICATE-----
        """

    static let ed25519Key = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIMnv0Ym0aJlib5Roqb93edsA8yVWFCJqvNBjuUB4aAV7
        -----END PRIVATE KEY-----
        """

    // The following are for the EC key above.

    static let sha1Certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBjTCCATSgAwIBAgIUAzxnh8NIzgOkz7VBpl3/l2fdXbwwCQYHKoZIzj0EATAX
        MRUwEwYDVQQDDAxGaXh0dXJlIFJvb3QwIBcNMjAwMTAxMDAwMDAwWhgPOTk5OTEy
        MzEyMzU5NTlaMBcxFTATBgNVBAMMDHNoYTEuZXhhbXBsZTBZMBMGByqGSM49AgEG
        CCqGSM49AwEHA0IABCPTZDQPiGtI+Jlgz+2DNzgnPi6PiAK3vUNmsCNN1/n6jihV
        nMb32d4e6Pmj6v3M3F8OJfxQlHxkwIGZI7UgBGWjXTBbMAkGA1UdEwQCMAAwDgYD
        VR0PAQH/BAQDAgeAMB0GA1UdDgQWBBTHpWcZbUiuVLnS6EyUy2k9LWU4vjAfBgNV
        HSMEGDAWgBR1qdxJIHuJXkWcecATNz/KOZCetTAJBgcqhkjOPQQBA0gAMEUCIQCd
        JH2r72sUNkgbXv2ronDYQXsCOUqfmwWCvsuW8QbrZwIgVjh4ir4jla1wfstWBGrb
        FOZdWOVbV3rT0Nt7yoM2ScI=
        -----END CERTIFICATE-----
        """

    static let certificateWithoutKeyUsage = """
        -----BEGIN CERTIFICATE-----
        MIIBiDCCAS2gAwIBAgIUKC33T0N+yxoeN71sRhIsLME+rrwwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAfMR0wGwYDVQQDDBRuby1rZXktdXNhZ2UuZXhhbXBsZTBZMBMG
        ByqGSM49AgEGCCqGSM49AwEHA0IABCPTZDQPiGtI+Jlgz+2DNzgnPi6PiAK3vUNm
        sCNN1/n6jihVnMb32d4e6Pmj6v3M3F8OJfxQlHxkwIGZI7UgBGWjTTBLMAkGA1Ud
        EwQCMAAwHQYDVR0OBBYEFMelZxltSK5UudLoTJTLaT0tZTi+MB8GA1UdIwQYMBaA
        FHWp3Ekge4leRZx5wBM3P8o5kJ61MAoGCCqGSM49BAMCA0kAMEYCIQDrCVfjmYaW
        1ql8DQQwwNPl2LzOvOL9YScMLvwOLzXUfwIhAN3AMdNLxPoDmS8ZKWJ2NQ5jGXdR
        y1fpIKaMGAjxMSvc
        -----END CERTIFICATE-----
        """

    static let certificateForEncipherment = """
        -----BEGIN CERTIFICATE-----
        MIIBjjCCATWgAwIBAgIUYEU+tdEjanVhbsucNqR/jkAYfmcwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAiMSAwHgYDVQQDDBd3cm9uZy1rZXktdXNhZ2UuZXhhbXBsZTBZ
        MBMGByqGSM49AgEGCCqGSM49AwEHA0IABCPTZDQPiGtI+Jlgz+2DNzgnPi6PiAK3
        vUNmsCNN1/n6jihVnMb32d4e6Pmj6v3M3F8OJfxQlHxkwIGZI7UgBGWjUjBQMA4G
        A1UdDwEB/wQEAwIFIDAdBgNVHQ4EFgQUx6VnGW1IrlS50uhMlMtpPS1lOL4wHwYD
        VR0jBBgwFoAUdancSSB7iV5FnHnAEzc/yjmQnrUwCgYIKoZIzj0EAwIDRwAwRAIg
        B8ubmxK3aRnke8b01D/FhBVfwH28py8CjZUNc7awyLMCIBabNFltnsotl4wkmxdS
        zEXPv+Fs8Y28whoK9n9nmptd
        -----END CERTIFICATE-----
        """

    static let certificateOfCA = """
        -----BEGIN CERTIFICATE-----
        MIIBkjCCATmgAwIBAgIUZl2ImbxIG5RFF+FCq9lZGkwGPFcwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAVMRMwEQYDVQQDDApjYS5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
        KoZIzj0DAQcDQgAEI9NkNA+Ia0j4mWDP7YM3OCc+Lo+IAre9Q2awI03X+fqOKFWc
        xvfZ3h7o+aPq/czcXw4l/FCUfGTAgZkjtSAEZaNjMGEwDwYDVR0TAQH/BAUwAwEB
        /zAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0OBBYEFMelZxltSK5UudLoTJTLaT0tZTi+
        MB8GA1UdIwQYMBaAFHWp3Ekge4leRZx5wBM3P8o5kJ61MAoGCCqGSM49BAMCA0cA
        MEQCIAmjBSlo0GyN/ls7mW9tl/fRUrsb4HrtXOjYKlJ6ZK/7AiBWV+zyxGnIPCRN
        ZGFuxT9RvaPN9A1YMWynfRsg8jeofA==
        -----END CERTIFICATE-----
        """

    static let certificateWithoutSubject = """
        -----BEGIN CERTIFICATE-----
        MIIBeDCCAR6gAwIBAgIUPbp6wvqquRHMXINPAUXo9tSz/hMwCgYIKoZIzj0EAwIw
        FzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkx
        MjMxMjM1OTU5WjAAMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEI9NkNA+Ia0j4
        mWDP7YM3OCc+Lo+IAre9Q2awI03X+fqOKFWcxvfZ3h7o+aPq/czcXw4l/FCUfGTA
        gZkjtSAEZaNdMFswCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYE
        FMelZxltSK5UudLoTJTLaT0tZTi+MB8GA1UdIwQYMBaAFHWp3Ekge4leRZx5wBM3
        P8o5kJ61MAoGCCqGSM49BAMCA0gAMEUCIQDNAn6j8xGeq3sNFgvEtD/HGac5iDjb
        9k+npVdi4L818wIgWyQ/e6yIuIgm9dI/A9Ljse1YVUmlJ5STJRGlC/QSBEQ=
        -----END CERTIFICATE-----
        """

    static let certificateOfVersion1 = """
        -----BEGIN CERTIFICATE-----
        MIIBLzCB1gIUIWNnEReozwjCk9dghmEG425PBGkwCgYIKoZIzj0EAwIwFzEVMBMG
        A1UEAwwMRml4dHVyZSBSb290MCAXDTI2MTEyMzAwMDUyNloYDzk5NjYxMDI5MDAw
        NTI2WjAcMRowGAYDVQQDDBF2ZXJzaW9uLTEuZXhhbXBsZTBZMBMGByqGSM49AgEG
        CCqGSM49AwEHA0IABCPTZDQPiGtI+Jlgz+2DNzgnPi6PiAK3vUNmsCNN1/n6jihV
        nMb32d4e6Pmj6v3M3F8OJfxQlHxkwIGZI7UgBGUwCgYIKoZIzj0EAwIDSAAwRQIh
        AMeHby3ErGHuXZCjSFODA8y+/fUs1cguHTvpb7+JviiEAiA1fPPtx5hWf6pl5O8V
        M75UJ9WorLijXxFuSFOLjEVLrw==
        -----END CERTIFICATE-----
        """
}

/// One request for 2026-01-02T03:04:05Z, worked out step by step from the description of CreateSession.
enum SigningVector {
    static let serialNumber = "132158997339993815405292401494497644899382918813"

    static let canonicalRequest = """
        POST
        /sessions
        profileArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aprofile%2F0f5dc9ff-0001&roleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fservice%2FApp%2BTest%40one%3D1&trustAnchorArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aalias%2Ftrust-anchor%2FMy%20Anchor
        content-type:application/json
        host:rolesanywhere.us-east-1.amazonaws.com
        x-amz-date:20260102T030405Z
        x-amz-x509:MIICWjCCAf+gAwIBAgIUFyY24vVwtshL7kM74ZSnp2OY/p0wCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAWMRQwEgYDVQQDDAtyc2EuZXhhbXBsZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAJtPcDcePgKmJRcnORR8avfQ+iDXhAxfM4MXRcuX8f4OBJnO7Bp3oox/5aSox1ki2aaiFVb7EvevJlnWbex1XQKdHow8gWiL31gAJjG/wU/dAnwCI1lhuukN3p3Dxs0LcZZIMUGu9v4oVoIzw/wf9s4Mr6JrGYxi8DRgCMx4cHo4Q93DCHNqNiQqig6w9Ss75gRSD0gp4KcwEuhIOCRPCyTTBr4mrFBuvozUY0Nu1kbq/CPLZ30qaGplDQZg8WLRs9LYPTzqUVr+mg9Ph6j6DIjbcjnut8uEnWmkyO3yjrCbCo3w6husUGTScECO73w0IhcPCp279a3piCLDCkwWqCMCAwEAAaNdMFswCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFNWhji4Cbxo+68F2k7Ol9MlceuSuMB8GA1UdIwQYMBaAFHWp3Ekge4leRZx5wBM3P8o5kJ61MAoGCCqGSM49BAMCA0kAMEYCIQCmumdcOFxO9FGInuj8g8tuw5q0BvFLVIh1cxIXBAbogwIhAI4yjn7FxmNPe25ZNXzW2VXI7FtkfvDQkF+Rb6jW0qvH

        content-type;host;x-amz-date;x-amz-x509
        1a15f67f6619aa540b13e9a4c37d149fb2c9bdea25d82b73a3878826694dfe27
        """

    static let stringToSign = """
        AWS4-X509-RSA-SHA256
        20260102T030405Z
        20260102/us-east-1/rolesanywhere/aws4_request
        c00ae0d27cb6572875308e06b9b0ec0c1586db15bba620c6d103c021c8557cc7
        """

    static let authorization = """
        AWS4-X509-RSA-SHA256 Credential=132158997339993815405292401494497644899382918813/20260102/us-east-1/rolesanywhere/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-x509, Signature=72d2e39e4b9b4b518f116dddb7af04722361da4a0e151316e732fbf39a75d8b777092a1c1ac9448117c923cec8b86219cc6276ca9f4604915a8614d88f9e009269ced7b70ecda70acb9f703dac5c3496fcd22240d8590955cef0bcb3af60f7a91081b3116b543469d748fc69e11006cd57d6453a95e4240a183de0c1f8424fad0870299fb091fa99be05d9c9cfed874f849c3d65f2bfbee415154ed25dad8f8d64c05c8d7295e97610837f47f1caf4366852d1098d93b0c3ab44c2bae9aeb952233b45b127fbdd6034014560d36f06ea9f7ccebb634930a1cbf8b697cd81d3e753a5c1972be0842cea67c2eb0e67255da26b5ebe151ed0e832a0b2cfb1265434
        """

    /// Sent to https://127.0.0.1:8443/gateway/v1 with the EC certificate and the root as a chain.

    static let canonicalRequestWithPath = """
        POST
        /gateway/v1/sessions
        profileArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aprofile%2F0f5dc9ff-0001&roleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fservice%2FApp%2BTest%40one%3D1&trustAnchorArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aalias%2Ftrust-anchor%2FMy%20Anchor
        content-type:application/json
        host:127.0.0.1:8443
        x-amz-date:20260102T030405Z
        x-amz-x509:MIICWjCCAf+gAwIBAgIUFyY24vVwtshL7kM74ZSnp2OY/p0wCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAWMRQwEgYDVQQDDAtyc2EuZXhhbXBsZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAJtPcDcePgKmJRcnORR8avfQ+iDXhAxfM4MXRcuX8f4OBJnO7Bp3oox/5aSox1ki2aaiFVb7EvevJlnWbex1XQKdHow8gWiL31gAJjG/wU/dAnwCI1lhuukN3p3Dxs0LcZZIMUGu9v4oVoIzw/wf9s4Mr6JrGYxi8DRgCMx4cHo4Q93DCHNqNiQqig6w9Ss75gRSD0gp4KcwEuhIOCRPCyTTBr4mrFBuvozUY0Nu1kbq/CPLZ30qaGplDQZg8WLRs9LYPTzqUVr+mg9Ph6j6DIjbcjnut8uEnWmkyO3yjrCbCo3w6husUGTScECO73w0IhcPCp279a3piCLDCkwWqCMCAwEAAaNdMFswCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFNWhji4Cbxo+68F2k7Ol9MlceuSuMB8GA1UdIwQYMBaAFHWp3Ekge4leRZx5wBM3P8o5kJ61MAoGCCqGSM49BAMCA0kAMEYCIQCmumdcOFxO9FGInuj8g8tuw5q0BvFLVIh1cxIXBAbogwIhAI4yjn7FxmNPe25ZNXzW2VXI7FtkfvDQkF+Rb6jW0qvH
        x-amz-x509-chain:MIIBjjCCATOgAwIBAgIUSRKUEPOHqd+uzxh7EtpH3Hsv0m4wCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAVMRMwEQYDVQQDDAplYy5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEI9NkNA+Ia0j4mWDP7YM3OCc+Lo+IAre9Q2awI03X+fqOKFWcxvfZ3h7o+aPq/czcXw4l/FCUfGTAgZkjtSAEZaNdMFswCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFMelZxltSK5UudLoTJTLaT0tZTi+MB8GA1UdIwQYMBaAFHWp3Ekge4leRZx5wBM3P8o5kJ61MAoGCCqGSM49BAMCA0kAMEYCIQCt7xirh53rpatDQ1akIRlvc2+y+8hQ2qvtsNo4vZHp9AIhAIsgE9tVjg8S/ZMh8boGwemc+9tDJgLam6f+P2WwS3Qj,MIIBczCCARqgAwIBAgIULaLrl796PFFld/+/lGkK7HQWhl4wCgYIKoZIzj0EAwIwFzEVMBMGA1UEAwwMRml4dHVyZSBSb290MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAXMRUwEwYDVQQDDAxGaXh0dXJlIFJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARSHw8/Vg4fZFA3WK8LLhRfGX4pm/Une7dcHoY3fdb2tknbNjPtLe0gOdSdFmiTZRs+aXb7FUefU9x44GFK2WEko0IwQDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQUdancSSB7iV5FnHnAEzc/yjmQnrUwCgYIKoZIzj0EAwIDRwAwRAIgcQl7PKwZ3iZ6H9fIg8jeE10hxqX1JFKIUJsce/g2vJ8CIGWGvqBfG8pfBgsBN7ZiKV4JLNK85kXBinmnvdN/erPR

        content-type;host;x-amz-date;x-amz-x509;x-amz-x509-chain
        1a15f67f6619aa540b13e9a4c37d149fb2c9bdea25d82b73a3878826694dfe27
        """
}
