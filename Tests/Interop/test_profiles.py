# SPDX-License-Identifier: Apache-2.0
"""Every profile, every kind of key, roots, intermediates, cross-certificates and lists, before judges that are not ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

import judges
from peer import load
from program import DONE, Pki

KEYS = ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096")
PROFILES = ("client", "server", "peer", "spiffe")
REASONS = (
    "unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
    "privilegeWithdrawn", "aACompromise",
)  # fmt: skip


def issue(pki: Pki, folder: Path, name: str, profile: str, *options: str) -> Path:
    identifier = ("--uri", f"spiffe://example.org/{name}") if profile == "spiffe" else ("--dns", f"{name}.example.org")
    pki.run("issue-client", "--directory", folder, "--name", name, "--profile", profile, *identifier, *options)
    return folder / f"{name}-cert.pem"


def purposes(profile: str) -> list[str]:
    return {"client": ["sslclient"], "server": ["sslserver"]}.get(profile, ["sslclient", "sslserver"])


@pytest.fixture(scope="module", params=KEYS)
def hierarchy(built: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Pki, Path, str]:
    """A root above two levels of CAs, all of one kind of key, one of them with name constraints."""
    home = tmp_path_factory.mktemp(request.param)
    pki = Pki(home, built)
    folder = home / "ca"
    kind = ("--key-type", request.param, "--directory", folder)
    pki.run("init-ca", *kind, "--path-length", "2", "--subject", "CN=Example Root,O=Example")
    pki.run("issue-intermediate", *kind, "--name", "upper", "--path-length", "1")
    pki.run("issue-intermediate", *kind, "--name", "lower", "--issuer", "upper")
    pki.run("issue-intermediate", *kind, "--name", "bound", "--permit", "dns:example.org", "--permit", "uri:example.org")
    return pki, folder, request.param


def leaf_of(hierarchy: tuple[Pki, Path, str], place: str, profile: str, key_type: str | None = None) -> str:
    pki, folder, kind = hierarchy
    name, issuer = f"{place}-{profile}", {"direct": "root", "deep": "lower", "bound": "bound"}[place]
    if not (folder / f"{name}-cert.pem").exists():
        issue(pki, folder, name, profile, "--key-type", key_type or kind, "--issuer", issuer)
    return name


@pytest.mark.pairwise
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("place", ["direct", "deep", "bound"])
def test_every_judge(hierarchy: tuple[Pki, Path, str], profile: str, place: str, tmp_path: Path) -> None:
    pki, folder, _ = hierarchy
    name = leaf_of(hierarchy, place, profile)
    leaf, root = folder / f"{name}-cert.pem", folder / "root-cert.pem"
    above = {"direct": [], "deep": ["lower", "upper"], "bound": ["bound"]}[place]
    intermediates = [folder / f"{one}-cert.pem" for one in above]
    chain = folder / f"{name}-chain.pem" if above else None
    assert (folder / f"{name}-chain.pem").exists() == bool(above)
    if chain:
        assert chain.read_text() == "".join(one.read_text() for one in intermediates)

    judges.lint_certificate(leaf, has_spiffe_identifier=profile == "spiffe")
    judges.lint_pair(intermediates[0] if intermediates else root, leaf)
    for purpose in purposes(profile):
        judges.openssl_accepts(leaf, root, chain, purpose)
    # GnuTLS and cryptography know no constraints on URIs, and refuse every URI below a CA that has one.
    constrained_uri = (place, profile) == ("bound", "spiffe")
    if not constrained_uri:
        judges.certtool_accepts(leaf, root, chain, tmp_path)
    # strongSwan 5.9 knows no constraints on addresses, and refuses every CA that has one.
    if place != "bound":
        judges.strongswan_accepts(leaf, root, intermediates)
    if profile != "spiffe":
        # NSS and cryptography want a host's name of a server, and a SPIFFE ID is none.
        for usage in {"client": "C", "server": "V", "peer": "CV"}[profile]:
            judges.nss_accepts(leaf, root, intermediates, usage, tmp_path)
        if profile != "client":
            judges.cryptography_accepts(leaf, root, intermediates, server=f"{name}.example.org")
    if profile != "server" and not constrained_uri:
        judges.cryptography_accepts(leaf, root, intermediates, server=None)
    ours = "rolesanywhere" if profile == "client" else "client" if profile != "server" else "server"
    pki.run("verify", leaf, "--directory", folder, "--purpose", ours)


def test_what_stands_in_them(hierarchy: tuple[Pki, Path, str]) -> None:
    _, folder, _ = hierarchy
    wanted = {
        "client": {ExtendedKeyUsageOID.CLIENT_AUTH},
        "server": {ExtendedKeyUsageOID.SERVER_AUTH},
        "peer": {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH},
        "spiffe": {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH},
    }
    for profile, usages in wanted.items():
        name = leaf_of(hierarchy, "deep", profile, "ec-p256")
        certificate = load(folder / f"{name}-cert.pem")
        extensions = certificate.extensions
        assert set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == usages
        assert len(list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)) == 1
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical and usage.value.digital_signature and not usage.value.key_cert_sign
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        authority = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert authority.authority_cert_issuer is None and authority.authority_cert_serial_number is None
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)


@pytest.mark.parametrize("name", ["root", "upper", "lower", "bound"])
def test_authorities(hierarchy: tuple[Pki, Path, str], name: str) -> None:
    _, folder, _ = hierarchy
    judges.lint_certificate(folder / f"{name}-cert.pem")
    if name != "root":
        judges.lint_pair(folder / f"{'upper' if name == 'lower' else 'root'}-cert.pem", folder / f"{name}-cert.pem")


def test_lists(hierarchy: tuple[Pki, Path, str], tmp_path: Path) -> None:
    """Empty, with every reason, on hold and released: linted, read by openssl and certtool, and obeyed."""
    pki, folder, _ = hierarchy
    leaf_of(hierarchy, "deep", "client", "ec-p256")
    leaf, root, chain = folder / "deep-client-cert.pem", folder / "root-cert.pem", folder / "deep-client-chain.pem"
    lists = [folder / f"{issuer}-crl.pem" for issuer in ("root", "upper", "lower")]
    for issuer in ("root", "upper", "lower"):
        pki.run("crl", "--directory", folder, "--issuer", issuer)
    for one in lists:
        judges.lint_list(one)
    judges.openssl_accepts(leaf, root, chain, "sslclient", lists)

    for reason in REASONS:
        issue(pki, folder, f"gone-{reason.lower()}", "client", "--issuer", "lower", "--key-type", "ec-p256")
        pki.run("revoke", "--directory", folder, f"gone-{reason.lower()}", "--reason", reason)
    pki.run("revoke", "--directory", folder, "deep-client", "--hold", "--invalid-since", "2026-01-01")
    pki.run("crl", "--directory", folder, "--issuer", "lower")
    judges.lint_list(lists[2])
    parsed = x509.load_pem_x509_crl(lists[2].read_bytes())
    found = set()
    for entry in parsed:
        try:
            found.add(entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.name)
        except x509.ExtensionNotFound:
            found.add("unspecified")
    assert len(found) == len(REASONS) + 1 and "certificate_hold" in found
    assert "revoked" in judges.openssl_accepts(leaf, root, chain, "sslclient", lists, status=None).stderr
    assert pki.run("verify", leaf, "--directory", folder, "--crl", *lists, status=None).status == 1

    pki.run("revoke", "--directory", folder, "deep-client", "--release")
    pki.run("crl", "--directory", folder, "--issuer", "lower")
    judges.openssl_accepts(leaf, root, chain, "sslclient", lists)
    assert pki.run("verify", leaf, "--directory", folder, "--crl", *lists).status == DONE


@pytest.mark.parametrize("subject", [None, "CN=Another Root"])
def test_rotation_above_intermediates(pki: Pki, tmp_path: Path, subject: str | None) -> None:
    """A new root of the same name lets those who know only the old one accept what is two CAs below; another name cannot."""
    folder = tmp_path / "ca"
    here = ("--directory", folder)
    pki.run("init-ca", *here)
    pki.run("issue-intermediate", *here, "--name", "issuing")
    issue(pki, folder, "old", "client", "--issuer", "issuing")
    said = pki.run("rotate-ca", *here, *(["--subject", subject] if subject else []))
    assert ("warning: " in said.stderr) == (subject is not None)
    pki.run("renew", "issuing", *here)
    issue(pki, folder, "new", "client", "--issuer", "issuing")
    pki.run("renew", "old", *here)
    root, previous = (folder / f"{name}-cert.pem" for name in ("root", "root-previous"))
    for name in ("old", "new"):
        leaf, chain = folder / f"{name}-cert.pem", folder / f"{name}-chain.pem"
        assert chain.read_text().startswith((folder / "issuing-cert.pem").read_text())
        judges.openssl_accepts(leaf, root, chain, "sslclient")
        judges.certtool_accepts(leaf, root, chain, tmp_path)
        judges.cryptography_accepts(leaf, root, [folder / "issuing-cert.pem"], server=None)
        judges.openssl_accepts(leaf, previous, chain, "sslclient", status=2 if subject else 0)
        assert ("root-cross" in " ".join(chain_names(chain, folder))) == (subject is None)
    pki.run("rotate-ca", "--finish", *here)
    assert (folder / "new-chain.pem").read_text() == (folder / "issuing-cert.pem").read_text()
    pki.run("doctor", *here)


def test_rotation_with_the_old_key_elsewhere(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    here = ("--directory", folder)
    pki.run("init-ca", *here)
    issue(pki, folder, "web", "client")
    stick = (folder / "root-key.pem").rename(tmp_path / "stick.pem")
    pki.refuse("rotate-ca", *here)
    pki.run("rotate-ca", *here, "--ca-key", stick)
    pki.run("doctor", *here)
    pki.run("crl", *here, "--issuer", "root-previous", "--ca-key", stick)
    pki.run("renew", "web", *here)
    judges.openssl_accepts(folder / "web-cert.pem", folder / "root-cert.pem", None, "sslclient")
    pki.run("rotate-ca", "--finish", *here)
    pki.run("doctor", *here)


def chain_names(chain: Path, folder: Path) -> list[str]:
    """Which of the directory's certificates stand in a chain file."""
    known = {path.read_text(): path.name.removesuffix("-cert.pem") for path in folder.glob("*-cert.pem")}
    end = "-----END CERTIFICATE-----\n"
    return [known[block + end] for block in chain.read_text().split(end) if block]


