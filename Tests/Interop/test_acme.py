# SPDX-License-Identifier: Apache-2.0
"""`pki serve-ca` by ACME (RFC 8555, 8738, 9773): what a client in the test's own hand is answered, also a hostile one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from acme import Client, algorithm, b64, client, jwk, jws, key, renewal_identifier, request_for
from enrolling import Authority, serving_ca
from program import Pki


@pytest.fixture(scope="module")
def authority(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """A server that tests share: each has names of its own."""
    home = tmp_path_factory.mktemp("acme")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    with serving_ca(pki, home / "ca", "--retry-after", "1") as running:
        yield running


def der(certificate: x509.Certificate) -> str:
    return b64(certificate.public_bytes(serialization.Encoding.DER))


class TestAccounts:
    @pytest.mark.parametrize(
        "own",
        [
            ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1()),
            ec.generate_private_key(ec.SECP521R1()), rsa.generate_private_key(65537, 2048),
            ed25519.Ed25519PrivateKey.generate(),
        ],
        ids=algorithm,
    )  # fmt: skip
    def test_keys_of_every_algorithm_get_a_certificate(self, authority: Authority, own: Any) -> None:
        name = f"{algorithm(own).lower()}.example.com"
        account = Client(authority, own).register(authority.token(name))
        certificate = account.certificate(name)
        assert certificate.subject.rfc4514_string() == f"CN={name}"

    def test_the_directory_requires_a_token(self, authority: Authority) -> None:
        someone = Client(authority)
        assert someone.directory["meta"]["externalAccountRequired"] is True
        assert someone.post(someone.directory["newAccount"], {}).error == "externalAccountRequired"

    def test_the_same_key_has_the_same_account(self, authority: Authority) -> None:
        account = client(authority, "same-key")
        for payload in [{}, {"onlyReturnExisting": True}]:
            again = Client(authority, account.key)
            reply = again.post(again.directory["newAccount"], payload)
            assert (reply.status, reply.headers["Location"]) == (200, account.kid)
        # RFC 8555 §7.3.1: it is the account as it is. Another binding, whatever its secret, gives it no other token.
        other = authority.token("other-key")
        url = account.directory["newAccount"]
        for mac_key in (None, b"wrong"):
            again = Client(authority, account.key)
            reply = again.post(url, {"externalAccountBinding": again.binding(other, url, mac_key)})
            assert (reply.status, reply.headers["Location"]) == (200, account.kid)
        assert account.order("other-key").error == "rejectedIdentifier"
        unknown = Client(authority)
        reply = unknown.post(unknown.directory["newAccount"], {"onlyReturnExisting": True})
        assert (reply.status, reply.error) == (400, "accountDoesNotExist")

    def test_contacts_change_and_a_deactivated_account_is_refused(self, authority: Authority) -> None:
        account = client(authority, "leaving")
        assert account.kid
        assert account.post(account.kid, {"contact": ["mailto:new@example.com"]}).json["contact"] == ["mailto:new@example.com"]
        assert account.post(account.kid, {"contact": ["tel:1"]}).error == "unsupportedContact"
        assert account.post(account.kid, {"status": "deactivated"}).json["status"] == "deactivated"
        reply = account.order("leaving")
        assert (reply.status, reply.error) == (401, "unauthorized")
        again = Client(authority, account.key)
        assert again.post(again.directory["newAccount"], {"onlyReturnExisting": True}).status == 401

    def test_another_key_takes_over(self, authority: Authority) -> None:
        account, other = client(authority, "rolled.example.com"), client(authority, "other-account")
        url = account.directory["keyChange"]
        new = key()

        def change(to: Any) -> Any:
            inner = {"account": account.kid, "oldKey": jwk(account.key)}
            return account.post(url, jws(to, {"alg": "ES256", "jwk": jwk(to), "url": url}, inner))

        taken = change(other.key)
        assert (taken.status, taken.headers["Location"]) == (409, other.kid)
        assert change(new).status == 200
        assert account.order("rolled.example.com").error == "malformed"
        account.key = new
        account.certificate("rolled.example.com")

    @pytest.mark.parametrize("how", ["text", "standard-alphabet", "zero"])
    def test_a_key_in_another_alphabet_is_named(self, authority: Authority, how: str) -> None:
        someone, token = Client(authority), authority.token(f"alphabet-{how}")
        # Python's lenient reader passes over letters of the other alphabet.
        known = token.secret.replace("-", "").replace("_", "")
        wrong = {
            "text": token.secret.encode(), "standard-alphabet": base64.b64decode(known[: len(known) // 4 * 4]), "zero": bytes(32),
        }[how]  # fmt: skip
        url = someone.directory["newAccount"]
        reply = someone.post(url, {"externalAccountBinding": someone.binding(token, url, wrong)})
        assert (reply.status, reply.error) == (403, "unauthorized")
        assert ("base64url" in reply.json["detail"]) == (how != "zero")

    def test_a_binding_must_be_for_this_key_and_url(self, authority: Authority) -> None:
        someone, token = Client(authority), authority.token("bound")
        url = someone.directory["newAccount"]
        for binding in [
            Client(authority).binding(token, url),
            someone.binding(token, url + "/other"),
            someone.binding(token, url, alg="ES256"),
            someone.binding(token, url, nonce=someone.nonce()),
            someone.binding(token, url, kid="unknown"),
        ]:
            assert someone.post(url, {"externalAccountBinding": binding}).status in (400, 403)

    @pytest.mark.parametrize("state", ["revoked", "spent"])
    def test_a_token_that_cannot_be_used_makes_no_account(self, authority: Authority, state: str) -> None:
        name = f"{state}-token.example.com"
        token = authority.token(name)
        if state == "revoked":
            authority.run("token", "revoke", token.identifier)
        else:
            Client(authority).register(token).certificate(name)
        late = Client(authority)
        url = late.directory["newAccount"]
        assert late.post(url, {"externalAccountBinding": late.binding(token, url)}).error == "unauthorized"


class TestOrders:
    def test_names_outside_of_the_token_are_rejected(self, authority: Authority) -> None:
        account = client(authority, "web-*", "--san", "dns:{name}.example.com")
        reply = account.order("web-1", "web-2.example.com", "db-1")
        assert reply.error == "rejectedIdentifier"
        assert [one["identifier"]["value"] for one in reply.json["subproblems"]] == ["web-2.example.com", "db-1"]
        assert account.order("*.example.com").error == "rejectedIdentifier"
        both = account.certificate("web-1", "web-1.example.com")
        names = both.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["web-1", "web-1.example.com"]

    def test_an_address_is_a_name(self, authority: Authority) -> None:
        from ipaddress import ip_address

        account = client(authority, "192.0.2.7")
        order = account.order("192.0.2.7").json
        assert order["identifiers"] == [{"type": "ip", "value": "192.0.2.7"}]
        done = account.finalize(order, request_for([], extra=[x509.IPAddress(ip_address("192.0.2.7"))]))
        assert done.json["status"] == "valid", done.body

    def test_authorisations_are_valid_at_birth(self, authority: Authority) -> None:
        account = client(authority, "born-valid")
        order = account.order("born-valid").json
        for url in order["authorizations"]:
            authorization = account.post(url).json
            assert (authorization["status"], authorization["identifier"]["value"]) == ("valid", "born-valid")

    @pytest.mark.parametrize(
        "members",
        [
            {"identifiers": []}, {"identifiers": [{"type": "email", "value": "a@example.com"}]},
            {"identifiers": [{"type": "dns", "value": "a b"}]}, {"notAfter": "2030-01-01T00:00:00Z"}, {"profile": "server"},
            {"replaces": "AAAA.AAAA"},
        ],
        ids=lambda members: str(next(iter(members))),
    )  # fmt: skip
    def test_an_order_that_asks_for_more_is_refused(self, authority: Authority, members: dict[str, Any]) -> None:
        account = client(authority, "modest")
        assert account.order("modest", **members).error in ("malformed", "unsupportedIdentifier")

    def test_the_request_must_have_exactly_the_names_of_the_order(self, authority: Authority) -> None:
        account = client(authority, "exact-*", "--san", "dns:{name}.example.com", "--san", "uri:spiffe://example.com/*")
        order = account.order("exact-1", "exact-1.example.com").json
        both = ["exact-1", "exact-1.example.com"]
        for wrong in [
            request_for(["exact-1"]), request_for([*both, "exact-2"]), request_for(both, common_name="exact-2"),
            request_for(both, extra=[x509.UniformResourceIdentifier("spiffe://example.com/a")]),
            request_for(both, account.key), b"\x30\x00",
        ]:  # fmt: skip
            assert account.finalize(order, wrong).error == "badCSR"
        assert account.finalize(order, request_for(both, common_name="exact-1")).json["status"] == "valid"
        assert account.finalize(order, request_for(both)).error == "orderNotReady"

    def test_orders_of_one_account_at_once(self, authority: Authority) -> None:
        account = client(authority, "fleet-*", "--uses", "16")
        with ThreadPoolExecutor(8) as pool:
            names = [f"fleet-{number}" for number in range(16)]
            made = list(pool.map(lambda name: Client(authority, account.key, account.kid).certificate(name), names))
        assert sorted(one.subject.rfc4514_string() for one in made) == sorted(f"CN={name}" for name in names)
        assert len({one.serial_number for one in made}) == 16
        assert account.kid
        assert len(account.post(f"{account.kid}/orders").json["orders"]) == 16

    def test_one_order_finalised_twice_at_once_gets_one_certificate(self, authority: Authority) -> None:
        account = client(authority, "twice", "--uses", "2", "--replace")
        order = account.order("twice").json
        with ThreadPoolExecutor(2) as pool:
            clients = [Client(authority, account.key, account.kid) for _ in range(2)]
            replies = list(pool.map(lambda one: one.finalize(order, request_for(["twice"])).status, clients))
        assert replies.count(200) == 1
        assert len([row for row in authority.rows() if row["name"] == "twice"]) == 1

    def test_a_request_waits_until_a_person_approves(self, authority: Authority) -> None:
        account = client(authority, "careful", "--approve")
        order = account.order("careful")
        waiting = account.finalize(order.json, request_for(["careful"]))
        assert (waiting.json["status"], waiting.headers["Retry-After"]) == ("processing", "1")
        assert account.post(order.headers["Location"]).json["status"] == "processing"
        rows = authority.pki.run("pending", "--format", "json", "--directory", authority.directory).json
        number = str(next(row for row in rows if row["name"] == "careful")["request"])
        authority.run("approve", number)
        assert account.post(order.headers["Location"]).json["status"] == "valid"

    def test_a_denied_request_makes_the_order_invalid(self, authority: Authority) -> None:
        account = client(authority, "denied", "--approve")
        order = account.order("denied")
        account.finalize(order.json, request_for(["denied"]))
        rows = authority.pki.run("pending", "--format", "json", "--directory", authority.directory).json
        authority.run("deny", str(next(row for row in rows if row["name"] == "denied")["request"]))
        after = account.post(order.headers["Location"]).json
        assert (after["status"], after["error"]["type"].rsplit(":", 1)[1]) == ("invalid", "unauthorized")

    def test_accounts_and_orders_outlive_the_server(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        with serving_ca(pki, tmp_path / "ca") as first:
            account = client(first, "lasting.example.com")
            order = account.order("lasting.example.com").json
            port = first.port
        with serving_ca(pki, tmp_path / "ca", port=port) as second:
            account.authority = second
            if not second.servers:
                # Nonces do not outlive one server: the client asks again, as it must.
                assert account.finalize(order, request_for(["lasting.example.com"])).error == "badNonce"
            assert account.finalize(order, request_for(["lasting.example.com"])).json["status"] == "valid"


class TestRenewal:
    def test_an_account_renews_what_it_holds_by_the_spent_token(self, authority: Authority) -> None:
        account = client(authority, "held.example.com")
        own = rsa.generate_private_key(65537, 2048)
        first = account.certificate("held.example.com", own=own)
        # The same key, and so byte for byte the same request.
        second = account.certificate("held.example.com", own=own, replaces=renewal_identifier(first))
        assert second.serial_number != first.serial_number
        reply = account.order("held.example.com", replaces=renewal_identifier(first))
        assert (reply.status, reply.error) == (409, "alreadyReplaced")
        token = authority.run("token", "list")
        assert "held.example.com" in token

    def test_another_account_does_not(self, authority: Authority) -> None:
        holder, other = client(authority, "taken.example.com"), client(authority, "taken.example.com")
        first = holder.certificate("taken.example.com")
        order = other.order("taken.example.com").json
        assert other.finalize(order, request_for(["taken.example.com"])).error == "rejectedIdentifier"
        assert other.order("taken.example.com", replaces=renewal_identifier(first)).error == "malformed"

    def test_not_after_a_revocation_and_not_by_a_revoked_token(self, authority: Authority) -> None:
        token = authority.token("withdrawn.example.com")
        account = Client(authority).register(token)
        account.certificate("withdrawn.example.com")
        order = account.order("withdrawn.example.com").json
        authority.run("revoke", "withdrawn.example.com")
        assert account.finalize(order, request_for(["withdrawn.example.com"])).error == "unauthorized"

        token = authority.token("stopped.example.com")
        account = Client(authority).register(token)
        account.certificate("stopped.example.com")
        order = account.order("stopped.example.com").json
        authority.run("token", "revoke", token.identifier)
        assert account.finalize(order, request_for(["stopped.example.com"])).error == "unauthorized"
        assert account.order("stopped.example.com").error == "unauthorized"

    def test_the_window_is_between_half_and_two_thirds_of_the_life(self, authority: Authority) -> None:
        account = client(authority, "spread-*", "--uses", "4")
        starts = set()
        for number in range(4):
            certificate = account.certificate(f"spread-{number}")
            reply = account.send("GET", f"{account.directory['renewalInfo']}/{renewal_identifier(certificate)}")
            assert reply.status == 200 and int(reply.headers["Retry-After"]) >= 60
            window = {name: datetime.fromisoformat(text) for name, text in reply.json["suggestedWindow"].items()}
            begin, life = certificate.not_valid_before_utc, certificate.not_valid_after_utc - certificate.not_valid_before_utc
            assert 1 / 2 - 0.01 <= (window["start"] - begin) / life < (window["end"] - begin) / life <= 2 / 3 + 0.01
            starts.add(window["start"])
        assert len(starts) > 1
        for unknown in ["AAAA.AAAA", "x", f"{renewal_identifier(certificate)[:-2]}AA"]:
            assert account.send("GET", f"{account.directory['renewalInfo']}/{unknown}").status == 404


class TestRevocation:
    def test_by_the_account_and_by_the_certificates_key(self, authority: Authority) -> None:
        account, own = client(authority, "gone-*", "--uses", "2"), key()
        url = account.directory["revokeCert"]
        first, second = account.certificate("gone-1"), account.certificate("gone-2", own=own)
        assert account.post(url, {"certificate": der(first), "reason": 6}).error == "badRevocationReason"
        assert account.post(url, {"certificate": der(first), "reason": 4}).status == 200
        assert account.post(url, {"certificate": der(first)}).error == "alreadyRevoked"
        assert Client(authority).post(url, {"certificate": der(second)}).error == "unauthorized"
        assert Client(authority, own).post(url, {"certificate": der(second), "reason": 1}).status == 200
        rows = {row["name"]: row["status"] for row in authority.rows()}
        assert (rows["gone-1"], rows["gone-2"]) == ("revoked", "revoked")

    def test_not_by_another_account(self, authority: Authority) -> None:
        account, other = client(authority, "mine"), client(authority, "theirs")
        certificate = account.certificate("mine")
        assert other.post(other.directory["revokeCert"], {"certificate": der(certificate)}).status == 404


class TestAbuse:
    def test_what_belongs_to_another_account_is_not_there(self, authority: Authority) -> None:
        owner, other = client(authority, "owner-*", "--uses", "2"), client(authority, "intruder")
        done = owner.order("owner-1")
        owner.finalize(done.json, request_for(["owner-1"]))
        certificate = owner.post(done.headers["Location"]).json["certificate"]
        ready = owner.order("owner-2")
        assert owner.kid
        for url in [done.headers["Location"], *done.json["authorizations"], certificate, owner.kid, f"{owner.kid}/orders"]:
            assert other.post(url).status == 404
        assert other.finalize(ready.json, request_for(["owner-2"])).status == 404
        # Another's name with one's own key.
        stolen = Client(authority, other.key, owner.kid)
        assert stolen.order("owner-2").error == "malformed"
        assert owner.finalize(ready.json, request_for(["owner-2"])).json["status"] == "valid"

    @pytest.mark.directory("each server counts for itself")
    def test_an_address_that_guesses_is_slowed_down(self, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "ca")
        with serving_ca(pki, tmp_path / "ca") as own:
            someone, token = Client(own), own.token("guessed")
            url = someone.directory["newAccount"]
            for number in range(40):
                reply = someone.post(url, {"externalAccountBinding": someone.binding(token, url, bytes([number] * 32))})
                if reply.error == "rateLimited":
                    break
            assert (reply.status, int(reply.headers["Retry-After"]) >= 1) == (429, True)

    def test_only_a_request_for_this_host_is_taken(self, authority: Authority) -> None:
        account = client(authority, "hosted")
        assert account.kid
        other = account.kid.replace("localhost", "127.0.0.1")
        for url in [other, account.kid + "?a=b", account.kid.replace("https", "http")]:
            assert account.post(account.kid, url=url).error == "unauthorized"

    def test_a_nonce_is_good_for_one_request(self, authority: Authority) -> None:
        account = client(authority, "replayed")
        assert account.kid
        nonce = account.nonce()
        assert account.post(account.kid, nonce=nonce).status == 200
        for wrong in [nonce, nonce[:-1] + ("A" if nonce[-1] != "A" else "B"), "", "x" * 32, None]:
            reply = account.post(account.kid, nonce=wrong)
            assert reply.error == "badNonce"
            assert reply.headers["Replay-Nonce"] != nonce

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"alg": "none"}, "badSignatureAlgorithm"), ({"alg": "HS256"}, "badSignatureAlgorithm"),
            ({"alg": "RS256"}, "malformed"), ({"alg": "ES384"}, "malformed"), ({"alg": "ES256K"}, "badSignatureAlgorithm"),
            ({"alg": None}, "malformed"), ({"url": "https://localhost/acme/new-order"}, "unauthorized"), ({"url": None}, "malformed"),
            ({"crit": ["exp"]}, "malformed"), ({"b64": False}, "malformed"), ({"kid": None}, "malformed"),
            ({"kid": "https://example.com/acme/account/1"}, "malformed"),
        ],
        ids=str,
    )  # fmt: skip
    def test_a_header_that_is_not_as_it_must_be(self, authority: Authority, changes: dict[str, Any], error: str) -> None:
        account = client(authority, "header")
        assert account.kid
        assert account.post(account.kid, **changes).error == error

    def test_a_public_key_is_no_shared_secret(self, authority: Authority) -> None:
        account = client(authority, "confused")
        assert account.kid
        public = account.key.public_key()
        for encoding in [
            public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint),
        ]:
            assert account.post(account.kid, sign_by=encoding, alg="HS256").error == "badSignatureAlgorithm"

    def test_what_is_not_posted_is_no_way_around_the_signature(self, authority: Authority) -> None:
        account = client(authority, "unsigned")
        order = account.order("unsigned")
        assert account.kid
        for url in [account.kid, order.headers["Location"], *order.json["authorizations"], order.json["finalize"]]:
            assert (account.send("GET", url).status, account.send("GET", url).error) == (405, "malformed")
        assert (account.post(account.base + "/acme/new-authz").status, account.send("PUT", account.kid, b"").status) == (404, 405)

    def test_jwk_and_kid_each_have_their_place(self, authority: Authority) -> None:
        account = client(authority, "places")
        both = account.post(account.directory["newOrder"], {}, jwk=jwk(account.key))
        assert both.error == "malformed"
        assert account.post(account.directory["newAccount"], {}).error == "malformed"
        keyed = Client(authority, account.key)
        reply = keyed.order("places")
        # A token is needed for an account, and for nothing else: an order is never asked for one.
        assert reply.error == "malformed"
        missing = Client(authority, account.key, f"{account.kid}x")
        assert missing.order("places").error == "accountDoesNotExist"

    @pytest.mark.parametrize(
        "change",
        [
            lambda sent: {**sent, "header": {"kid": "x"}}, lambda sent: {**sent, "payload": sent["payload"] + "="},
            lambda sent: {**sent, "payload": b64(b'{"contact":[]}')}, lambda sent: {**sent, "signature": sent["signature"][:-4]},
            lambda sent: {**sent, "signature": ""}, lambda sent: {"payload": sent["payload"]}, lambda sent: [sent],
            lambda sent: {"signatures": [sent]}, lambda sent: {**sent, "protected": 1},
        ],
        ids=range(9),
    )  # fmt: skip
    def test_a_jws_that_is_not_as_it_must_be(self, authority: Authority, change: Callable[[dict[str, str]], object]) -> None:
        account = client(authority, "shape")
        assert account.kid
        sent = jws(account.key, account.header(account.kid), {"contact": ["mailto:a@example.com"]})
        assert account.send("POST", account.kid, json.dumps(change(sent)).encode()).error == "malformed"

    def test_a_member_that_appears_twice_is_refused(self, authority: Authority) -> None:
        account = client(authority, "doubled")
        assert account.kid
        text = json.dumps(jws(account.key, account.header(account.kid), None))
        assert account.send("POST", account.kid, f'{{"payload": "", {text[1:]}'.encode()).error == "malformed"

    @pytest.mark.parametrize(
        "own",
        [
            {"kty": "EC", "crv": "P-256", "x": b64(bytes(32)), "y": b64(bytes(32))},
            {"kty": "EC", "crv": "P-384", "x": b64(bytes(32)), "y": b64(bytes(32))},
            {"kty": "RSA", "n": b64(b"\xff" * 128), "e": "AQAB"}, {"kty": "RSA", "n": b64(b"\xff" * 256), "e": "AQ"},
            {"kty": "RSA", "n": b64(b"\xff" * 1024), "e": "AQAB"}, {"kty": "oct", "k": "AAAA"},
        ],
        ids=range(6),
    )  # fmt: skip
    def test_a_key_that_is_none_is_refused(self, authority: Authority, own: dict[str, str]) -> None:
        someone = Client(authority)
        reply = someone.post(someone.directory["newAccount"], {}, jwk=own)
        assert (reply.status, reply.error) == (400, "badPublicKey")

    def test_other_content_and_oversize_bodies_are_refused(self, authority: Authority) -> None:
        account = client(authority, "large")
        assert account.kid
        sent = json.dumps(jws(account.key, account.header(account.kid), None)).encode()
        assert account.send("POST", account.kid, sent, "application/json").status == 415
        assert account.send("POST", account.kid, b"{" + b" " * 70_000).status == 413
        assert account.order(*[f"large-{number}" for number in range(101)]).error == "malformed"


def test_a_ca_on_hold_is_a_fault_of_the_server(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    pki.run("issue-intermediate", "issuing", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca", "--issuer", "issuing") as running:
        account = client(running, "web-1.example.com")
        order = account.order("web-1.example.com").json
        running.run("revoke", "issuing", "--hold")
        reply = account.finalize(order, request_for(["web-1.example.com"]))
        assert (reply.status, reply.error) == (503, "serverInternal") and int(reply.headers["Retry-After"]) > 0
        running.run("revoke", "issuing", "--release")
        assert account.finalize(order, request_for(["web-1.example.com"])).json["status"] == "valid"
