"""``thinkctl doctor``: what an engine really honours."""

from __future__ import annotations

import dataclasses
from typing import Final

from thinkctl.cli.opening import open_engine, running, spec_from, to_the_end
from thinkctl.cli.output import print_json
from thinkctl.cli.show import say
from thinkctl.cli.text import one_line
from thinkctl.engines.doctor import Finding, examine

__all__ = ["doctor"]

_NAME: Final = 18
_VERDICT: Final = 9


def doctor(spec: str, *, as_json: bool, quiet: bool) -> None:
    """Examine the engine of a spec and print what was found."""

    async def look() -> tuple[str, tuple[Finding, ...]]:
        engine = open_engine(spec_from(spec))
        async with running(engine, quiet=quiet):
            found = await examine(engine, told=lambda name: say(f"looking at: {name}", quiet=quiet))
            return engine.card.name, found

    model, findings = to_the_end(look())
    if as_json:
        print_json({"model": model, "findings": [dataclasses.asdict(finding) for finding in findings]})
        return
    for line in _lines(model, findings):
        print(line)  # noqa: T201 - this is the command line


def _lines(model: str, findings: tuple[Finding, ...]) -> list[str]:
    lines = [one_line(model)]
    lines += [f"  {one.name:<{_NAME}}{one.verdict:<{_VERDICT}}{one_line(one.seen)}" for one in findings]
    advice = [f"  {one.name}: {one_line(one.advice)}" for one in findings if one.advice]
    return [*lines, "", "what follows", *advice] if advice else lines
