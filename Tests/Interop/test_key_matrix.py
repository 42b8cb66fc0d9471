# SPDX-License-Identifier: Apache-2.0
"""Every kind of key from every place it may live in: `pki creds` is accepted by the lab and by the verifier of this directory."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from devices import TPM, Agent, Token, softhsm, ssh_agent, swtpm
from peer import KEY_TYPES, MLDSA_TYPES, Identity, issue, pem, root_of
from program import REFUSED, Lab, Pki, running_lab
from serving import serving as pki_serving
from test_creds import ARNS, assert_is_session, identity_options
from tools import openssl
from verifier import Verifier, serving

PASSWORD = "correct horse"


@dataclass
class Place:
    """Where an identity is: the options that name it, and what the process needs to find it there."""

    options: tuple[str | Path, ...]
    environment: dict[str, str] = field(default_factory=dict)
    redirections: str = ""

    def run(self, pki: Pki, *arguments: str | Path, **options):
        pki = pki.with_environment(**self.environment)
        if self.redirections:
            pki = pki.with_prefix("/bin/sh", "-c", f'exec "$@" {self.redirections}', "sh")
        return pki.run(*arguments, *self.options, **options)


@dataclass(frozen=True)
class Maker:
    """Puts an identity's parts into files by OpenSSL, under the version that knows the key."""

    folder: Path
    identity: Identity
    environment: dict[str, str]

    @property
    def certificate(self) -> Path:
        return self.folder / "leaf-cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "leaf-key.pem"

    def openssl(self, *arguments: str | Path) -> None:
        openssl(*arguments, environment=self.environment)

    def private(self, name: str) -> Path:
        path = self.folder / name
        path.touch(0o600)
        return path

    def passphrase(self) -> tuple[str | Path, ...]:
        path = self.private("passphrase")
        path.write_text(PASSWORD + "\n")
        return ("--passphrase-file", path)

    def encrypted(self, *how: str) -> Place:
        path = self.private("encrypted.pem")
        self.openssl("pkcs8", "-topk8", "-in", self.key, "-out", path, "-passout", f"pass:{PASSWORD}", *how)
        return Place((*identity_options(self.certificate, path), *self.passphrase()))

    def pkcs12(self, *how: str) -> Place:
        path = self.private("identity.p12")
        self.openssl(
            "pkcs12", "-export", "-inkey", self.key, "-in", self.certificate, "-out", path,
            "-passout", f"pass:{PASSWORD}", *how,
        )  # fmt: skip
        return Place(("--certificate", path, *self.passphrase()))


def plain(maker: Maker) -> Place:
    return Place(identity_options(maker.certificate, maker.key))


