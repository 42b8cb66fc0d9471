# SPDX-License-Identifier: Apache-2.0
"""Java's keytool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .manifest import PASSPHRASE, Corpus, Key, certificate, named, openssl, private_key, refusal, request, run
from .materials import Materials

FEW_ROUNDS = tuple(
    f"-J-Dkeystore.pkcs12.{what}IterationCount=2048" for what in ("certPbe", "keyPbe", "mac")
)
LEGACY = ("-J-Dkeystore.pkcs12.legacy",)


@dataclass(frozen=True)
class Store:
    """A key store."""

    path: Path
    kind: str = "PKCS12"
    options: tuple[str, ...] = FEW_ROUNDS

    def run(self, command: str, *arguments: object) -> bytes:
        return run(
            "keytool", "-J-Xshare:auto", "-J-XX:TieredStopAtLevel=1", f"-{command}", "-keystore", self.path,
            "-storetype", self.kind, "-storepass", PASSPHRASE, *arguments, *self.options,
        )  # fmt: skip

    def generate(self, alias: str, *arguments: object) -> None:
        name = ("-dname", f"CN={alias}, O=Corpus", "-validity", "36500")
        self.run("genkeypair", "-alias", alias, *name, *arguments)

    def certificate(self, alias: str) -> bytes:
        return self.run("exportcert", "-rfc", "-alias", alias)

    def key(self, alias: str, algorithm: str) -> Key:
        public = openssl("x509", "-pubkey", "-noout", input=self.certificate(alias))
        return Key(alias, algorithm, self.path, named(openssl("pkey", "-pubin", "-outform", "DER", input=public)))


RSA = ("-keyalg", "RSA", "-keysize", "2048")
ELLIPTIC = ("-keyalg", "EC", "-groupname", "secp256r1")


def add_java(corpus: Corpus, materials: Materials) -> None:
    def add(title: str, what: str, store: Store, *objects: dict, **options: object) -> None:
        content = store.path.read_bytes()
        corpus.add(f"keytool-{title}.p12", content, what, *objects, passphrase=PASSPHRASE, **options)

    pairs: dict[str, tuple[tuple[str, ...], str, tuple[str, ...], str]] = {
        "rsa": (RSA, "RSA 2048", FEW_ROUNDS, "RSA"),
        "p256": (ELLIPTIC, "EC P-256", FEW_ROUNDS, "EC P-256"),
        "legacy": (ELLIPTIC, "EC P-256", LEGACY, "RC2-40 and 3DES in 50,000 rounds, as Java 8 made them"),
        "defaults": (ELLIPTIC, "EC P-256", (), "10,000 rounds, as Java makes them by itself"),
    }
    for title, (arguments, algorithm, options, what) in pairs.items():
        store = Store(corpus.scratch(f"keytool-{title}.store"), options=options)
        store.generate("workload", *arguments)
        key = store.key("workload", algorithm)
        pair = (private_key(key, "pkcs8", encrypted=True), certificate(store.certificate("workload"), key))
        add(title, what, store, *pair, costly=title in ("defaults", "legacy"))
        if title == "rsa":
            content = store.run("certreq", "-alias", "workload")
            corpus.add("keytool-request.pem", content, "NEW CERTIFICATE REQUEST", request(key))
            content = store.certificate("workload")
            corpus.add("keytool-certificate.pem", content, "a certificate with lines ending in CRLF", pair[1])

    store = Store(corpus.scratch("keytool-two.store"))
    objects = []
    for alias, arguments, algorithm in (("first", RSA, "RSA 2048"), ("second", ELLIPTIC, "EC P-256")):
        store.generate(alias, *arguments)
        key = store.key(alias, algorithm)
        objects += [private_key(key, "pkcs8", encrypted=True), certificate(store.certificate(alias), key)]
    add("two-keys", "two keys with their certificates", store, *objects)

    store = Store(corpus.scratch("keytool-trusted.store"))
    for alias, trusted in (("root", materials.root), ("intermediate", materials.intermediate)):
        store.run("importcert", "-noprompt", "-alias", alias, "-file", trusted.path)
    add("trusted", "trusted certificates only", store, certificate(materials.root), certificate(materials.intermediate))

    exported = corpus.scratch("keytool-chain.p12")
    leaf = materials.leaf
    openssl(
        "pkcs12", "-export", "-in", leaf.path, "-inkey", leaf.key.path, "-certfile", materials.authorities,
        "-name", "workload", "-passout", f"pass:{PASSPHRASE}", "-out", exported,
    )  # fmt: skip
    store = Store(corpus.scratch("keytool-chain.store"))
    store.run("importkeystore", "-srckeystore", exported, "-srcstoretype", "PKCS12", "-srcstorepass", PASSPHRASE)
    chain = (certificate(leaf), certificate(materials.intermediate), certificate(materials.root))
    add("chain", "a chain", store, private_key(leaf.key, "pkcs8", encrypted=True), *chain)

    store = Store(corpus.scratch("keytool-secret.store"))
    store.run("genseckey", "-alias", "secret", "-keyalg", "AES", "-keysize", "256")
    store.run("importcert", "-noprompt", "-alias", "root", "-file", materials.root.path)
    add("secret", "a secret key, which is passed over, and a certificate", store, certificate(materials.root))

    for kind in ("JKS", "JCEKS"):
        store = Store(corpus.scratch(f"keytool-{kind}.store"), kind=kind, options=())
        store.generate("workload", *ELLIPTIC)
        way = refusal("unsupported", "keytool -importkeystore")
        corpus.add(
            f"keytool-own.{kind.lower()}", store.path.read_bytes(), f"Java's own form {kind}",
            passphrase=PASSPHRASE, refused=way,
        )  # fmt: skip
