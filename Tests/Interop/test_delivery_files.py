# SPDX-License-Identifier: Apache-2.0
"""`pki configure` and `pki update` in files that others edit too: botocore's parser and a look at the bytes are the judges."""

from __future__ import annotations

import configparser
import os
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from botocore import configloader

from delivery import Home
from moments import KillMoments
from program import DONE, REFUSED, USAGE, Lab, Pki
from sampling import scaled
from serving import wait_for

LONG = "x" * 70_000

# Texts of files, with a section that is to be edited and without, by what is special about them. `%s` stands for the
# section's header as the file at hand wants it: `[profile web]` in the one, `[web]` in the other.
CORPUS: dict[str, bytes] = {
    "empty": b"",
    "a line end": b"\n",
    "blank lines": b"\n\n  \n\t\n",
    "only comments": b"# one\n; two\n   # three\n",
    "a section": b"%s\nregion = eu-west-1\n",
    "no last line end": b"%s\nregion = eu-west-1",
    "a bare header": b"%s",
    "another section": b"[other]\nregion = eu-west-1\n",
    "another section without an end": b"[other]\nregion = eu-west-1",
    "before another": b"%s\na = 1\n\n[other]\nb = 2\n",
    "behind another": b"[other]\nb = 2\n\n\n%s\na = 1\n",
    "between others": b"[one]\na = 1\n%s\nb = 2\n[two]\nc = 3\n",
    "comments everywhere": b"# top\n[one]\n# in one\na = 1\n\n# about web\n%s\n; in web\nb = 2 # behind\n\n# end\n",
    "comments between sections": b"%s\nb = 2\n\n# about two\n# more about two\n[two]\nc = 3\n",
    "CRLF": b"%s\r\na = 1\r\n\r\n[two]\r\nb = 2\r\n",
    "CRLF without a last one": b"%s\r\na = 1\r\n[two]\r\nb = 2",
    "both line ends": b"%s\r\na = 1\n[two]\nb = 2\r\n",
    "tabs": b"%s\n\ta\t=\t1\n",
    "no blanks": b"%s\na=1\nb=2\n",
    "many blanks": b"%s\na    =    1   \n",
    "colons": b"%s\na: 1\nb : 2\n",
    "capitals": b"%s\nRegion = eu-west-1\nA = 1\n",
    "indented settings": b"%s\n  a = 1\n  b = 2\n",
    "nested": b"%s\ns3 =\n  max_concurrent_requests = 20\n  addressing_style = path\n\n[two]\nb = 2\n",
    "nested at the end": b"%s\ns3 =\n    max_concurrent_requests = 20",
    "nested with our names": b"%s\ns3 =\n  pki_certificate = not ours\n  aws_access_key_id = not ours\n",
    "a long line": b"%s\na = " + LONG.encode() + b"\n[two]\nb = 2\n",
    "a long line elsewhere": b"[two]\nb = " + LONG.encode() + b"\n%s\na = 1\n",
    "Latin-1": b"# J\xf6rg\n[two]\nb = M\xfcller\n%s\na = 1\n",
    "UTF-8": "# Jörg\n[zwei]\nb = 日本語\n%s\na = 1\n".encode(),
    "twice the section": b"%s\na = 1\n[two]\nb = 2\n%s\nc = 3\n",
    "twice the setting": b"[two]\nb = 1\nb = 2\n%s\na = 1\na = 2\n",
    "sso and services": b"[sso-session corp]\nsso_region = us-east-1\n[services local]\ns3 =\n  endpoint_url = http://x\n%s\na = 1\n",
    "plugins": b"[plugins]\ncli_legacy_plugin_path = /x\n[preview]\ncloudfront = true\n%s\na = 1\n",
    "a commented header": b"#%s\n#a = 1\n[two]\nb = 2\n",
    "an empty value": b"%s\na =\nb = 1\n",
    "equals signs": b"%s\na = b=c=d\n",
    "hashes in values": b"%s\na = b#c;d\n",
    "many sections": b"".join(b"[s%d]\na = %d\n\n" % (n, n) for n in range(300)) + b"%s\na = 1\n",
    "a blank header": b"[ two ]\nb = 2\n%s\na = 1\n",
    "blanks at the end": b"%s\na = 1\n\n\n   \n",
    "our settings, old": b"%s\npki_certificate = /old\naws_access_key_id = OLD\naws_session_token = OLD\na = 1\n",
    "our settings, spaced": b"%s\nPKI_Certificate\t=  /old  \nAWS_Access_Key_ID   =   OLD\na = 1\n",
    "our settings, commented": b"%s\npki_certificate = /old # since May\naws_access_key_id = OLD # since May\na = 1\n",
    "our settings, twice": b"%s\npki_certificate = /o\naws_access_key_id = O\n[x]\n%s\npki_certificate = /p\naws_access_key_id = P\n",
}

