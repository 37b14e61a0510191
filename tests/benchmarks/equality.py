"""How often ``thinkctl.answers.equal`` is right about a labelled pair of answers, beside math-verify alone.

Run: .venv/bin/python tests/benchmarks/equality.py [--json | --wrong]

The pairs are those of tests/answers/corpus. A pair that is labelled unparsable is not equal: there it is right not to
say "equal". math-verify is asked as its documentation shows, with its own time limits, in the order of the pair
(the first is the reference) and both ways; the answers stand in a box or between dollar signs. ``--wrong`` lists what
thinkctl has wrong, ``--json`` prints the rows of thinkctl and of the best other way for a program.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from thinkctl.answers import equal

math_verify: Any = importlib.import_module("math_verify")
CORPUS = Path(__file__).resolve().parents[1] / "answers" / "corpus" / "equality.jsonl"


def parsed(text: str, wrapping: str) -> Any:
    return math_verify.parse(wrapping % text, parsing_timeout=2)


def by_math_verify(wrapping: str, *, both_ways: bool) -> Callable[[str, str], bool]:
    def says_equal(one: str, other: str) -> bool:
        left, right = parsed(one, wrapping), parsed(other, wrapping)
        forth = math_verify.verify(left, right, timeout_seconds=2)
        return bool(forth or (both_ways and math_verify.verify(right, left, timeout_seconds=2)))

    return says_equal


WAYS: dict[str, Callable[[str, str], bool]] = {
    "math-verify, boxed": by_math_verify(r"\boxed{%s}", both_ways=False),
    "math-verify, boxed, both ways": by_math_verify(r"\boxed{%s}", both_ways=True),
    "math-verify, dollars": by_math_verify("$%s$", both_ways=False),
    "math-verify, dollars, both ways": by_math_verify("$%s$", both_ways=True),
    "thinkctl": lambda one, other: bool(equal(one, other, seconds=5)),
}


def row(name: str, says_equal: Callable[[str, str], bool], pairs: Iterable[dict[str, str]]) -> dict[str, Any]:
    begun, verdicts = time.perf_counter(), [(pair, says_equal(pair["one"], pair["other"])) for pair in pairs]
    wrong = [(pair, said) for pair, said in verdicts if said != (pair["label"] == "equal")]
    return {
        "name": name,
        "pairs": len(verdicts),
        "right": len(verdicts) - len(wrong),
        "wrongly equal": sum(said for _, said in wrong),
        "missed": sum(not said for _, said in wrong),
        "milliseconds a pair": round(1000 * (time.perf_counter() - begun) / len(verdicts), 1),
        "wrong": [f"{pair['label']}: {pair['one']} ~ {pair['other']}" for pair, _ in wrong],
    }


def main() -> None:
    logging.disable(logging.CRITICAL)
    pairs = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    names = WAYS if "--json" not in sys.argv else ("math-verify, dollars, both ways", "thinkctl")
    rows = [row(name, WAYS[name], pairs) for name in names]
    if "--json" in sys.argv:
        print(json.dumps(rows))
        return
    print(f"{len(pairs)} pairs\n\n| | accuracy | wrongly equal | missed | ms a pair |\n|---|---|---|---|---|")
    for found in rows:
        share = found["right"] / found["pairs"]
        print(
            f"| {found['name']} | {share:.1%} | {found['wrongly equal']} | {found['missed']} "
            f"| {found['milliseconds a pair']} |"
        )
    if "--wrong" in sys.argv:
        print("\n" + "\n".join(rows[-1]["wrong"]))


if __name__ == "__main__":
    main()
