# SPDX-License-Identifier: Apache-2.0
"""AWS's config and credentials files, with botocore as the judge (F4, F5, F6, F15, B4, B6, D5)."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import botocore.exceptions
import botocore.session
import pytest
from botocore import configloader

from delivery import Home
from program import USAGE, Lab, Pki, clean_environment
from serving import wait_for

KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


@pytest.fixture
def home(pki: Pki, ca: Path, lab: Lab) -> Home:
    made = Home(pki, lab, ca)
    made.config.parent.mkdir()
    return made


def warnings(stderr: str, path: Path) -> list[int]:
    """The lines of a file that are warned of."""
    words = f"pki: warning: {path}, line "
    return [int(line.removeprefix(words).split(":")[0]) for line in stderr.splitlines() if line.startswith(words)]


def read(path: Path, *, is_config: bool = True) -> dict | None:
    """What botocore reads, as a session does; None if it refuses the file."""
    try:
        return configloader.load_config(str(path))["profiles"] if is_config else configloader.raw_config_parse(str(path))
    except botocore.exceptions.ConfigParseError:
        return None


# Text, whether botocore reads the file afterwards, and the lines that are warned of when `a b` is configured.
FILES: dict[str, tuple[bytes, bool, list[int]]] = {
    "unquoted": (b"[profile a b]\nregion = eu-west-1\n", True, []),
    "a backslash": (b"[profile a\\ b]\nregion = eu-west-1\n", True, []),
    "blanks in the brackets": (b"[ profile a b ] # mine\nregion = eu-west-1\n", True, []),
    "a byte order mark": (b"\xef\xbb\xbf[default]\nregion = eu-west-1\n", True, []),
    "a section twice": (b"[x]\n[y]\n[x]\n", False, [3]),
    "a setting twice": (b"[x]\na = 1\n\na = 2\n", False, [4]),
    "a line without an equals sign": (b"[x]\nnonsense\n", False, [2]),
    "not UTF-8": (b"# J\xf6rg\n[x]\n", False, [1]),
    "before the first section": (b"a = 1\n[x]\n", False, [1]),
    "nested without an equals sign": (b"[x]\ns3 =\n  a\n", False, [3]),
    "continued": (b"[profile 'a b']\nregion = eu-west-1\n  output = json\n", True, [3]),
}


@pytest.mark.parametrize("name", FILES)
def test_f4_what_botocore_cannot_read_is_repaired_or_warned_of(home: Home, name: str) -> None:
    text, is_readable, lines = FILES[name]
    home.config.write_bytes(text)
    stderr = home.configure("a b").stderr
    portable = [int(line.split(":")[0]) for line in stderr.split(", line ")[1:] if "A-Za-z" in line.splitlines()[0]]
    assert sorted(warnings(stderr, home.config)) == sorted(lines + portable)
    profiles = read(home.config)
    assert (profiles is not None) == is_readable
    headers = [line for line in home.config.read_bytes().splitlines() if line.startswith(b"[profile")]
    assert len(headers) == 1
    if profiles is not None:
        assert profiles["a b"]["pki_role_arn"] == home.lab.role_arn
        if b"eu-west-1" in text and b"default" not in text:
            assert profiles["a b"]["region"].startswith("eu-west-1")
    found = home.pki.run("doctor", "--profile", "a b", "--offline", "--format", "json").json["checks"]
    check = next(check for check in found if check["name"] == "profile")
    for line in lines:
        assert f"{home.config}, line {line}: " in check["found"]


def test_f4_a_name_that_sdks_quote_differently_is_warned_of(home: Home) -> None:
    assert warnings(home.configure("R&D (x)").stderr, home.config) == [1]
    assert warnings(home.configure("Audit/AWS.a@b+c=d-e_f").stderr, home.config) == []


@pytest.mark.parametrize("header", ["[ default ]", "[default ]"])
def test_f4_update_writes_where_botocore_finds_it(home: Home, header: str) -> None:
    home.credentials.write_text(f"{header}\nregion = x\n")
    home.pki.run("update", "--once", *home.options())
    assert read(home.credentials, is_config=False)["default"]["aws_access_key_id"].startswith("ASIA")
    home.credentials.write_text("[x]\n[x]\n")
    assert warnings(home.pki.run("update", "--once", *home.options()).stderr, home.credentials) == [2]


RIVALS = {
    "sso_session": "sso_session = corp\nsso_account_id = 123456789012\nsso_role_name = r\n",
    "sso_start_url": "sso_start_url = https://x\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = r\n",
    "role_arn": "role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = x\n",
    "web_identity_token_file": "web_identity_token_file = /t\n",
    "aws_access_key_id": "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n",
}


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("file", ["config", "credentials"])
def test_f5_what_goes_before_credential_process_is_warned_of(home: Home, name: str, file: str) -> None:
    path = home.config if file == "config" else home.credentials
    path.write_text(("[profile dev]\n" if file == "config" else "[dev]\n") + RIVALS[name])
    stderr = home.configure("dev").stderr
    word = "sso_" if name.startswith("sso") else name
    assert any(word in line and str(path) in line for line in stderr.splitlines() if line.startswith("pki: warning: "))
    assert "pki: warning: " not in home.configure("other").stderr
    found = home.pki.run("doctor", "--profile", "dev", "--offline", "--format", "json").json["checks"]
    check = next(check for check in found if check["name"] == "profile")
    assert check["verdict"] == "warning" and word in check["found"]
    if name == "sso_session":
        environment = {**clean_environment(home.pki.home), "AWS_DEFAULT_REGION": "us-east-1", "AWS_PROFILE": "dev"}
        done = subprocess.run(
            [shutil.which("aws"), "sts", "get-caller-identity"], env=environment, capture_output=True, timeout=60
        )
        assert done.returncode != 0, "botocore asks for the SSO session first"


def test_f6_a_stale_security_token_is_removed(home: Home) -> None:
    home.credentials.write_text(
        "[web]\naws_access_key_id = OLD\naws_secret_access_key = OLD\naws_session_token = OLD\n"
        "aws_security_token = STALE\naws_account_id = 999999999999\nx_security_token_expires = 2020\n"
    )
    home.pki.run("update", "--once", "--profile", "web", *home.options())
    session = botocore.session.Session(profile="web")
    session.set_config_variable("credentials_file", str(home.credentials))
    session.set_config_variable("config_file", os.devnull)
    keys = session.get_credentials()
    written = read(home.credentials, is_config=False)["web"]
    assert keys.token == written["aws_session_token"] != "STALE"
    assert "aws_security_token" not in written and written["aws_account_id"] == home.lab.account
    assert written["x_security_token_expires"] == "2020"


@pytest.mark.parametrize("shell", ["sh", "bash", "fish"])
def test_b4_a_shell_has_the_region_and_no_older_names(home: Home, shell: str) -> None:
    home.configure("web")
    form = "fish" if shell == "fish" else "env"
    text = home.pki.run("creds", "--profile", "web", "--format", form).stdout
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"there is no {shell}: run script/bootstrap")
    stale = {"AWS_SECURITY_TOKEN": "STALE", "AWS_PROFILE": "nobody", "AWS_ROLE_ARN": "x", "AWS_DEFAULT_PROFILE": "nobody"}
    ask = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('AWS_')}))"
    done = subprocess.run(
        [path, "-c", f'{text}\npython3 -c "{ask}"'], env={**clean_environment(home.pki.home), **stale},
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    seen = json.loads(done.stdout)
    assert done.stderr == b"" and not set(stale) & set(seen)
    assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == home.lab.region
    other = home.pki.with_environment(AWS_REGION="eu-west-1")
    assert "AWS_DEFAULT_REGION" in other.run("creds", "--profile", "web", "--format", form).stdout
    assert home.lab.region not in other.run("creds", "--profile", "web", "--format", form).stdout.split("SESSION_TOKEN")[0]


def test_b6_update_says_that_its_keys_go_first_and_takes_them_out(home: Home) -> None:
    home.configure("web")
    home.credentials.write_text("# mine\n[web]\nregion = x\n\n[other]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n")
    before = home.credentials.read_text()
    stderr = home.pki.run("update", "--once", "--profile", "web").stderr
    assert "pki update --remove --profile web" in stderr
    assert home.credentials.read_text() != before
    stderr = home.pki.run("update", "--remove", "--profile", "web", "--profile", "other").stderr
    assert home.credentials.read_text() == before
    assert "not removed from web: region" in stderr and "not removed from other: aws_access_key_id" in stderr
    # A user's own keys are not removed, also where this program's were before.
    home.pki.run("update", "--once", "--profile", "web")
    lines = home.credentials.read_text().splitlines()
    mine = [
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE" if line.startswith("aws_access_key_id = ASIA") else line
        for line in lines
    ]
    home.credentials.write_text("\n".join(mine) + "\n")
    home.pki.run("update", "--remove", "--profile", "web")
    kept = read(home.credentials, is_config=False)["web"]
    assert kept["aws_access_key_id"] == "AKIAIOSFODNN7EXAMPLE" and set(KEYS) < set(kept)
    assert "pki_access_key_id" not in kept


def test_b6_nothing_to_remove_is_no_failure(home: Home) -> None:
    home.pki.run("update", "--remove", "--profile", "web")
    assert not home.credentials.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_b6_keys_are_removed_on_exit_if_that_is_asked_for(home: Home, number: signal.Signals) -> None:
    home.configure("web")
    home.credentials.write_text("[other]\naws_access_key_id = x\n")
    with home.pki.start("update", "--remove-on-exit", "--profile", "web") as process:
        wait_for(lambda: "ASIA" in home.credentials.read_text())
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
    assert home.credentials.read_text() == "[other]\naws_access_key_id = x\n"


PLACES = ("--certificate", "--private-key", "--intermediates", "--passphrase-file", "--ca-bundle", "--pkcs11-lib")


@pytest.mark.parametrize("place", ["fd", "proc", "stdin", "fifo", "link"])
def test_f15_a_place_that_ends_with_the_process_is_refused(home: Home, place: str) -> None:
    pipe, end = os.pipe()
    fifo = home.pki.home / "fifo"
    os.mkfifo(fifo)
    (home.pki.home / "link").symlink_to("fifo")
    path = {
        "fd": f"/dev/fd/{pipe}", "proc": f"/proc/self/fd/{pipe}", "stdin": "/dev/stdin", "fifo": str(fifo), "link": "link",
    }[place]  # fmt: skip
    for option in PLACES:
        command = ("configure", "--profile", "web", *home.options(), option, path)
        assert option in home.pki.refuse(*command, status=USAGE, pass_fds=(pipe,))
        assert not home.config.exists()
    os.close(pipe)
    os.close(end)


# Pieces of files, of which some do not go together.
PIECES = [
    "[default]", "[ default ]", "[profile web]", "[profile  web]", "[profile 'web']", "[ profile web ]", "[profile my web]",
    "[profile \"my web\"]", "[profile my\\ web]", "[profile it's]", "[web]", "[my web]", "[other] # x", "[services x]",
    "[sso-session y]", "[DEFAULT]", "[]", "[x", "region = eu-west-1", "region = us-east-1 # why", "output=json", "Output: text",
    "s3 =", "  max = 1", "  nonsense", "    deep = 2", "nonsense", "= 1", "# comment", "; comment", "", "   ", "\ta = 1",
    "aws_access_key_id = ASIAIOSFODNN7EXAMPLE", "aws_secret_access_key = x", "aws_security_token = y", "name = J\xf6rg",
    "pki_certificate = /old", "credential_process = /x/pki creds --profile web --cache", "cli_pager =",
]  # fmt: skip


def generated(seed: int, *, is_config: bool) -> bytes:
    chance = random.Random(f"{seed} {is_config}")
    lines = chance.choices(PIECES, k=chance.randrange(12))
    if chance.random() < 0.7:
        # Most files begin with a section, and most sections are there once.
        lines.insert(0, chance.choice(PIECES[:14]))
        seen: set[str] = set()
        lines = [line for line in lines if not line.startswith("[") or not (line in seen or seen.add(line))]
    end = chance.choice(["\n", "\n", "\r\n"])
    encoding = chance.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1"])
    return (end.join(lines) + chance.choice(["", end])).encode(encoding)


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("is_config", [True, False], ids=["config", "credentials"])
def test_f4_a_generated_corpus(home: Home, block: int, is_config: bool) -> None:
    """What we say of a file, and botocore: before and after it is written to."""
    path, profile = (home.config, "my web") if is_config else (home.credentials, "web")
    home.configure(profile)
    plain = home.config.read_bytes()
    for seed in range(block * 50, block * 50 + 50):
        text = generated(seed, is_config=is_config)
        home.config.write_bytes(plain)
        path.write_bytes(text)
        before = read(path, is_config=is_config)
        command = ["configure", "--force"] if is_config else ["update", "--once"]
        done = home.pki.run(*command, "--profile", profile, *home.options())
        after = read(path, is_config=is_config)
        fatal = [line for line in done.stderr.splitlines() if f"{path}, line" in line and "reads nothing" in line]
        assert (after is None) == bool(fatal), (seed, text, done.stderr)
        # What could be read before can be read now, and nothing else in it has changed.
        assert before is None or after is not None, (seed, text)
        if after is None:
            continue
        assert profile in after, (seed, text, path.read_bytes())
        if is_config:
            is_shadowed = "ignores this section" in done.stderr
            assert after[profile].get("pki_role_arn") == home.lab.role_arn or is_shadowed, (seed, text)
        else:
            assert after[profile]["aws_access_key_id"].startswith("ASIA"), (seed, text)
            assert "aws_security_token" not in after[profile]
        if before is not None:
            for name, settings in before.items():
                for key, value in settings.items():
                    if name == profile and key.startswith(("pki_", "aws_", "credential_process", "region")):
                        continue
                    assert after.get(name, after.get(name.strip()))[key] == value, (seed, name, key, text)
