"""How long a decision of Adaptive-Consistency takes, beside the authors' own package, on the same votes.

Run: .venv/bin/python tests/benchmarks/stopping.py [FOLDER] [--json]

FOLDER holds the package AdaptiveConsistency 1.0.0 with a numpy that its Dirichlet rule runs with (from 1.24 on it
raises, and then never stops):

    pip install --no-deps --target FOLDER AdaptiveConsistency==1.0.0 numpy==1.23.5 scipy==1.10.1

Without FOLDER only our half is timed. Its numpy is not ours, so it runs in a process of its own, in turn with ours,
several times; each figure is the least over the rounds, since whatever else the machine does only adds. Timed are, for
3 to 40 votes of three answers: the table alone (two counts are known), the table from a list of answers, as the package
takes it, and the whole ``decide(history)`` with its reasons in words; and the package's ``should_stop`` with its Beta
and its Dirichlet rule.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from thinkctl.stopping import AdaptiveConsistency
from thinkctl.stopping.boundary import lead_chance, least_leader
from thinkctl.types import Answer, Finish, History, Problem, Request, Sample

ROUNDS = 5
LISTS = 60
SLOW = 12
"""So many lists for the rule that takes milliseconds."""
SHARES = ((0.8, 0.15, 0.05), (0.6, 0.3, 0.1), (0.45, 0.4, 0.15))
POLICY = AdaptiveConsistency(0.95)
THEIRS = """
import importlib.util, json, sys, time
spec = importlib.util.spec_from_file_location("criteria", sys.argv[1] + "/adaptive_consistency/stopping_criterias.py")
criteria = importlib.util.module_from_spec(spec)
spec.loader.exec_module(criteria)
lists, slow = json.loads(sys.stdin.read())
found = {}
for name, rule, given in (
    ("Beta", criteria.BetaStoppingCriteria(0.95), lists),
    ("Dirichlet", criteria.DirichletStoppingCriteria(0.95), slow),
):
    begun = time.perf_counter()
    said = [rule.should_stop(votes) for votes in given]
    found[name] = [(time.perf_counter() - begun) / len(given), [bool(each["stop"]) for each in said]]
print("\\n" + json.dumps(found))
"""


def votes() -> list[list[str]]:
    """Prefixes of drawn votes, the same every time; three answers are among each, so that Dirichlet is itself."""
    draw = random.Random("votes")
    lists = []
    for place in range(LISTS):
        length = 3 + place % 38
        rest = draw.choices("123", SHARES[place % 3], k=length - 3)
        lists.append(["1", "2", "3", *rest])
    return lists


def history(answers: Sequence[str]) -> History:
    problem = Problem.of("?")
    return History(
        problem,
        samples=tuple(
            Sample(index, Request(problem.messages), finish=Finish.STOP, answer=Answer(key, key, index))
            for index, key in enumerate(answers)
        ),
    )


def counts(answers: Sequence[str]) -> tuple[int, int]:
    leader, runner_up, *_ = [*sorted(Counter(answers).values(), reverse=True), 0, 0]
    return leader, runner_up


def by_table(pair: tuple[int, int]) -> bool:
    return pair[0] >= least_leader(pair[1], 0.95)


def seconds(call: Callable[..., object], given: Sequence[object], times: int) -> float:
    """Return the seconds of one call, the mean over all that is given."""
    begun = time.perf_counter()
    for _ in range(times):
        for one in given:
            call(one)
    return (time.perf_counter() - begun) / (times * len(given))


def theirs(folder: Path, lists: list[list[str]]) -> dict[str, tuple[float, list[bool]]]:
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(folder)!r})\n{THEIRS}",
            str(folder),
        ],
        input=json.dumps([lists, lists[-SLOW:]]),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, tuple[float, list[bool]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    lists = votes()
    pairs, histories = [counts(each) for each in lists], [history(each) for each in lists]
    stops = [POLICY.decide(each).stop for each in histories]  # also fills the tables
    rounds: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        rounds.setdefault("the table, two counts known", []).append(seconds(by_table, pairs, 200))
        rounds.setdefault("the table, from a list of answers", []).append(
            seconds(lambda answers: by_table(counts(answers)), lists, 20)
        )
        rounds.setdefault("decide(history)", []).append(seconds(POLICY.decide, histories, 20))
        for name, (took, said) in theirs(Path(folders[0]).resolve(), lists).items() if folders else ():
            rounds.setdefault(f"package: {name}", []).append(took)
            agree = sum(one == other for one, other in zip(said, stops[-len(said) :], strict=True))
            if agree < len(said):
                print(f"package: {name} decides like ours on {agree} of {len(said)} lists", file=sys.stderr)
    least_leader.cache_clear()
    lead_chance.cache_clear()
    rounds["the table filled for runner-ups of 0 to 20 votes, once"] = [
        seconds(lambda _: [least_leader(votes, 0.95) for votes in range(21)], [None], 1)
    ]
    found = {name: min(each) for name, each in rounds.items()}
    if "--json" in sys.argv:
        print(json.dumps(found))
        return
    packaged = [name for name in found if name.startswith("package")]
    print(f"| | microseconds |{''.join(f' {name} takes |' for name in packaged)}")
    print(f"|---|---|{'---|' * len(packaged)}")
    for name, took in found.items():
        ratios = [
            f" {found[other] / took:,.3g} times |" if name not in packaged else " |" for other in packaged
        ]
        print(f"| {name} | {took * 1e6:,.2f} |{''.join(ratios)}")
    if not folders:
        print("\nThe package is not timed: give the folder that has it (see the top of this file).")


if __name__ == "__main__":
    main()