# botocore refuses a file that says something twice; Python's parser can be told to take the last.
SAID_TWICE = {"twice the section", "twice the setting", "our settings, twice"}


@pytest.fixture
def home(pki: Pki, ca: Path, lab: Lab) -> Home:
    return Home(pki, lab, ca)


def with_header(text: bytes, header: bytes) -> bytes:
    return text.replace(b"%s", header)


def parsed(path: Path, name: str = "") -> dict[str, Any]:
    """Everything that botocore reads in a file."""
    if name in SAID_TWICE:
        parser = configparser.RawConfigParser(strict=False, default_section="")
        parser.read(path)
        return {section: dict(parser[section]) for section in parser.sections()}
    return configloader.raw_config_parse(str(path), parse_subsections=False)


def expect_all_else(before: bytes, after: bytes, is_ours: Any) -> None:
    """Every line of before is there, in order and byte for byte, unless it is a setting of ours."""
    left = [line for line in before.splitlines(keepends=True) if not is_ours(line)]
    rest = iter(after.splitlines(keepends=True))
    for line in left:
        ends = {line, line + b"\n", line + b"\r\n"} if not line.endswith(b"\n") else {line}
        assert any(other in ends for other in rest), f"{line!r} of {before[:2000]!r} is missing in {after[:2000]!r}"


def sets(*prefixes: str) -> Any:
    """Whether a line sets one of some names, which are given by their beginnings."""

    def is_ours(line: bytes) -> bool:
        return not line.startswith(b"  ") and line.strip().lower().startswith(tuple(p.encode() for p in prefixes))

    return is_ours


def expect_same_values(before: dict[str, Any], after: dict[str, Any], section: str, *prefixes: str) -> None:
    for name, settings in before.items():
        for key, value in settings.items():
            if name == section and key.startswith(prefixes):
                continue
            assert after[name][key] == value, f"{key} of {name}"
    assert set(after) == set(before) | {section}


@pytest.mark.parametrize("name", CORPUS)
def test_configure_keeps_everything_else(home: Home, name: str) -> None:
    before = with_header(CORPUS[name], b"[profile web]")
    home.config.parent.mkdir()
    home.config.write_bytes(before)
    is_readable = "Latin-1" not in name
    old = parsed(home.config, name) if is_readable else {}
    home.configure("web")
    after = home.config.read_bytes()
    expect_all_else(before, after, sets("pki_", "credential_process"))
    if is_readable:
        new = parsed(home.config, name)
        section = next(key for key in new if key.split() == ["profile", "web"])
        assert new[section]["pki_certificate"] == str(home.ca / "client-cert.pem")
        assert new[section]["pki_role_arn"] == home.lab.role_arn
        assert new[section]["credential_process"].endswith(" creds --profile web --cache")
        assert new[section]["region"] == old.get(section, {}).get("region", "us-east-1")
        expect_same_values(old, new, section, "pki_", "credential_process", "region")
        if name not in SAID_TWICE:
            profiles = configloader.load_config(str(home.config))["profiles"]
            assert profiles["web"]["pki_role_arn"] == home.lab.role_arn
    # What is there already is not written again.
    stamp = home.config.stat().st_mtime_ns
    home.configure("web")
    assert home.config.read_bytes() == after
    assert home.config.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("name", CORPUS)
