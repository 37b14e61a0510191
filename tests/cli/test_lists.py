"""``thinkctl list``: everything that options can name."""

from __future__ import annotations

import json

import pytest

from thinkctl import __version__, registry
from thinkctl.answers import FORMS
from thinkctl.models import catalogue


def test_every_part_is_listed_with_its_parameters(call):
    out = call("list", "strategies").out
    assert "self-consistency(n=8, weight=None, sampling=sampling())\n" in out
    assert "    Ask for n independent samples and let them vote.\n" in out
    assert "cannot-be-overtaken(n)\n" in call("list", "stopping").out


def test_json_gives_names_parameters_and_summaries(call):
    rows = json.loads(call("list", "stopping", "--json").out)
    assert [row["name"] for row in rows] == list(registry.names("stopping"))
    found = next(row for row in rows if row["name"] == "adaptive-consistency")
    assert found["parameters"] == {"confidence": "0.95"}
    assert found["summary"].startswith("Stop once the leading answer")


def test_without_a_kind_all_are_listed(call):
    found = json.loads(call("list", "--json").out)
    assert list(found) == [*registry.KINDS, "engines", "forms", "models"]
    assert [row["name"] for row in found["forms"]] == list(FORMS)
    assert [row["name"] for row in found["models"]] == list(catalogue())
    kinds = ["vllm", "vllm-lockstep", "transformers", "openai", "replay"]
    assert [row["name"] for row in found["engines"]] == [f"{kind}:..." for kind in kinds]
    headings = [line for line in call("list").out.splitlines() if line and not line.startswith(" ")]
    assert headings == list(found)


@pytest.mark.parametrize("kind", ["strategies", "stopping", "selectors", "allocations"])
def test_each_listed_name_can_be_built_or_says_what_it_needs(call, kind):
    built = [
        type(registry.build(row["name"], kind)).__name__
        for row in json.loads(call("list", kind, "--json").out)
        if None not in row["parameters"].values()
    ]
    assert len(built) == len(set(built)) > 3


def test_a_kind_nobody_knows_names_those_there_are(call):
    ran = call("list", "policies")
    assert (ran.code, ran.out) == (2, "")
    assert "known: strategies, stopping, " in ran.err


def test_the_version_is_the_package_s(call):
    assert call("--version").out == f"thinkctl {__version__}\n"


def test_models_is_a_command_of_its_own(call):
    rows = json.loads(call("models", "list", "--json").out)
    assert [row["name"] for row in rows] == list(catalogue())
