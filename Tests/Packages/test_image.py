# SPDX-License-Identifier: Apache-2.0
"""The OCI image: exactly the libraries that pki needs, and it works for a user without rights whose root is read-only."""

from __future__ import annotations

import json
import os
import re
import stat
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from postgresql import postgresql
from program import CHECK_FAILED, REPOSITORY, UNAVAILABLE, Lab, Pki, lines_until, running_lab
from release import IMAGE, VERSION, deb_entries, output

LIBRARIES = "usr/lib/x86_64-linux-gnu"
USER = 65532

# Everything else in the image.
OTHERS = {
    "etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "lib", "lib64",
    "usr/bin/pki", "usr/lib64/ld-linux-x86-64.so.2",
}  # fmt: skip
DIRECTORIES = {
    "etc", "etc/ssl", "etc/ssl/certs", "home", "home/nonroot", "run", "tmp", "usr", "usr/bin", "usr/lib", "usr/lib64",
    LIBRARIES, f"{LIBRARIES}/ossl-modules", "usr/share", "usr/share/common-licenses", "usr/share/doc", "usr/share/doc/pki",
}  # fmt: skip

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing the user and the root directory needs root")


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("layout")
    output("tar", "--extract", "--file", IMAGE, "--directory", directory)
    return directory


@pytest.fixture(scope="module")
def root(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's root directory, as umoci unpacks it."""
    bundle = tmp_path_factory.mktemp("bundle")
    rootless = ["--rootless"] if os.geteuid() else []
    output("umoci", "unpack", *rootless, "--image", f"{layout}:{VERSION}", bundle / "image")
    return bundle / "image/rootfs"


def blob(layout: Path, descriptor: dict[str, Any]) -> Any:
    return json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_text())


def configuration(layout: Path) -> dict[str, Any]:
    (reference,) = json.loads((layout / "index.json").read_text())["manifests"]
    # The second is the name that docker load and podman load give it.
    assert reference["annotations"] == {
        "org.opencontainers.image.ref.name": VERSION,
        "io.containerd.image.name": f"docker.io/library/pki:{VERSION}",
    }
    return blob(layout, blob(layout, reference)["config"])


def needed(library: Path) -> set[str]:
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "--dynamic", "--wide", library)))


def test_its_files_are_the_closure_of_what_pki_opens_and_nothing_else(root: Path):
    wanted = {"libgcc_s.so.1", "libcrypto.so.3", "libssl.so.3", "libsqlite3.so.0", "libpq.so.5", "libcurl.so.4"}
    wanted |= needed(root / "usr/bin/pki") | needed(root / LIBRARIES / "ossl-modules/legacy.so")
    checked: set[str] = set()
    while left := wanted - checked:
        for name in left:
            checked.add(name)
            if not name.startswith("ld-linux"):
                wanted |= needed(root / LIBRARIES / name)
    libraries = {f"{LIBRARIES}/{name}" for name in wanted if not name.startswith("ld-linux")}
    found = {str(path.relative_to(root)): path for path in root.rglob("*")}
    directories = {name for name, path in found.items() if path.is_dir() and not path.is_symlink()}
    documents = {f"usr/share/doc/{package_of(name)}" for name in wanted}
    assert directories == DIRECTORIES | documents
    licences = {f"{name}/copyright" for name in documents | {"usr/share/doc/pki"}} | {"usr/share/doc/pki/NOTICE.txt"}
    texts = "".join((root / name).read_text() for name in licences)
    licences |= {f"usr/share{name}" for name in re.findall(r"/common-licenses/[A-Z]\w+-\d+(?:\.\d+)*", texts)}
    assert found.keys() - directories == OTHERS | libraries | licences | {f"{LIBRARIES}/ossl-modules/legacy.so"}


def package_of(library: str) -> str:
    """The Debian package with a library, by where dpkg knows its file to be."""
    return output("dpkg-query", "--search", f"*/{library}").splitlines()[0].split(":")[0]