def test_update_keeps_everything_else(home: Home, name: str) -> None:
    before = with_header(CORPUS[name], b"[web]")
    home.credentials.parent.mkdir()
    home.credentials.write_bytes(before)
    is_readable = "Latin-1" not in name
    old = parsed(home.credentials, name) if is_readable else {}
    keys = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    for _ in range(2):
        home.pki.run("update", "--once", "--profile", "web", *home.options())
        after = home.credentials.read_bytes()
        expect_all_else(before, after, sets(*keys))
        if is_readable:
            new = parsed(home.credentials, name)
            assert new["web"]["aws_access_key_id"].startswith("ASIA")
            assert all(" " not in new["web"][key] for key in keys)
            expect_same_values(old, new, "web", *keys)
    assert stat.S_IMODE(home.credentials.stat().st_mode) == 0o600
    lines = [line.split(b"=")[0].strip().lower() for line in after.splitlines()]
    if name not in SAID_TWICE:
        # What stands within a nested block is nobody's setting.
        nested = 1 if name == "nested with our names" else 0
        assert [lines.count(key.encode()) for key in keys] == [1 + nested, 1, 1]


@pytest.mark.parametrize("header", [b"[default]", b"[ default ]", b"[default] # mine", b"  [default]"])
def test_the_standard_section_is_not_doubled(home: Home, header: bytes) -> None:
    home.credentials.parent.mkdir()
    home.credentials.write_bytes(header + b"\naws_access_key_id = OLD\nregion = x\n")
    home.pki.run("update", "--once", *home.options())
    text = home.credentials.read_text()
    assert text.count("default") == 1 and "OLD" not in text and "region = x" in text
    home.config.write_bytes(header + b"\nregion = eu-west-1\n")
    home.pki.run("configure", *home.options())
    assert home.config.read_text().count("[") == 1


def test_a_profile_with_blanks_in_its_name(home: Home) -> None:
    home.configure("my web")
    assert "[profile 'my web']" in home.config.read_text()
    assert configloader.load_config(str(home.config))["profiles"]["my web"]["pki_role_arn"] == home.lab.role_arn
    home.configure("my web", "--session-duration", "900")
    assert home.config.read_text().count("[profile") == 1
    assert home.pki.run("creds", "--profile", "my web").json["Version"] == 1


def test_missing_folders_are_for_the_user_alone(home: Home) -> None:
    umask = home.pki.with_prefix("sh", "-c", 'umask 0 && exec "$@"', "sh")
    umask.run("update", "--once", *home.options())
    assert stat.S_IMODE(home.credentials.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.credentials.stat().st_mode) == 0o600
    tight = home.pki.with_prefix("sh", "-c", 'umask 777 && exec "$@"', "sh")
    tight.run("configure", "--profile", "web", *home.options())
    assert stat.S_IMODE(home.config.stat().st_mode) == 0o600


def test_modes_are_kept_or_tightened(home: Home) -> None:
    home.configure("web")
    home.config.chmod(0o644)
    home.configure("web", "--session-duration", "900")
    assert stat.S_IMODE(home.config.stat().st_mode) == 0o644
    home.credentials.write_text("[x]\n")
    home.credentials.chmod(0o644)
    home.pki.run("update", "--once", "--profile", "web")
    assert stat.S_IMODE(home.credentials.stat().st_mode) == 0o600


@pytest.mark.parametrize("links", [["real"], ["../elsewhere/real"], ["one", "two", "../elsewhere/real"], ["missing"]])
def test_a_symbolic_link_stays_one(home: Home, links: list[str]) -> None:
    folder = home.credentials.parent
    folder.mkdir()
    (home.pki.home / "elsewhere").mkdir()
    path = home.credentials
    for link in links:
        path.symlink_to(link)
        path = folder / link
    if links != ["missing"]:
        path.write_text("# kept\n")
    home.pki.run("update", "--once", "--profile", "web", *home.options())
    assert home.credentials.is_symlink() and os.readlink(home.credentials) == links[0]
    assert not path.is_symlink()
    assert "[web]" in path.read_text() and ("# kept" in path.read_text()) == (links != ["missing"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["folder", "fifo", "loop"])
def test_what_is_no_file_is_refused(home: Home, kind: str) -> None:
    home.credentials.parent.mkdir()
    match kind:
        case "folder":
            home.credentials.mkdir()
        case "fifo":
            os.mkfifo(home.credentials)
        case "loop":
            home.credentials.symlink_to("credentials")
    stderr = home.pki.refuse("update", "--once", "--profile", "web", *home.options())
    assert str(home.credentials) in stderr


def test_other_places(home: Home, tmp_path: Path) -> None:
    pki = home.pki.with_environment(
        AWS_CONFIG_FILE="~/deep/er/config", AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "shared")
    )
    pki.run("configure", "--profile", "web", *home.options())
    pki.run("update", "--once", "--profile", "web")
    assert "[profile web]" in (pki.home / "deep/er/config").read_text()
    assert "[web]" in (tmp_path / "shared").read_text()
    assert not (pki.home / ".aws").exists()


