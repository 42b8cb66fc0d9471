# SPDX-License-Identifier: Apache-2.0
"""RFC 8555 §7.5.1 and §8 in docs/conformance.md: the requirements of challenges that no other file proves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from acme import jwk, jws, key
from enrolling import Authority
from test_acme_http01 import account, authority, authorization, begin, decided, site  # noqa: F401

NAME = "proven.example.com"


def test_members_of_an_answer_that_are_not_known_are_ignored(authority: Authority) -> None:  # noqa: F811
    one = account(authority, NAME)
    with site(authority) as own:
        order = one.order(NAME)
        [challenge] = authorization(one, order)["challenges"]
        changed = {"status": "valid", "token": "x", "type": "dns-01", "keyAuthorization": "x", "url": "x", "validated": "x"}
        reply = one.post(challenge["url"], changed)
        assert (reply.status, reply.json) == (200, {**challenge, "status": "processing"})
        assert decided(one, order)["status"] == "invalid"
        assert len(own.asked) == 1


@pytest.mark.parametrize("payload", [b"x", b"[]", b'"{}"', b"\xff"], ids=range(4))
def test_an_answer_that_is_none_is_an_error(authority: Authority, payload: Any) -> None:  # noqa: F811
    one = account(authority, NAME)
    order = one.order(NAME)
    [challenge] = authorization(one, order)["challenges"]
    reply = one.post(challenge["url"], payload)
    assert (reply.status, reply.error) == (400, "malformed")
    assert one.post(challenge["url"]).json == challenge


def test_who_asks_meanwhile_is_told_so_and_when_to_ask_again(authority: Authority) -> None:  # noqa: F811
    one = account(authority, NAME)
    with site(authority, lambda connection, path, own: own.over.wait(60)) as own:
        order = one.order(NAME)
        begin(one, order, own)
        for url in order.json["authorizations"]:
            reply = one.post(url)
            [challenge] = reply.json["challenges"]
            assert (reply.status, reply.json["status"], challenge["status"]) == (200, "pending", "processing")
            assert int(reply.headers["Retry-After"]) >= 1 and "error" not in challenge and "validated" not in challenge
            assert datetime.fromisoformat(reply.json["expires"]) > datetime.now(UTC)
    assert decided(one, order)["challenges"][0]["error"]["type"]


def test_another_key_of_the_account_leaves_its_challenges(authority: Authority) -> None:  # noqa: F811
    one, new = account(authority, NAME), key()
    with site(authority) as own:
        order = one.order(NAME)
        before = authorization(one, order)
        url = one.directory["keyChange"]
        inner = {"account": one.kid, "oldKey": jwk(one.key)}
        assert one.post(url, jws(new, {"alg": "ES256", "jwk": jwk(new), "url": url}, inner)).status == 200
        one.key = new
        assert authorization(one, order) == before and before["status"] == "pending"
        # The key authorisation is that of the new key.
        begin(one, order, own)
        assert decided(one, order)["status"] == "valid"
