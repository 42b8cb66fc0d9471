# SPDX-License-Identifier: Apache-2.0
"""`pki serve` while the service fails, while files are replaced under it, and while many ask at once."""

from __future__ import annotations

import re
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from program import CHECK_FAILED, UNAVAILABLE, Pki, running_lab
from serving import ROLES_PATH, TOKEN, Served, ask, configure, decisions, serial, serials, serving, wait_for

ROLE = "lab-role"


def test_fifty_at_once_before_there_is_anything_make_one_session(pki: Pki, ca: Path) -> None:
    """aws_signing_helper makes fifty. Twenty-five ask each of the two endpoints."""
    with running_lab(pki, "--directory", ca, "--delay", "1") as lab:
        configure(pki, lab, ca)
        with serving(pki) as served:
            token = served.session_token()

            def one(number: int):
                if number % 2:
                    return served.container()
                return served.metadata(ROLES_PATH + ROLE, token)

            with ThreadPoolExecutor(50) as pool:
                answers = list(pool.map(one, range(50)))
            assert Counter(answer.status for answer in answers) == {200: 50}
            assert len({answer.json["AccessKeyId"] for answer in answers}) == 1
        assert [one["status"] for one in decisions(pki, lab)] == [201]


def test_a_wait_for_one_profile_holds_up_nobody_else(pki: Pki, ca: Path) -> None:
    """botocore gives a metadata service one second."""
    with running_lab(pki, "--directory", ca) as quick, running_lab(pki, "--directory", ca, "--delay", "4") as slow:
        configure(pki, quick, ca, "web")
        configure(pki, slow, ca, "slow")
        with serving(pki, profiles=("web", "slow")) as served:
            wait_for(lambda: served.container("web").status == 200)
            with ThreadPoolExecutor(20) as pool:
                waiting = [pool.submit(served.container, "slow") for _ in range(20)]
                time.sleep(0.2)
                for _ in range(20):
                    assert served.metadata(ROLES_PATH + ROLE).status == 200
                assert not any(one.done() for one in waiting), "they wait for what is under way"
                assert {one.result().status for one in waiting} == {200}


def test_a_request_waits_ten_seconds_and_no_longer(pki: Pki, ca: Path) -> None:
    """For what is under way; then there is a reason, not a connection that hangs."""
    with running_lab(pki, "--directory", ca, "--delay", "30") as lab:
        configure(pki, lab, ca)
        with serving(pki) as served:
            start = time.monotonic()
            assert_explains(served, served.container())
            assert 9 < time.monotonic() - start < 20


def test_a_service_that_hangs_does_not_hold_up_the_end(pki: Pki, ca: Path) -> None:
    """An attempt may take 20 seconds, and there are four: systemd would kill before that is over."""
    with running_lab(pki, "--directory", ca, "--delay", "30") as lab:
        configure(pki, lab, ca)
        with serving(pki) as served:
            # It has begun to ask: that is the first thing it does.
            assert served.get("/healthz").status == 503
            time.sleep(0.3)
            start = time.monotonic()
            assert served.stop() == 0
            assert time.monotonic() - start < 9


