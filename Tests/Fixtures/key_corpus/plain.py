# SPDX-License-Identifier: Apache-2.0
"""Private keys that are not encrypted, by OpenSSL: every form, curve and point, and ML-DSA."""

from __future__ import annotations

from dataclasses import replace

from .manifest import Corpus, certificate, named, openssl, private_key, unknown
from .materials import Materials, elliptic, generate, issue


def add_plain_keys(corpus: Corpus, materials: Materials) -> None:
    add_rsa(corpus, materials)
    add_elliptic(corpus, materials)
    add_others(corpus, materials)
    add_mldsa(corpus)


def add_rsa(corpus: Corpus, materials: Materials) -> None:
    rsa = materials.rsa
    corpus.add("openssl-rsa-pkcs8.pem", rsa.pem, "RSA 2048, PKCS#8", private_key(rsa, "pkcs8"))
    content = openssl("pkey", "-in", rsa.path, "-outform", "DER")
    # OpenSSL 3.0 writes DER as PKCS#1 where it can.
    corpus.add("openssl-rsa-pkcs1.der", content, "RSA 2048, PKCS#1", private_key(rsa, "pkcs1"))
    content = openssl("pkcs8", "-topk8", "-nocrypt", "-in", rsa.path, "-outform", "DER")
    corpus.add("openssl-rsa-pkcs8.der", content, "RSA 2048, PKCS#8", private_key(rsa, "pkcs8"))
    content = openssl("rsa", "-in", rsa.path, "-traditional")
    corpus.add("openssl-rsa-pkcs1.pem", content, "RSA 2048, PKCS#1", private_key(rsa, "pkcs1"))
    for bits in (3072, 4096):
        key = generate(corpus, f"rsa{bits}", f"RSA {bits}", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}")
        corpus.add(f"openssl-rsa{bits}.pem", key.pem, f"RSA {bits}, PKCS#8", private_key(key, "pkcs8"))
    pss = generate(corpus, "pss", "RSA-PSS", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048")
    corpus.add("openssl-rsa-pss.pem", pss.pem, "RSA 2048 for RSASSA-PSS only", private_key(pss, "pkcs8"))
    primes = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_primes:3")
    key = generate(corpus, "primes", "RSA 2048", *primes)
    corpus.add("openssl-rsa-three-primes.pem", key.pem, "RSA 2048 with three primes", private_key(key, "pkcs8"))


def add_elliptic(corpus: Corpus, materials: Materials) -> None:
    p256 = materials.p256
    for key in (p256, materials.p384, materials.p521, materials.secp256k1):
        corpus.add(
            f"openssl-{key.name}-pkcs8.pem", key.pem, f"{key.algorithm}, PKCS#8", private_key(key, "pkcs8")
        )
        parameters = openssl("ecparam", "-name", key.name if key is materials.secp256k1 else key.algorithm[3:])
        content = openssl("ec", "-in", key.path)
        corpus.add(f"openssl-{key.name}-sec1.pem", content, f"{key.algorithm}, SEC1", private_key(key, "sec1"))
        corpus.add(
            f"openssl-{key.name}-sec1-parameters.pem", parameters + content,
            f"{key.algorithm}, SEC1 after EC PARAMETERS, as openssl ecparam -genkey prints it",
            private_key(key, "sec1"),
        )  # fmt: skip
    content = openssl("ec", "-in", p256.path, "-outform", "DER")
    corpus.add("openssl-p256-sec1.der", content, "EC P-256, SEC1", private_key(p256, "sec1"))
    content = openssl("pkcs8", "-topk8", "-nocrypt", "-in", p256.path, "-outform", "DER")
    corpus.add("openssl-p256-pkcs8.der", content, "EC P-256, PKCS#8", private_key(p256, "pkcs8"))
    content = openssl("ec", "-in", p256.path, "-no_public")
    corpus.add("openssl-p256-sec1-no-public.pem", content, "EC P-256 without its public half", private_key(p256, "sec1"))
    content = openssl("pkcs8", "-topk8", "-nocrypt", input=content)
    corpus.add("openssl-p256-pkcs8-no-public.pem", content, "the same as PKCS#8", private_key(p256, "pkcs8"))

    # A key that says its point in another way is another SubjectPublicKeyInfo.
    compressed = elliptic(corpus, "compressed", "EC P-256", "P-256")
    compressed.path.write_bytes(openssl("ec", "-in", compressed.path, "-conv_form", "compressed"))
    public = openssl("pkey", "-in", compressed.path, "-pubout", "-outform", "DER")
    compressed = replace(compressed, public=named(public))
    what = "EC P-256 with a compressed point"
    content = compressed.pem
    corpus.add("openssl-compressed-sec1.pem", content, f"{what}, SEC1", private_key(compressed, "sec1"))
    content = openssl("pkcs8", "-topk8", "-nocrypt", "-in", compressed.path)
    corpus.add("openssl-compressed-pkcs8.pem", content, f"{what}, PKCS#8", private_key(compressed, "pkcs8"))
    leaf = issue(corpus, compressed, "/CN=compressed workload", "leaf", materials.root)
    objects = (private_key(compressed, "sec1"), certificate(leaf))
    corpus.add("openssl-compressed-pair.pem", compressed.pem + leaf.pem, f"{what}, and its certificate", *objects)

    explicit = elliptic(corpus, "explicit", "EC P-256", "P-256", "-pkeyopt", "ec_param_enc:explicit")
    what = "EC P-256 with explicit parameters instead of the curve's name"
    corpus.add("openssl-explicit-pkcs8.pem", explicit.pem, f"{what}, PKCS#8", private_key(explicit, "pkcs8"))
    content = openssl("ec", "-in", explicit.path, "-param_enc", "explicit")
    corpus.add("openssl-explicit-sec1.pem", content, f"{what}, SEC1", private_key(explicit, "sec1"))
    brainpool = elliptic(corpus, "brainpool", "EC brainpoolP256r1", "brainpoolP256r1")
    corpus.add("openssl-brainpool.pem", brainpool.pem, "EC on a Brainpool curve", private_key(brainpool, "pkcs8"))


def add_others(corpus: Corpus, materials: Materials) -> None:
    ed25519 = materials.ed25519
    corpus.add("openssl-ed25519.pem", ed25519.pem, "Ed25519", private_key(ed25519, "pkcs8"))
    content = openssl("pkey", "-in", ed25519.path, "-outform", "DER")
    corpus.add("openssl-ed25519.der", content, "Ed25519", private_key(ed25519, "pkcs8"))
    ed448 = generate(corpus, "ed448", "ED448", "-algorithm", "ED448")
    corpus.add("openssl-ed448.pem", ed448.pem, "Ed448", private_key(ed448, "pkcs8"))
    x25519 = generate(corpus, "x25519", "X25519", "-algorithm", "X25519")
    corpus.add("openssl-x25519.pem", x25519.pem, "X25519, which cannot sign", private_key(x25519, "pkcs8"))
    parameters = corpus.scratch("dsa.pem")
    openssl("genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024", "-out", parameters)
    dsa = corpus.scratch("dsa.key", openssl("genpkey", "-paramfile", parameters))
    corpus.add(
        "openssl-dsa.pem", parameters.read_bytes() + openssl("dsa", "-in", dsa), "DSA parameters and key",
        unknown("DSA PARAMETERS"), unknown("DSA PRIVATE KEY"),
    )  # fmt: skip


def add_mldsa(corpus: Corpus) -> None:
    """ML-DSA in each form of RFC 9881."""
    for parameters in (44, 65, 87):
        name = f"ML-DSA-{parameters}"
        options = {"environment": corpus.newer}
        key = generate(corpus, f"mldsa{parameters}", name, "-algorithm", name, **options)
        for form in ("seed-only", "priv-only", "seed-priv"):
            content = convert(corpus, form, "pkey", "-in", key.path)
            title = {"seed-only": "seed", "priv-only": "expanded", "seed-priv": "both"}[form]
            file = f"openssl-mldsa{parameters}-{title}.pem"
            corpus.add(file, content, f"{name}, {title}", private_key(key, "pkcs8"), tool="openssl 3.5")
        if parameters == 44:
            seed = convert(corpus, "seed-only", "pkey", "-in", key.path, "-outform", "DER")
            corpus.add(
                "openssl-mldsa44-seed.der", seed, f"{name}, seed", private_key(key, "pkcs8"), tool="openssl 3.5"
            )
            leaf = issue(corpus, key, "/CN=ML-DSA workload", "leaf", None, **options)
            bundle = key.pem + leaf.pem
            corpus.add(
                "openssl-mldsa44-with-certificate.pem", bundle, f"{name} and its certificate",
                private_key(key, "pkcs8"), certificate(leaf), tool="openssl 3.5",
            )  # fmt: skip


def convert(corpus: Corpus, form: str, *arguments: object) -> bytes:
    """Runs OpenSSL 3.5 so that it writes ML-DSA keys in a form."""
    configuration = corpus.scratch(
        f"{form}.cnf",
        "openssl_conf = init\n[init]\nproviders = providers\n[providers]\ndefault = default_provider\n"
        f"[default_provider]\nactivate = 1\nml-dsa.output_formats = {form}\n".encode(),
    )
    return openssl(*arguments, environment=corpus.newer | {"OPENSSL_CONF": str(configuration)})
