"""Kinds of policies beside each other on recorded pools: a page with tables and figures, made by one command.

    python -m thinkctl.evals.comparison POOL... --out docs

Every threshold is chosen on one half of the questions and reported on the other. The page holds figures only: nothing
of what was asked or answered gets into it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np

from thinkctl.evals.allocating import Share, allocate
from thinkctl.evals.knobs import KNOBS
from thinkctl.evals.loading import open_table
from thinkctl.evals.outcomes import Case
from thinkctl.evals.replaying import Row, replay
from thinkctl.evals.table import Ints, VoteTable
from thinkctl.protocols import StoppingPolicy
from thinkctl.stopping import AdaptiveConsistency, CannotBeOvertaken, EValue, FlipProbability, Margin, Window

__all__ = ["AGREEMENT", "FAMILIES", "Chosen", "Comparison", "compare", "halves", "main"]

AGREEMENT: Final = 0.99
"""A threshold is chosen for its family that takes the fewest samples with at least this agreement."""
FULL: Final = "all samples"
_BUDGETS: Final = (
    1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90,
)  # fmt: skip
"""Samples of a question that an allocation shares."""
_LARGEST_GRID: Final = 40

Make = Callable[[float], StoppingPolicy]
_POLICIES: Final[Mapping[str, tuple[str, Make]]] = {
    "window": ("window", lambda size: Window(int(size))),
    "margin": ("margin", lambda votes: Margin(int(votes))),
    "adaptive consistency": ("adaptive-consistency", AdaptiveConsistency),
    "e-value": ("e-value", EValue),
}
FAMILIES: Final = ("fixed", *_POLICIES, "cannot be overtaken", "flip probability")
"""What is compared, in the order of the tables."""


@final
@dataclass(frozen=True, slots=True)
class Chosen:
    """The setting of a family that was chosen on the tuning half, and what it does on either half.

    ``reached`` says whether the tuning half had the agreement that was asked for; where no setting has it, the one
    that comes nearest was taken.
    """

    family: str
    reached: bool
    tuned: Row
    reported: Row


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """All families on one pool. ``curves`` are all settings on the reporting half, the fewest samples first."""

    pool: str
    questions: tuple[int, int]
    samples: int
    permutations: int
    estimated: bool
    full: Row
    chosen: tuple[Chosen, ...]
    curves: Mapping[str, tuple[Row, ...]]


def compare(table: VoteTable, *, permutations: int = 50, seed: int = 0) -> Comparison:
    """Compare all families on one table."""
    sides = [table.rows(rows) for rows in halves(table, seed=seed)]
    tuned, reported = (_settings(side, permutations, seed) for side in sides)
    chosen = [_choose(family, tuned[family], reported[family]) for family in FAMILIES]
    curves = {
        family: tuple(sorted(reported[family], key=lambda row: row.samples.value)) for family in FAMILIES
    }
    return Comparison(
        pool=table.name,
        questions=(int(sides[0].groups.max()) + 1, int(sides[1].groups.max()) + 1),
        samples=table.width,
        permutations=permutations,
        estimated=table.estimated,
        full=reported[FULL][0],
        chosen=tuple(chosen),
        curves=curves,
    )


def halves(table: VoteTable, *, seed: int = 0) -> tuple[Ints, Ints]:
    """Return the rows of a random half of the questions, for tuning, and those of the others, for the report."""
    count = int(table.groups.max()) + 1
    tuning = np.random.default_rng([seed, count]).permutation(count)[: count // 2]
    inside = np.isin(table.groups, tuning)
    return np.flatnonzero(inside), np.flatnonzero(~inside)


def _settings(table: VoteTable, permutations: int, seed: int) -> dict[str, list[Row]]:
    """Return the rows of every setting of every family."""
    cases: dict[str, list[Case]] = {
        "fixed": [Case(samples=number) for number in _numbers(table.width)],
        **{
            family: [Case(make(value)) for value in _grid(name, table.width)]
            for family, (name, make) in _POLICIES.items()
        },
        "cannot be overtaken": [Case(CannotBeOvertaken(table.width))],
        FULL: [Case()],
    }
    listed = [case for several in cases.values() for case in several]
    rows = iter(replay(table, listed, permutations=permutations, seed=seed))
    found = {family: [next(rows) for _ in several] for family, several in cases.items()}
    shares = [Share(FlipProbability(), budget) for budget in _BUDGETS if budget < table.width]
    return {**found, "flip probability": allocate(table, shares, permutations=permutations, seed=seed)}


def _grid(name: str, width: int) -> list[float]:
    """Return the values to try of a policy's threshold; leads and windows that no pool can have are left out."""
    family = KNOBS[name]
    if family is None:
        raise AssertionError(f"{name} has no threshold")
    return [float(value) for value in family.grid if value <= width]


def _numbers(width: int) -> list[int]:
    """Return fixed numbers of samples: all of them, or about evenly spaced in the logarithm."""
    spaced = np.unique(np.geomspace(1, width, min(width, _LARGEST_GRID)).round().astype(int))
    return [int(number) for number in spaced]


def _choose(family: str, tuned: Sequence[Row], reported: Sequence[Row]) -> Chosen:
    good = [place for place, row in enumerate(tuned) if row.agreement.value >= AGREEMENT]
    if good:
        best = min(good, key=lambda place: (tuned[place].samples.value, place))
    else:
        best = max(range(len(tuned)), key=lambda place: tuned[place].agreement.value)
    return Chosen(family, bool(good), tuned[best], reported[best])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page, its figures, and a table of the numbers beside each figure."""
    from thinkctl.evals.comparison_page import write_page

    parser = argparse.ArgumentParser(
        prog="python -m thinkctl.evals.comparison", description="Compare policies on recorded pools."
    )
    parser.add_argument("pools", nargs="+", type=Path, metavar="POOL")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="the folder of the documentation")
    parser.add_argument("--permutations", type=int, default=50, help="shuffles of each question's samples")
    parser.add_argument("--seed", type=int, default=0, help="of the halves and of the shuffles")
    given = parser.parse_args(arguments)
    found: list[Comparison] = []
    for path in given.pools:
        print(path.name, file=sys.stderr)  # noqa: T201 - this is a command
        found.append(compare(open_table(path), permutations=given.permutations, seed=given.seed))
    write_page(found, given.out, seed=given.seed)


if __name__ == "__main__":
    from thinkctl.evals.comparison import main as run  # not this module's twin, so that classes are the same

    run()
