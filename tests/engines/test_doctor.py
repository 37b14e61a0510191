"""What the doctor finds of engines that keep their promises, and of some that do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engines.test_conformance import Broken, HidesItsWaste, scripted
from thinkctl.engines.doctor import examine
from thinkctl.testing import run
from thinkctl.types import EngineCounters


def found(engine: Any) -> dict[str, tuple[str, str]]:
    return {finding.name: (finding.verdict, finding.seen) for finding in run(examine(engine))}


def test_of_an_engine_that_honours_everything_all_is_shown_by_counting() -> None:
    verdicts = found(scripted(force=8, block=4, waste=1))
    assert {name for name, (verdict, _) in verdicts.items() if verdict == "no"} <= {"constraints", "seeds"}
    assert verdicts["abort when left"][1].startswith(
        "closed after 3 of 200 tokens: it counted 4, 0 still run"
    )
    assert verdicts["continuation"][0] == "yes"


def test_what_cannot_be_done_comes_with_advice() -> None:
    findings = {finding.name: finding for finding in run(examine(scripted()))}
    assert findings["force in flight"].verdict == "no"
    assert "stopping and continuing" in findings["force in flight"].advice


def test_a_bill_that_hides_waste_is_noticed() -> None:
    verdict, seen = found(Broken(HidesItsWaste, waste=1))["abort when left"]
    assert verdict == "yes"
    assert seen.endswith("billed 3")


class Silent(Broken):
    """An engine that does not tell what it computed."""

    async def counters(self) -> EngineCounters:
        return EngineCounters()


def test_what_is_not_told_is_unknown_and_never_guessed() -> None:
    verdicts = found(Silent(lambda stream, _: stream))
    assert verdicts["abort when left"][0] == "unknown"
    assert verdicts["counters"][0] == "no"


def test_the_command_prints_every_finding_and_json_has_them_all(capsys, monkeypatch) -> None:
    from thinkctl.cli import doctor as command

    monkeypatch.setattr(command, "open_engine", lambda spec: scripted())
    monkeypatch.setattr(command, "to_the_end", run)
    command.doctor("vllm:small", as_json=False, quiet=True)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["max_tokens", "yes"] for line in lines)
    assert "what follows" in lines
    command.doctor("vllm:small", as_json=True, quiet=True)
    told = json.loads(capsys.readouterr().out)
    assert {finding["name"] for finding in told["findings"]} >= {"usage in streams", "abort when left", "n"}


class Saying(Broken):
    """A server that says one text, whatever it is asked."""

    text = ""

    async def answer(self, messages: Any, **fields: Any) -> dict[str, Any]:
        return {"choices": [{"message": {"content": self.text}}]}


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ('{"answer": 7}', True),
        ('{\n  "answer"\n \n:\n\n-1916\n\n\n\n', True),
        ('{"answer"   ', True),
        ('{"answer": -', True),
        ("Once upon a time", False),
        ('{"answer": "a story"}', False),
        ('{"answer": 7.5}', False),
        ('{"answer": 7} and they lived', False),
        ("", False),
    ],
)
def test_json_that_was_cut_among_its_blanks_was_held_to_its_schema_all_the_same(
    text: str, held: bool
) -> None:
    engine = Saying(lambda stream, _: stream)
    engine.text = text
    assert found(engine)["constraints"][0] == ("yes" if held else "no")