def test_modes_and_owners(root: Path):
    executable = {"usr/bin/pki", "usr/lib64/ld-linux-x86-64.so.2"}
    special = {"tmp": 0o1777, "home/nonroot": 0o700}
    for path in root.rglob("*"):
        name, status = str(path.relative_to(root)), path.lstat()
        if not path.is_symlink():
            plain = 0o755 if path.is_dir() or name in executable else 0o644
            assert stat.S_IMODE(status.st_mode) == special.get(name, plain), name
        if os.geteuid() == 0:
            assert status.st_uid == status.st_gid == (USER if name == "home/nonroot" else 0), name


def test_it_has_the_program_of_the_packages_and_pinned_ca_certificates(root: Path):
    import certifi

    assert (root / "usr/bin/pki").read_bytes() == deb_entries()["usr/bin/pki"].content
    # Not the certificates of the machine that made the image, which may have its own.
    assert (root / "etc/ssl/certs/ca-certificates.crt").read_text() == certifi.contents()


def test_user_entry_point_labels_and_health_check(layout: Path):
    image = configuration(layout)
    assert (image["os"], image["architecture"]) == ("linux", "amd64")
    config = image["config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["/usr/bin/pki"]
    assert config["Env"] == ["PATH=/usr/bin", "HOME=/home/nonroot"]
    assert config["WorkingDir"] == "/home/nonroot"
    # Docker's extension of the format: no shell, so a list.
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/pki", "serve", "--check"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels.keys() == {"title", "description", "version", "created", "revision", "licenses"}
    assert (labels["title"], labels["version"], labels["licenses"]) == ("pki", VERSION, "Apache-2.0")
    assert labels["created"] == image["created"]


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_other_tools_read_the_archive_as_ocis_and_as_dockers(layout: Path, transport: str):
    image = json.loads(output("skopeo", "inspect", "--config", "--raw", f"{transport}:{IMAGE}"))
    assert image == configuration(layout)
    (archive,) = json.loads((layout / "manifest.json").read_text())
    assert archive["RepoTags"] == [f"pki:{VERSION}"]


def test_every_blob_is_what_its_name_says_and_none_is_left_over(layout: Path):
    import hashlib

    (reference,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = blob(layout, reference)
    descriptors = [reference, manifest["config"], *manifest["layers"]]
    blobs = {path.name: path for path in (layout / "blobs/sha256").iterdir()}
    assert blobs.keys() == {descriptor["digest"].removeprefix("sha256:") for descriptor in descriptors}
    for descriptor in descriptors:
        data = blobs[descriptor["digest"].removeprefix("sha256:")].read_bytes()
        assert descriptor["size"] == len(data)
        assert descriptor["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"


# Runs pki in the image as a container does: its user, no other rights to be had, a root that is read-only, a process file
# system, and one directory of the host.
CONTAINER = """
set -eu
root=$1 host=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc none "$root/proc"
mount -t tmpfs none "$root/run"
mkdir "$root/run/host"
mount --bind "$host" "$root/run/host"
mount -o remount,ro "$root/run"
mount -o remount,bind,ro "$root"
cd "$root"
exec setpriv --no-new-privs -- chroot --userspec=65532:65532 --groups= . "$@"
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[Lab, Pki]]:
    """The AWS side, served by the host, and a client's identity that the image's user can read."""
    program = tmp_path / "pki"
    program.write_bytes(deb_entries()["usr/bin/pki"].content)
    program.chmod(0o755)
    pki = Pki(tmp_path, program)
    pki.run("init-ca")
    pki.run("issue-client", "web-1")
    host = tmp_path / "host"
    host.mkdir(mode=0o700)
    for name in ("web-1-cert.pem", "web-1-key.pem"):
        target = host / name
        target.write_bytes((tmp_path / "credential-process-data" / name).read_bytes())
        target.chmod(0o600)
        os.chown(target, USER, USER)
    os.chown(host, USER, USER)
    with running_lab(pki) as running:
        yield running, pki


@pytest.fixture
def container(root: Path, lab: tuple[Lab, Pki], tmp_path: Path) -> Pki:
    running, _ = lab
    # The mount point of /proc, which runtimes make.
    (root / "proc").mkdir(exist_ok=True)
    prefix = ("unshare", "--mount", "sh", "-c", CONTAINER, "sh", str(root), str(tmp_path / "host"))
    environment = {
        "HOME": "/home/nonroot",
        "PKI_CERTIFICATE": "/run/host/web-1-cert.pem",
        "PKI_TRUST_ANCHOR_ARN": running.trust_anchor_arn,
        "PKI_PROFILE_ARN": running.profile_arn,
        "PKI_ROLE_ARN": running.role_arn,
        "AWS_ENDPOINT_URL": running.endpoint,
    }
    return Pki(tmp_path, Path("/usr/bin/pki"), environment, prefix)


@needs_root
def test_creds_and_exec_need_no_place_to_write(container: Pki):
    credentials = container.run("creds").json
    assert credentials["AccessKeyId"].startswith("ASIA")
    done = container.run("exec", "--", "/usr/bin/pki", "--version")
    assert done.stdout == f"pki {VERSION}\n"


@needs_root
def test_the_cache_says_that_it_cannot_be_written_and_credentials_come_all_the_same(container: Pki):
    done = container.run("creds", "--cache")
    assert done.json["AccessKeyId"].startswith("ASIA")


@needs_root
def test_a_ca_is_made_where_something_is_mounted_and_nowhere_else(container: Pki):
    container.refuse("init-ca")
    container.run("init-ca", "--directory", "/run/host/ca")
    assert (container.home / "host/ca/root-key.pem").stat().st_uid == USER


@needs_root
def test_an_inventory_on_postgresql_is_reached_from_within(container: Pki):
    with postgresql() as cluster:
        passfile = container.home / "host/pgpass"
        passfile.write_bytes(cluster.passfile.read_bytes())
        passfile.chmod(0o600)
        os.chown(passfile, USER, USER)
        url = cluster.url(cluster.database()).replace(str(cluster.passfile), "/run/host/pgpass")
        container.run("init-ca", "--directory", "/run/host/ca")
        container.run("inventory", "init", "--inventory", url)
        container.run("inventory", "copy", "--from", "/run/host/ca", "--to", url)
        listed = container.run("list", "--directory", "/run/host/ca", "--inventory", url, "--format", "json").json
        assert [entry["name"] for entry in listed] == ["root"]


@needs_root
def test_serve_gives_credentials_and_its_health_is_seen_from_within(container: Pki, lab: tuple[Lab, Pki]):
    with container.start("serve", "--listen", "127.0.0.1:0", "--print-env") as process:
        exports = {}
        for line in lines_until(process, 30):
            name, _, value = line.removeprefix("export ").partition("=")
            exports[name] = value.strip("'")
            if "AWS_CONTAINER_AUTHORIZATION_TOKEN" in exports:
                break
        uri = exports["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        request = urllib.request.Request(uri, headers={"Authorization": exports["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
        with urllib.request.urlopen(request, timeout=30) as response:
            assert json.load(response)["AccessKeyId"].startswith("ASIA")
        port = uri.split("/")[2].split(":")[1]
        assert container.run("serve", "--check", "--port", port).stdout == "ok\n"
        process.terminate()
        assert process.wait(timeout=30) == 0
    container.run("serve", "--check", "--port", port, status=UNAVAILABLE)


@needs_root
def test_the_health_check_fails_while_there_are_no_credentials(container: Pki):
    denied = container.with_environment(PKI_ROLE_ARN="arn:aws:iam::123456789012:role/another")
    with denied.start("serve", "--listen", "127.0.0.1:0", "--print-env") as process:
        uri = next(line for line in lines_until(process, 30) if "FULL_URI" in line)
        port = uri.split("/")[2].split(":")[1]
        done = container.run("serve", "--check", "--port", port, status=CHECK_FAILED)
        assert "no valid credentials" in done.stdout


def manifest(kind: str) -> dict[str, Any]:
    """The object of a kind in the manifest of the documentation."""
    documents = yaml.safe_load_all((REPOSITORY / "docs/kubernetes.yaml").read_text())
    return next(document for document in documents if document["kind"] == kind)


@pytest.mark.parametrize("kind", ["ConfigMap", "Pod"])
def test_the_documented_manifest_has_kubernetes_schema(kind: str):
    with warnings.catch_warnings():
        # It reads its schemas by functions that are about to go.
        warnings.simplefilter("ignore", DeprecationWarning)
        import kubernetes_validate

        kubernetes_validate.validate(manifest(kind), "1.34", strict=True)


@needs_root
def test_the_containers_of_the_documented_manifest_work_one_after_the_other(container: Pki):
    """The init container writes the profile, the sidecar serves it, and its probe sees that."""
    pod = manifest("Pod")["spec"]
    configure, sidecar = pod["initContainers"]
    assert {pod["securityContext"][name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {USER}
    host = container.home / "host"
    (host / "run").mkdir()
    os.chown(host / "run", 0, USER)
    (host / "run").chmod(0o2777)
    # As the kubelet writes a volume: root's files in a directory that ..data leads to.
    (host / "identity/..2026_11_30").mkdir(parents=True)
    (host / "identity/..data").symlink_to("..2026_11_30")
    for name, source in (("tls.crt", "web-1-cert.pem"), ("tls.key", "web-1-key.pem")):
        target = host / "identity/..2026_11_30" / name
        target.write_bytes((host / source).read_bytes())
        os.chown(target, 0, USER)
        target.chmod(pod["volumes"][0]["secret"]["defaultMode"])
        (host / "identity" / name).symlink_to(f"..data/{name}")

    def place(text: str) -> str:
        return text.replace("/identity", "/run/host/identity").replace("/run/pki", "/run/host/run")

    def run_as(one: dict[str, Any]) -> Pki:
        variables = {entry["name"]: place(entry["value"]) for entry in one["env"]}
        others = {name: value for name, value in container.environment.items() if name != "PKI_CERTIFICATE"}
        return Pki(container.home, container.path, {**others, **variables}, container.prefix)

    assert set(manifest("ConfigMap")["data"]) == {"PKI_TRUST_ANCHOR_ARN", "PKI_PROFILE_ARN", "PKI_ROLE_ARN"}
    run_as(configure).run(*map(place, configure["args"]))
    # The application's variables lead to what the sidecar serves; the port is one that the system chooses.
    served = {entry["name"]: place(entry["value"]) for entry in pod["containers"][0]["env"]}
    with run_as(sidecar).start(*map(place, sidecar["args"]), "--listen", "127.0.0.1:0", "--print-env") as process:
        exports = {}
        for line in lines_until(process, 30):
            name, _, value = line.removeprefix("export ").partition("=")
            exports[name] = value.strip("'\n")
            if len(exports) == 2:
                break
        uri = urllib.parse.urlsplit(exports.pop("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
        assert urllib.parse.urlsplit(served["AWS_CONTAINER_CREDENTIALS_FULL_URI"]).path == uri.path
        token_file = served["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]
        assert exports == {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token_file}
        token = (host / "run" / Path(token_file).name).read_text()
        request = urllib.request.Request(uri.geturl(), headers={"Authorization": token})
        with urllib.request.urlopen(request, timeout=30) as response:
            assert json.load(response)["AccessKeyId"].startswith("ASIA")
        probe = sidecar["startupProbe"]["exec"]["command"]
        assert probe[0] == container.path.name
        assert container.run(*probe[1:], "--port", str(uri.port)).stdout == "ok\n"