def der(maker: Maker) -> Place:
    key, certificate = maker.private("key.der"), maker.folder / "cert.der"
    key.write_bytes(maker.identity.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    certificate.write_bytes(maker.identity.certificate.public_bytes(Encoding.DER))
    return Place(identity_options(certificate, key))


def traditional(maker: Maker) -> Place:
    path = maker.private("traditional.pem")
    path.write_bytes(maker.identity.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return Place(identity_options(maker.certificate, path))


def traditional_encrypted(maker: Maker) -> Place:
    path = maker.private("traditional.pem")
    kind = "rsa" if "RSA" in type(maker.identity.key).__name__ else "ec"
    more = ("-traditional",) if kind == "rsa" else ()
    maker.openssl(kind, "-in", maker.key, "-out", path, "-aes256", "-passout", f"pass:{PASSWORD}", *more)
    assert "Proc-Type: 4,ENCRYPTED" in path.read_text()
    return Place((*identity_options(maker.certificate, path), *maker.passphrase()))


def one_file(maker: Maker) -> Place:
    """Everything in one file, as editors and Windows leave it: root first, then the key, then the leaf, lines in CRLF."""
    path = maker.private("all.pem")
    text = b"Bag Attributes\n  friendlyName: x\n" + maker.key.read_bytes() + maker.certificate.read_bytes()
    path.write_bytes((maker.folder / "root-cert.pem").read_bytes() + text.replace(b"\n", b"\r\n").rstrip())
    return Place(("--certificate", path))


def standard_input(maker: Maker) -> Place:
    both = maker.private("both.pem")
    both.write_bytes(maker.key.read_bytes() + maker.certificate.read_bytes())
    return Place(("--certificate", "-"), redirections=f"<{both}")


def variables(maker: Maker) -> Place:
    environment = {"CERTIFICATE": maker.certificate.read_text(), "KEY": maker.key.read_text()}
    return Place(("--certificate", "env:CERTIFICATE", "--private-key", "env:KEY"), environment)


def descriptors(maker: Maker) -> Place:
    place = maker.encrypted()
    place.options = ("--certificate", "fd:7", "--private-key", "fd:8", "--passphrase-fd", "9")
    place.redirections = f"7<{maker.certificate} 8<{maker.folder}/encrypted.pem 9<{maker.folder}/passphrase"
    return place


def selected(maker: Maker) -> Place:
    """Out of a directory with certificates of others."""
    folder = maker.folder / "store"
    folder.mkdir()
    issue(None, "someone else").write(folder, "other")
    issue(None, "leaf of another CA").write(folder, "stranger")
    (folder / "key.pem").touch(0o600)
    (folder / "key.pem").write_bytes(maker.key.read_bytes())
    (folder / "chain.pem").write_bytes((maker.folder / "root-cert.pem").read_bytes() + maker.certificate.read_bytes())
    (folder / "notes.txt").write_text("neither PEM nor DER")
    subject = maker.identity.certificate.subject.rfc4514_string().lower().replace("cn=", "CN = ")
    return Place(("--certificate-store", folder, "--cert-selector", f"Key=x509Subject,Value={subject}"))


EVERY_FORM: dict[str, Callable[[Maker], Place]] = {
    "pkcs8": plain,
    "der": der,
    "pbes2": lambda maker: maker.encrypted("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512", "-iter", "5000"),
    "scrypt": lambda maker: maker.encrypted("-scrypt"),
    "pkcs12": lambda maker: maker.pkcs12(),
    "one-file": one_file,
    "stdin": standard_input,
    "env": variables,
    "fd": descriptors,
    "store": selected,
}
CLASSICAL_FORMS = EVERY_FORM | {
    "traditional": traditional,
    "traditional-encrypted": traditional_encrypted,
    "pbes1": lambda maker: maker.encrypted("-v1", "PBE-SHA1-3DES"),
    "pkcs12-legacy": lambda maker: maker.pkcs12("-legacy"),
}


@pytest.fixture(scope="module")
def road(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA's directory for all of the matrix."""
    home = tmp_path_factory.mktemp("matrix")
    Pki(home=home, path=built).run("init-ca", "--directory", home / "ca")
    return home / "ca"


@pytest.fixture(scope="module")
def root(road: Path) -> Identity:
    return root_of(road)


@pytest.fixture(scope="module")
def shared_lab(built: Path, road: Path) -> Iterator[Lab]:
    with running_lab(Pki(home=road.parent, path=built), "--directory", road) as lab:
        yield lab


@pytest.fixture(scope="module")
def newer_lab(built: Path, road: Path, newer: dict[str, str]) -> Iterator[Lab]:
    """A lab that can check ML-DSA."""
    with running_lab(Pki(home=road.parent, path=built).with_environment(**newer), "--directory", road) as lab:
        yield lab


@pytest.fixture(scope="module")
def leaves(root: Identity) -> Callable[[str], Identity]:
    """One client a kind of key."""
    made: dict[str, Identity] = {}

    def leaf(key_type: str) -> Identity:
        if key_type not in made:
            made[key_type] = issue(root, f"leaf {key_type}", key_type=key_type)
        return made[key_type]

    return leaf


def assert_accepted(pki: Pki, place: Place, root: Identity, lab: Lab) -> None:
    """Both judges give credentials."""
    with serving(Verifier([root.certificate])) as server:
        result = place.run(pki, "creds", *ARNS, "--endpoint", server.endpoint)
    assert_is_session(result, server.sessions[0])
    assert place.run(pki, "creds", *lab.arguments).json["AccessKeyId"].startswith("ASIA")


def maker(folder: Path, leaf: Identity, root: Identity, environment: dict[str, str] | None = None) -> Maker:
    leaf.write(folder, "leaf")
    (folder / "root-cert.pem").write_bytes(pem(root.certificate))
    return Maker(folder, leaf, environment or {})


@pytest.mark.parametrize("form", CLASSICAL_FORMS)
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_files(
    pki: Pki, tmp_path: Path, key_type: str, form: str, root: Identity, leaves: Callable, shared_lab: Lab
) -> None:
    place = CLASSICAL_FORMS[form](maker(tmp_path, leaves(key_type), root))
    assert_accepted(pki, place, root, shared_lab)


@pytest.mark.parametrize("form", EVERY_FORM)
@pytest.mark.parametrize("key_type", MLDSA_TYPES)
def test_files_of_mldsa(
    pki: Pki, tmp_path: Path, key_type: str, form: str, root: Identity, leaves: Callable, newer_lab: Lab,
    newer: dict[str, str],
) -> None:  # fmt: skip
    place = EVERY_FORM[form](maker(tmp_path, leaves(key_type), root, newer))
    assert_accepted(pki.with_environment(**newer), place, root, newer_lab)


@pytest.mark.parametrize("form", ["seed-only", "priv-only", "seed-priv"])
@pytest.mark.parametrize("key_type", MLDSA_TYPES)
def test_forms_of_mldsa(
    pki: Pki, tmp_path: Path, key_type: str, form: str, root: Identity, leaves: Callable, newer_lab: Lab,
    newer: dict[str, str],
) -> None:  # fmt: skip
    """The three forms of RFC 9881 in PKCS#8."""
    made = maker(tmp_path, leaves(key_type), root, newer)
    configuration = tmp_path / "forms.cnf"
    configuration.write_text(
        "openssl_conf = init\n[init]\nproviders = providers\n[providers]\ndefault = default_provider\n"
        f"[default_provider]\nactivate = 1\nml-dsa.output_formats = {form}\n"
    )
    path = made.private("form.pem")
    openssl("pkey", "-in", made.key, "-out", path, environment=newer | {"OPENSSL_CONF": str(configuration)})
    assert_accepted(
        pki.with_environment(**newer), Place(identity_options(made.certificate, path)), root, newer_lab
    )


@pytest.fixture(scope="module")
def token() -> Iterator[Token]:
    with softhsm("matrix") as tokens:
        yield tokens[0]


@pytest.mark.parametrize("how", ["certificate-alone", "key-alone", "by-id", "store"])
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_pkcs11(
    pki: Pki, tmp_path: Path, key_type: str, how: str, root: Identity, leaves: Callable, shared_lab: Lab, token: Token
) -> None:
    leaf = leaves(key_type)
    label, identifier = f"{key_type}-{how}", secrets.token_hex(4)
    certificate, _ = leaf.write(tmp_path, "leaf")
    pin = ("--passphrase-file", token.pin_file)
    match how:
        case "certificate-alone":
            token.store(leaf, label, identifier)
            options = ("--certificate", token.address(label))
        case "key-alone":
            token.store_key(leaf.key, label, identifier)
            address = f"pkcs11:token={token.label};object={label};type=private"
            options = ("--certificate", certificate, "--private-key", address, "--pkcs11-lib", "/usr/lib/softhsm/libsofthsm2.so", *pin)
        case "by-id":
            # The key bears another label than the certificate.
            token.store_key(leaf.key, f"key of {label}", identifier)
            token.store_certificate(leaf.certificate, label, identifier)
            options = ("--certificate", token.address(label, "type=cert", pin=False), *pin)
        case _:
            token.store(leaf, label, identifier)
            serial = f"{leaf.certificate.serial_number:x}"
            store = f"pkcs11:token={token.label}?module-path=/usr/lib/softhsm/libsofthsm2.so"
            options = ("--certificate-store", store, "--cert-selector", f"Key=x509Serial,Value={serial}", *pin)
    assert_accepted(pki, Place(options, token.environment), root, shared_lab)


@pytest.fixture(scope="module")
def tpm() -> Iterator[TPM]:
    with swtpm() as tpm:
        yield tpm


@pytest.mark.pairwise
@pytest.mark.parametrize("password", [None, "tpm secret"], ids=["open", "password"])
@pytest.mark.parametrize("how", ["handle", "file"])
@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048"])
def test_tpm(
    pki: Pki, tmp_path: Path, key_type: str, how: str, password: str | None, root: Identity, shared_lab: Lab, tpm: TPM
) -> None:
    if how == "handle":
        handle = 0x81010000 + 16 * sorted(TPM.KINDS).index(key_type) + (1 if password else 0)
        key, place = tpm.persistent_key(key_type, handle, password), f"handle:{handle:#x}"
    else:
        key, place = tpm.key_file(key_type, tmp_path / "tss2.pem", password), tmp_path / "tss2.pem"
    certificate = tmp_path / "cert.pem"
    certificate.write_bytes(pem(issue(root, "in a TPM", key=key).certificate))
    options: tuple[str | Path, ...] = ("--certificate", certificate, "--private-key", place)
    if password:
        (tmp_path / "password").touch(0o600)
        (tmp_path / "password").write_text(password)
        options += ("--passphrase-file", tmp_path / "password")
    else:
        options += ("--no-tpm-key-password",)
    assert_accepted(pki, Place(options, tpm.environment), root, shared_lab)


def test_nothing_is_left_in_the_tpm(pki: Pki, tmp_path: Path, root: Identity, tpm: TPM) -> None:
    """A TPM without a resource manager has room for three objects: what is loaded has to be taken out again."""
    key = tpm.key_file("ec-p256", tmp_path / "tss2.pem")
    certificate = tmp_path / "cert.pem"
    certificate.write_bytes(pem(issue(root, "in a TPM", key=key).certificate))
    options = ("--certificate", certificate, "--private-key", tmp_path / "tss2.pem", "--no-tpm-key-password")
    with serving(Verifier([root.certificate])) as server:
        for _ in range(5):
            pki.with_environment(**tpm.environment).run("creds", *options, *ARNS, "--endpoint", server.endpoint)
    assert len(server.sessions) == 5


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    with ssh_agent() as agent:
        yield agent


@pytest.mark.parametrize("key_type", [kind for kind in KEY_TYPES if kind != "ec-p384"])
def test_agent(
    pki: Pki, tmp_path: Path, key_type: str, root: Identity, leaves: Callable, shared_lab: Lab, agent: Agent
) -> None:
    leaf = leaves(key_type)
    certificate, _ = leaf.write(tmp_path, "leaf")
    place = Place(("--certificate", certificate, "--private-key", agent.add(leaf.key)), agent.environment)
    assert_accepted(pki, place, root, shared_lab)


def test_a_p384_key_in_an_agent_cannot_sign_with_sha256(
    pki: Pki, tmp_path: Path, leaves: Callable, agent: Agent
) -> None:
    """The agent's protocol ties the curve to SHA-384, and Roles Anywhere wants SHA-256 of every EC key."""
    leaf = leaves("ec-p384")
    certificate, _ = leaf.write(tmp_path, "leaf")
    place = Place(("--certificate", certificate, "--private-key", agent.add(leaf.key)), agent.environment)
    refusal = place.run(pki, "creds", *ARNS, "--endpoint", "http://127.0.0.1:9", status=REFUSED)
    assert "SHA-384" in refusal.error and "SHA-256" in refusal.stderr


@pytest.mark.parametrize("source", ["token", "agent", "tpm"])
def test_every_command_takes_the_key(
    pki: Pki, tmp_path: Path, source: str, root: Identity, shared_lab: Lab, token: Token, agent: Agent, tpm: TPM
) -> None:
    """A profile with the key in a device, and `serve`, `update`, `exec` and `whoami` on it."""
    leaf = issue(root, f"client with a key in a {source}")
    certificate, _ = leaf.write(tmp_path, "leaf")
    match source:
        case "token":
            token.store_key(leaf.key, "for every command", "7e")
            address = token.address("for%20every%20command")
            key, environment = ("--private-key", address), token.environment
        case "agent":
            key, environment = ("--private-key", agent.add(leaf.key)), agent.environment
        case _:
            half = tpm.persistent_key("ec-p256", 0x81017777)
            certificate.write_bytes(pem(issue(root, "in a TPM", key=half).certificate))
            key, environment = ("--private-key", "handle:0x81017777", "--no-tpm-key-password"), tpm.environment
    (tmp_path / "leaf-key.pem").unlink()
    lab = dict(zip(shared_lab.arguments[::2], shared_lab.arguments[1::2], strict=True))
    pki = pki.with_environment(**environment, AWS_ENDPOINT_URL_STS=lab["--endpoint"])
    pki.run("configure", "--profile", "web", "--certificate", certificate, *key, *shared_lab.arguments)
    assert pki.run("whoami", "--profile", "web").stdout
    pki.run("update", "--once", "--profile", "web")
    assert "aws_session_token" in (tmp_path / ".aws/credentials").read_text()
    assert "ASIA" in pki.run("exec", "--profile", "web", "--", "/usr/bin/env").stdout
    with pki_serving(pki) as served:
        assert served.container().json["AccessKeyId"].startswith("ASIA")