class TestTheServiceFails:
    def test_what_is_valid_is_served_until_it_expires(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        """And nothing after that; and all is well by itself once the service is back."""
        state = tmp_path / "lab.sqlite"
        with running_lab(pki, "--directory", ca, "--expires-in", "8", "--state", state) as lab:
            configure(pki, lab, ca, "web", "--attempts", "1")
            port = lab.port
            with serving(pki) as served:
                wait_for(lambda: served.container().status == 200)
                first = served.container().json
                lab.stop(signal.SIGKILL)
                expires = datetime.fromisoformat(served.container().json["Expiration"]).timestamp()
                assert expires > time.time() + 2, "there is something to be seen"
                answers = 0
                while time.time() < expires - 0.3:
                    for answer in (served.container(), served.metadata(ROLES_PATH + ROLE)):
                        assert answer.status == 200
                        assert answer.json["AccessKeyId"] and answer.json["SecretAccessKey"] and answer.json["Token"]
                        assert datetime.fromisoformat(answer.json["Expiration"]) > datetime.now(UTC)
                        answers += 1
                    assert served.get("/healthz").status == 200
                    time.sleep(0.05)
                assert answers > 20
                while time.time() < expires + 0.2:
                    time.sleep(0.05)
                for _ in range(10):
                    for path in (ROLES_PATH, ROLES_PATH + ROLE):
                        assert_explains(served, served.metadata(path))
                    assert_explains(served, served.container())
                health = served.get("/healthz")
                assert health.status == 503 and "web" in health.text
                assert any("trying again" in line for line in served.said)

                with running_lab(pki, "--directory", ca, "--expires-in", "300", "--state", state, port=port):
                    # The pause between attempts has grown meanwhile.
                    wait_for(lambda: served.container().status == 200, 40, served.log)
                    assert served.get("/healthz").status == 200
                    assert served.container().json["AccessKeyId"] != first["AccessKeyId"]

    def test_a_service_that_is_down_at_the_start(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        state = tmp_path / "lab.sqlite"
        with running_lab(pki, "--directory", ca, "--state", state) as lab:
            configure(pki, lab, ca, "web", "--attempts", "1")
        with serving(pki) as served:
            assert_explains(served, served.container())
            assert_explains(served, served.metadata(ROLES_PATH))
            assert served.get("/healthz").status == 503
            check = pki.run("serve", "--check", "--port", str(served.port), status=CHECK_FAILED)
            assert check.stdout.startswith("web: no valid credentials: ")
            assert "pki_refresh_failures_total" in served.get("/metrics").text
            with running_lab(pki, "--directory", ca, "--state", state, port=lab.port):
                wait_for(lambda: served.get("/healthz").status == 200, 20, served.log)
                assert served.container().status == 200
                assert pki.run("serve", "--check", "--listen", f"0.0.0.0:{served.port}").stdout == "ok\n"
        pki.run("serve", "--check", "--port", str(served.port), status=UNAVAILABLE)

    def test_a_refusal_is_explained_and_not_asked_for_all_the_time(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        """A certificate of another CA: the service answers 403, which many requests do not multiply."""
        other = tmp_path / "other"
        pki.run("init-ca", "--directory", other)
        pki.run("issue-client", "--directory", other)
        with running_lab(pki, "--directory", ca) as lab:
            configure(pki, lab, other)
            with serving(pki) as served:
                for _ in range(200):
                    assert_explains(served, served.container())
            log = decisions(pki, lab)
            assert 1 <= len(log) <= 4 and {one["status"] for one in log} == {403}

    def test_an_unhealthy_profile_does_not_hide_the_others(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca) as lab:
            configure(pki, lab, ca, "web")
            configure(pki, lab, ca, "dead", "--endpoint", "http://127.0.0.1:9", "--attempts", "1")
            with serving(pki, profiles=("web", "dead")) as served:
                wait_for(lambda: served.container("web").status == 200)
                assert_explains(served, served.container("dead"), "dead")
                health = served.get("/healthz")
                assert health.status == 503
                assert [line.split(":")[0] for line in health.text.splitlines()] == ["dead"]

    def test_an_identity_that_cannot_be_read_at_the_start_is_refused(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca) as lab:
            configure(pki, lab, ca)
            (ca / "client-key.pem").unlink()
            assert "client-key.pem" in pki.refuse("serve", "--profile", "web", "--listen", "0")

    def test_the_helpers_fault_of_an_empty_answer(self, pki: Pki, ca: Path) -> None:
        """A service that throttles, fails and comes back: at no time an answer of 200 without keys."""
        with running_lab(pki, "--directory", ca, "--fail-next", "3", "--fail-status", "500") as lab:
            configure(pki, lab, ca, "web", "--attempts", "1")
            with serving(pki) as served:
                seen = Counter()

                def recovered() -> bool:
                    answer = served.container()
                    seen[answer.status] += 1
                    assert answer.status in (200, 503)
                    return answer.status == 200 and bool(answer.json["SecretAccessKey"])

                wait_for(recovered, 25, served.log)
                assert seen[503]


def assert_explains(served: Served, answer, profile: str = "web") -> None:
    """A 503 in JSON that says whose credentials are not there, and why."""
    assert answer.status == 503, (answer, served.said)
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"code", "message"} and answer.json["code"]
    before, _, reason = answer.json["message"].partition(f"{profile}: ")
    assert before and len(reason) > 10, answer.json


class TestRotation:
    def test_certificates_change_and_no_request_is_lost(self, pki: Pki, ca: Path) -> None:
        """Plain copies over the old files, the key last: between them there is no pair, and half a file at times."""
        kinds = ["ec-p256", "rsa-2048", "ec-p384", "ec-p256"]
        for number, kind in enumerate(kinds):
            pki.run("issue-client", "--directory", ca, "--name", f"next-{number}", "--key-type", kind)
        with running_lab(pki, "--directory", ca, "--expires-in", "6") as lab:
            configure(pki, lab, ca)
            with serving(pki) as served:
                wait_for(lambda: served.container().status == 200)
                with asking(served) as statuses:
                    for number in range(len(kinds)):
                        shutil.copyfile(ca / f"next-{number}-cert.pem", ca / "client-cert.pem")
                        time.sleep(0.3)
                        shutil.copyfile(ca / f"next-{number}-key.pem", ca / "client-key.pem")
                        wanted = serial(ca / f"next-{number}-cert.pem")
                        wait_for(lambda wanted=wanted: wanted in serials(decisions(pki, lab)), 12, served.log)
                    wait_for(lambda: statuses.total() > 1000, 20)
                assert set(statuses) == {200}, statuses
                log = decisions(pki, lab)
            assert {one["status"] for one in log} == {201}
            seen = list(dict.fromkeys(serials(log)))
            assert seen[1:] == [serial(ca / f"next-{number}-cert.pem") for number in range(len(kinds))]

    def test_half_a_rotation_keeps_the_old_identity_and_is_said_once(self, pki: Pki, ca: Path) -> None:
        old = serial(ca / "client-cert.pem")
        pki.run("issue-client", "--directory", ca, "--name", "next")
        with running_lab(pki, "--directory", ca, "--expires-in", "4") as lab:
            configure(pki, lab, ca)
            with serving(pki) as served:
                wait_for(lambda: served.container().status == 200)
                whole = (ca / "next-cert.pem").read_bytes()
                for half in (whole, whole[: len(whole) // 2]):
                    (ca / "client-cert.pem").write_bytes(half)
                    before = len(decisions(pki, lab))
                    with asking(served) as statuses:
                        # With each session and every few seconds the files are looked at.
                        wait_for(lambda before=before: len(decisions(pki, lab)) >= before + 2, 15, served.log)
                    assert set(statuses) == {200}
                assert set(serials(decisions(pki, lab))) == {old}
                warnings = [line for line in served.said if line.startswith("pki: warning: ")]
                assert len(warnings) == 2, "one for each way in which the files are wrong"
                # The other half comes: the warning was no dead end.
                (ca / "client-cert.pem").write_bytes(whole)
                shutil.copyfile(ca / "next-key.pem", ca / "client-key.pem")
                served.wait_said("certificate was replaced", 8)
                wait_for(lambda: serials(decisions(pki, lab))[-1] == serial(ca / "next-cert.pem"), 8)

    def test_files_that_are_gone_keep_the_old_identity(self, pki: Pki, ca: Path) -> None:
        """aws_signing_helper ends then."""
        with running_lab(pki, "--directory", ca, "--expires-in", "4") as lab:
            configure(pki, lab, ca)
            with serving(pki) as served:
                wait_for(lambda: served.container().status == 200)
                for name in ("client-cert.pem", "client-key.pem"):
                    (ca / name).unlink()
                before = len(decisions(pki, lab))
                wait_for(lambda: len(decisions(pki, lab)) >= before + 2, 15, served.log)
                assert served.container().status == 200

    def test_a_key_that_others_may_read_is_not_taken_up(self, pki: Pki, ca: Path) -> None:
        pki.run("issue-client", "--directory", ca, "--name", "next")
        old = serial(ca / "client-cert.pem")
        with running_lab(pki, "--directory", ca, "--expires-in", "4") as lab:
            configure(pki, lab, ca)
            with serving(pki) as served:
                wait_for(lambda: served.container().status == 200)
                (ca / "client-key.pem").chmod(0o644)
                shutil.copyfile(ca / "next-key.pem", ca / "client-key.pem")
                shutil.copyfile(ca / "next-cert.pem", ca / "client-cert.pem")
                served.wait_said("warning: .*client-key.pem", 8)
                before = len(decisions(pki, lab))
                wait_for(lambda: len(decisions(pki, lab)) > before, 8, served.log)
                assert set(serials(decisions(pki, lab))) == {old}

    def test_a_profile_that_was_configured_anew_is_taken_up(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca) as lab:
            configure(pki, lab, ca)
            with serving(pki) as served:
                wait_for(lambda: served.container().status == 200)
                assert seconds_left(served) > 3000
                configure(pki, lab, ca, "web", "--session-duration", "900")
                wait_for(lambda: seconds_left(served) <= 900, 8, served.log)
                # A section that is broken leaves what is there.
                config = pki.home / ".aws/config"
                config.write_text(config.read_text().replace("pki_role_arn = arn:", "pki_role_arn = urn:"))
                served.wait_said("warning: web: ", 8)
                assert served.container().status == 200
                # Whole again: nothing has to be started anew.
                configure(pki, lab, ca, "web", "--session-duration", "1800")
                wait_for(lambda: 900 < seconds_left(served) <= 1800, 8, served.log)

    def test_sighup_asks_the_service_anew(self, pki: Pki, ca: Path) -> None:
        """Nothing has changed that the server could have seen by itself."""
        with running_lab(pki, "--directory", ca) as lab:
            configure(pki, lab, ca)
            with serving(pki) as served:
                wait_for(lambda: served.container().status == 200)
                first = served.container().json["AccessKeyId"]
                served.process.send_signal(signal.SIGHUP)
                served.wait_said("read again", 5)
                wait_for(lambda: served.container().json["AccessKeyId"] != first, 8, served.log)
            assert len(decisions(pki, lab)) == 2


def test_a_machine_whose_clock_is_behind(pki: Pki, ca: Path) -> None:
    """The keys are replaced by the service's clock: not at every look, and not too late."""
    with running_lab(pki, "--directory", ca, "--clock-offset", "4000", "--expires-in", "8") as lab:
        configure(pki, lab, ca)
        with serving(pki) as served:
            wait_for(lambda: served.get("/healthz").status == 200)
            assert 0 < int(re.search(r"pki_credentials_expiry_seconds{.*} (\d+)", served.get("/metrics").text)[1]) <= 8
            first = served.container().json["AccessKeyId"]
            wait_for(lambda: served.container().json["AccessKeyId"] != first, 8, served.log)
            assert served.get("/healthz").status == 200
        granted = [one for one in decisions(pki, lab) if one["status"] == 201]
        assert 2 <= len(granted) <= 4


def seconds_left(served: Served) -> float:
    keys = served.container().json
    return (datetime.fromisoformat(keys["Expiration"]) - datetime.now(UTC)).total_seconds()


@contextmanager
def asking(served: Served) -> Iterator[Counter]:
    """Two clients that ask without a pause for as long as the block runs; counts what they get, by status."""
    statuses: Counter = Counter()
    done = threading.Event()
    lock = threading.Lock()

    def client(metadata: bool) -> None:
        with closing(served.connect()) as connection:
            while not done.wait(0.01):
                if metadata:
                    answer = ask(connection, "GET", ROLES_PATH + ROLE, {TOKEN: token})
                else:
                    answer = ask(connection, "GET", "/credentials/web", {"Authorization": served.token})
                is_whole = answer.status == 200 and bool(answer.json["SecretAccessKey"])
                with lock:
                    statuses[answer.status if is_whole else answer.text] += 1

    token = served.session_token(600)
    with ThreadPoolExecutor(2) as pool:
        clients = [pool.submit(client, metadata) for metadata in (True, False)]
        try:
            yield statuses
        finally:
            done.set()
        for one in clients:
            one.result()