@pytest.mark.smoke
def test_rotation(pki: Pki, tmp_path: Path) -> None:
    """While a root is replaced, its successor's clients are accepted by those who know either of the two."""
    folder = tmp_path / "ca"
    pki.run("init-ca", "--directory", folder)
    old_client = issue(pki, folder, "old", "client")
    pki.run("rotate-ca", "--directory", folder)
    new_client = issue(pki, folder, "new", "client")
    root, previous, cross = (folder / f"{name}-cert.pem" for name in ("root", "root-previous", "root-cross"))
    for one in (root, cross, new_client):
        judges.lint_certificate(one)
    judges.lint_pair(previous, cross)
    chain = folder / "new-chain.pem"
    judges.openssl_accepts(new_client, root, None, "sslclient")
    judges.openssl_accepts(new_client, previous, chain, "sslclient")
    judges.certtool_accepts(new_client, previous, chain, tmp_path)
    judges.cryptography_accepts(new_client, previous, [cross], server=None)
    judges.openssl_accepts(old_client, previous, None, "sslclient")
    bundle = pki.run("print-bundle", "--directory", folder).stdout
    assert bundle.count("BEGIN CERTIFICATE") == 2
    assert "old" in pki.refuse("rotate-ca", "--finish", "--directory", folder)
    pki.run("renew", "--all", "--issuer", "root-previous", "--directory", folder)
    judges.openssl_accepts(old_client, root, None, "sslclient")
    pki.run("rotate-ca", "--finish", "--directory", folder)
    assert pki.run("print-bundle", "--directory", folder).stdout == root.read_text()
    pki.run("doctor", "--directory", folder)
