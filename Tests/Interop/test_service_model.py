"""The facts of AWS that the code relies on, against botocore's models of the services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest

FACTS = json.loads((Path(__file__).parents[1] / "AWSModelTests/Fixtures/facts.json").read_text())
LOADER = botocore.session.get_session().get_component("data_loader")
SHAPES: dict[str, dict[str, Any]] = LOADER.load_service_model("rolesanywhere", "service-2")["shapes"]
# The shapes of IAM and STS are named with their service in front.
EVERY_SHAPE = SHAPES | {
    f"{service}:{name}": shape
    for service in ("iam", "sts")
    for name, shape in LOADER.load_service_model(service, "service-2")["shapes"].items()
}

# A limit of the model that nothing here relies on. ARNs have one parser.
UNUSED = {"NotificationSettingDetailConfiguredByString"}


def shapes(kind: str) -> list[tuple[dict[str, Any], str]]:
    return [(fact, name) for fact in FACTS[kind] for name in fact["shapes"]]


@pytest.mark.parametrize(("fact", "name"), shapes("limits"), ids=lambda value: value if isinstance(value, str) else "")
def test_limits(fact: dict[str, Any], name: str) -> None:
    assert (fact["minimum"], fact["maximum"]) == (EVERY_SHAPE[name].get("min", 0), EVERY_SHAPE[name]["max"]), fact["name"]


@pytest.mark.parametrize(("fact", "name"), shapes("texts"), ids=lambda value: value if isinstance(value, str) else "")
def test_patterns(fact: dict[str, Any], name: str) -> None:
    assert fact["pattern"] == EVERY_SHAPE[name]["pattern"], fact["name"]


def test_enumerations() -> None:
    assert {name: set(words) for name, words in FACTS["enumerations"].items()} == {
        name: set(shape["enum"]) for name, shape in SHAPES.items() if "enum" in shape
    }


def test_every_limit_of_the_model_is_a_fact() -> None:
    known = {name for _, name in shapes("limits")} | UNUSED
    limited = {name for name, shape in SHAPES.items() if "max" in shape and not name.endswith(("Arn", "Identifier"))}
    assert limited - known == set()


def test_every_fact_names_its_page() -> None:
    for fact in FACTS["limits"] + FACTS["texts"]:
        assert fact["page"] and fact["url"].startswith("https://docs.aws.amazon.com/"), fact["name"]