def test_twenty_processes_lose_nothing(home: Home) -> None:
    home.credentials.parent.mkdir()
    text = "".join(f"# about {n}\n[p{n}]\nregion = r{n}\n\n" for n in range(20))
    home.credentials.write_text(text)
    started = [
        subprocess.Popen(
            home.pki.command("update", "--once", "--profile", f"p{n}", *home.options()),
            cwd=home.pki.home,
            env=home.pki.variables(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for n in range(20)
    ]
    assert [process.wait(60) for process in started] == [DONE] * 20
    found = parsed(home.credentials)
    assert len({found[f"p{n}"]["aws_access_key_id"] for n in range(20)}) == 20
    for n in range(20):
        assert found[f"p{n}"]["region"] == f"r{n}"
    expect_all_else(text.encode(), home.credentials.read_bytes(), sets("aws_", "pki_"))
    assert sorted(path.name for path in home.credentials.parent.iterdir()) == ["credentials"]


ROUNDS = scaled(500, 150)


def test_killed_at_any_moment(home: Home) -> None:
    """The file is whole after each of many kills: all that was in it, and keys that belong together."""
    home.credentials.parent.mkdir()
    text = "# first\n[other]\naws_access_key_id = KEPT\n" + "".join(f"# line {n}\n" for n in range(400)) + "[web]\n"
    home.credentials.write_text(text)
    command = home.pki.command("update", "--once", "--profile", "web", *home.options())
    options: dict[str, Any] = {
        "cwd": home.pki.home,
        "env": home.pki.variables(),
        "stdin": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    # Three at once, each of which takes longer than one alone.
    moments = KillMoments.of(lambda: subprocess.run(command, check=True, **options), 1, latest=4)
    at_work: list[tuple[subprocess.Popen[bytes], float]] = []
    for number in range(ROUNDS):
        at_work.append((subprocess.Popen(command, **options), time.monotonic() + moments.next()))
        while len(at_work) >= 3 or (number == ROUNDS - 1 and at_work):
            process, end = min(at_work, key=lambda one: one[1])
            at_work.remove((process, end))
            time.sleep(max(0, end - time.monotonic()))
            process.send_signal(signal.SIGKILL)
            moments.learn(process.wait())
            found = home.credentials.read_text()
            assert all(line in found for line in ("# first\n", "KEPT\n", "# line 399\n"))
            keys = parsed(home.credentials)["web"]
            assert set(keys) == {"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "pki_access_key_id"}
    assert min(moments.killed, moments.ended) > ROUNDS / 50
    subprocess.run(command, check=True, **options)
    assert sorted(path.name for path in home.credentials.parent.iterdir()) == ["credentials"]
    expect_all_else(text.encode(), home.credentials.read_bytes(), sets("aws_", "pki_"))


class TestConfigure:
    def test_flags_go_before_the_profile(self, home: Home) -> None:
        home.configure("web", "--session-duration", "900")
        report = home.pki.run("creds", "--profile", "web", "--format", "json", "--session-duration", "1800").json
        assert report["roleArn"] == home.lab.role_arn
        said = home.pki.run("creds", "--profile", "web", "--debug").stderr
        assert "durationSeconds" in said or "900" in said or "sent header" in said
        assert "pki_session_duration = 900" in home.config.read_text()

    def test_an_empty_value_takes_a_setting_out(self, home: Home) -> None:
        home.configure("web", "--role-session-name", "batch")
        assert "pki_role_session_name = batch" in home.config.read_text()
        home.pki.run("configure", "--profile", "web", "--role-session-name", "")
        assert "role_session_name" not in home.config.read_text()

    def test_a_setting_is_unset_by_its_options_name(self, home: Home) -> None:
        home.configure("web", "--session-duration", "900", "--attempts", "2")
        home.pki.run("configure", "--profile", "web", "--unset", "session-duration", "--unset", "attempts")
        assert "session_duration" not in home.config.read_text() and "attempts" not in home.config.read_text()
        home.pki.refuse("configure", "--profile", "web", "--unset", "region", status=USAGE)

    def test_what_is_not_given_stays(self, home: Home) -> None:
        home.configure("web", "--session-duration", "900")
        before = home.config.read_text()
        home.pki.run("configure", "--profile", "web", "--attempts", "2")
        assert home.config.read_text() == before + "pki_attempts = 2\n"

    def test_the_region_is_kept_or_set(self, home: Home) -> None:
        home.config.parent.mkdir()
        home.config.write_text("[profile web]\nregion = eu-central-1\n")
        home.configure("web")
        assert "region = eu-central-1\n" in home.config.read_text()
        home.pki.run("configure", "--profile", "web", "--region", "ap-south-1")
        assert "region = ap-south-1\n" in home.config.read_text()
        assert home.pki.run("creds", "--profile", "web").json["Version"] == 1

    def test_paths_are_made_absolute(self, home: Home) -> None:
        options = home.options()
        options[1] = os.path.relpath(options[1], home.pki.home)
        options[3] = "./" + os.path.relpath(options[3], home.pki.home)
        home.pki.run("configure", "--profile", "web", *options)
        assert f"pki_certificate = {home.ca}/client-cert.pem\n" in home.config.read_text()
        assert f"pki_private_key = {home.ca}/client-key.pem\n" in home.config.read_text()

    def test_another_programs_credential_process_is_not_replaced(self, home: Home) -> None:
        home.config.parent.mkdir()
        before = "[profile web]\ncredential_process = /opt/other --profile web\n"
        home.config.write_text(before)
        stderr = home.pki.refuse("configure", "--profile", "web", *home.options())
        assert "/opt/other" in stderr and "--force" in stderr
        assert home.config.read_text() == before
        home.configure("web", "--force")
        assert "/opt/other" not in home.config.read_text()

    @pytest.mark.parametrize(
        ("option", "value", "status"),
        [
            ("--certificate", "/nowhere/cert.pem", REFUSED),
            ("--private-key", "/nowhere/key.pem", REFUSED),
            ("--role-arn", "arn:aws:iam::1:role/x", USAGE),
            ("--session-duration", "10", USAGE),
            ("--trust-anchor-arn", "", USAGE),
        ],
    )
    def test_what_cannot_work_is_not_written(self, home: Home, option: str, value: str, status: int) -> None:
        home.pki.refuse("configure", "--profile", "web", *home.options(), option, value, status=status)
        assert not home.config.exists()

    def test_another_key_is_not_written(self, home: Home) -> None:
        home.pki.run("issue-client", "--directory", home.ca, "--name", "two")
        options = home.options()
        options[3] = str(home.ca / "two-key.pem")
        assert options[3] in home.pki.refuse("configure", "--profile", "web", *options)
        assert not home.config.exists()

    def test_keys_in_the_credentials_file_are_warned_of(self, home: Home) -> None:
        home.pki.run("update", "--once", "--profile", "web", *home.options())
        assert "pki: warning: " in home.configure("web").stderr
        assert "pki: warning: " not in home.configure("other").stderr

    @pytest.mark.smoke
    def test_json(self, home: Home) -> None:
        report = home.configure("web", "--format", "json").json
        assert report["profile"] == "web" and report["file"] == str(home.config)
        assert report["role"] == home.lab.role_arn and report["subject"] == "CN=TEST CLIENT"

    @pytest.mark.smoke
    def test_several_profiles_are_several_roles(self, home: Home) -> None:
        for name in ("one", "two", "default"):
            home.configure(name, "--session-duration", {"one": "900", "two": "1800", "default": "3600"}[name])
        ends = {}
        for name in ("one", "two", "default"):
            ends[name] = home.pki.run("creds", "--profile", name).json["Expiration"]
        assert ends["one"] < ends["two"] < ends["default"]
        assert home.pki.run("creds").json["Expiration"] >= ends["default"]
        named = home.pki.with_environment(AWS_PROFILE="one")
        assert named.run("creds").json["Expiration"] < ends["two"]

    def test_a_profile_that_is_not_there_is_named(self, home: Home) -> None:
        stderr = home.pki.refuse("creds", "--profile", "nobody", status=USAGE)
        assert "nobody" in stderr and str(home.config) in stderr and "pki configure" in stderr

    @pytest.mark.parametrize("name", ["", " web", "a]b", "a\nb", "a#b", 'a"b'])
    def test_a_name_that_cannot_be_is_refused(self, home: Home, name: str) -> None:
        home.pki.refuse("configure", "--profile", name, *home.options(), status=USAGE)
        assert not home.config.exists()


class TestUpdate:
    def lines(self, home: Home) -> str:
        return home.credentials.read_text() if home.credentials.exists() else ""

    @pytest.mark.smoke
    def test_several_profiles_are_kept_fresh(self, pki: Pki, ca: Path) -> None:
        from program import running_lab

        with running_lab(pki, "--directory", ca, "--expires-in", "4") as lab:
            home = Home(pki, lab, ca)
            home.configure("one")
            home.configure("two")
            with pki.start("update", "--profile", "one", "--profile", "two") as process:
                wait_for(lambda: "[one]" in self.lines(home) and "[two]" in self.lines(home))
                before = parsed(home.credentials)

                def is_new() -> bool:
                    now = parsed(home.credentials)
                    return all(now[n]["aws_access_key_id"] != before[n]["aws_access_key_id"] for n in ("one", "two"))

                wait_for(is_new)
                process.send_signal(signal.SIGTERM)
                assert process.wait(3) == DONE

    def test_the_service_may_come_later_and_go_away(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        from program import running_lab

        state = tmp_path / "lab.sqlite"
        with running_lab(pki, "--directory", ca, "--state", state, "--expires-in", "4") as lab:
            home = Home(pki, lab, ca)
            home.configure("web")
            port = lab.port
        with pki.start("update", "--profile", "web") as process:
            log: Path = process.log
            wait_for(lambda: "trying again" in log.read_text())
            assert process.poll() is None
            arguments = ("--directory", ca, "--state", state, "--expires-in", "4")
            with running_lab(pki, *arguments, port=port):
                wait_for(lambda: "aws_access_key_id" in self.lines(home))
            first = parsed(home.credentials)["web"]["aws_access_key_id"]
            complaints = log.read_text().count("trying again")
            wait_for(lambda: log.read_text().count("trying again") > complaints)
            assert process.poll() is None
            # What was there stays there.
            assert parsed(home.credentials)["web"]["aws_access_key_id"]
            with running_lab(pki, *arguments, port=port):
                wait_for(lambda: parsed(home.credentials)["web"]["aws_access_key_id"] != first, 70)
            process.send_signal(signal.SIGINT)
            assert process.wait(3) == DONE

    def test_once_says_what_failed_and_goes_on_to_the_next(self, home: Home) -> None:
        home.configure("good")
        home.configure("bad", "--endpoint", "http://127.0.0.1:1", "--attempts", "1")
        stderr = home.pki.refuse("update", "--once", "--profile", "bad", "--profile", "good", status=69)
        assert "127.0.0.1:1" in stderr
        found = parsed(home.credentials)
        assert "good" in found and "bad" not in found
        # The worst counts, in whatever order.
        home.configure("denied", "--role-arn", home.lab.role_arn + "x")
        for names in (["bad", "denied"], ["denied", "bad"]):
            profiles = [word for name in names for word in ("--profile", name)]
            status = home.pki.run("update", "--once", *profiles, status=None).status
            assert status == 77, names

    def test_one_profile_twice_is_refused(self, home: Home) -> None:
        home.configure("web")
        home.pki.refuse("update", "--once", "--profile", "web", "--profile", "web", status=USAGE)

    def test_no_secret_is_said(self, home: Home) -> None:
        result = home.pki.run("update", "--once", "--profile", "web", *home.options(), "--debug")
        keys = parsed(home.credentials)["web"]
        assert keys["aws_secret_access_key"] not in result.stderr and keys["aws_session_token"] not in result.stderr
        assert result.stdout == ""


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_home_that_does_not_exist_is_not_created(home: Home, tmp_path: Path, slash: str) -> None:
    absent = tmp_path / "absent"
    pki = home.pki.with_environment(HOME=f"{absent}{slash}")
    for command in (("configure",), ("update", "--once")):
        said = pki.run(*command, "--profile", "web", *home.options(), status=REFUSED).stderr
        assert f'"{absent}" does not exist' in said and "set HOME" in said
    pki.run("creds", "--cache", *home.options(), status=None)
    assert not absent.exists()
