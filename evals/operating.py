"""The figure of the stopping rules: votes that they take against mistakes that they add, worked out exactly.

Run: python -m thinkctl.evals.operating FOLDER      writes operating.csv and operating.svg there

Two answers, of which the more frequent one has a share of the votes, and at most 40 votes. Nothing is sampled and no
model is asked: the figures are those of ``thinkctl stopping explain``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from thinkctl import registry
from thinkctl.stopping.characteristics import characteristics

__all__ = ["FAMILIES", "Row", "draw", "main", "rows", "write"]

CAP: Final = 40
SHARES: Final = (0.6, 0.7, 0.8)
FAMILIES: Final[Mapping[str, Sequence[str]]] = {
    "adaptive consistency": [
        f"adaptive-consistency({each})" for each in (0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.999)
    ],
    "margin": [f"margin({votes})" for votes in range(1, 9)],
    "e-value": [f"e-value({delta})" for delta in (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)],
    "window": [f"window({size})" for size in range(2, 10)],
    "fixed number": ["none"],
    "cannot be overtaken": [f"cannot-be-overtaken({CAP})"],
}
_LOOKS: Final = {
    "adaptive consistency": ("#0072B2", "o"),
    "margin": ("#D55E00", "s"),
    "e-value": ("#009E73", "^"),
    "window": ("#CC79A7", "D"),
    "fixed number": ("#000000", "*"),
    "cannot be overtaken": ("#56B4E9", "P"),
}
"""Colours that colour-blind people can tell apart (Okabe and Ito), and a marker of its own for each family."""


@dataclass(frozen=True, slots=True)
class Row:
    """One rule at one share: expected votes, and the chance of the wrong answer beyond that of all votes."""

    family: str
    policy: str
    share: float
    votes: float
    wrong: float
    added: float


def rows() -> list[Row]:
    """Return all rules at all shares."""
    found: list[Row] = []
    for share in SHARES:
        everything = characteristics(None, share, cap=CAP).wrong
        for family, specs in FAMILIES.items():
            for spec in specs:
                policy = None if spec == "none" else registry.policy(spec)
                seen = characteristics(policy, share, cap=CAP)
                found.append(Row(family, spec, share, seen.votes, seen.wrong, seen.wrong - everything))
    return found


def draw(found: Sequence[Row]) -> Any:
    """Return the figure: one panel for each share."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    panels = figure.subplots(1, len(SHARES))
    for panel, share in zip(panels, SHARES, strict=True):
        for family, (colour, marker) in _LOOKS.items():
            line = sorted(
                (row.votes, 100 * row.added) for row in found if (row.family, row.share) == (family, share)
            )
            alone = len(line) == 1
            panel.plot(
                [votes for votes, _ in line],
                [added for _, added in line],
                color=colour,
                marker=marker,
                markersize=8 if alone else 4.5,
                linewidth=1.4,
                label=family,
                clip_on=False,
            )
        panel.set_title(f"share of the frequent answer {share:g}", fontsize=10)
        panel.set_xlabel("votes on average")
        panel.set_xlim(0, CAP)
        panel.set_yscale("symlog", linthresh=0.1)
        panel.set_yticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
        panel.set_ylim(0, 40)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"mistakes beyond those of {CAP} votes\n(points)")
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def write(folder: Path) -> None:
    """Write the rows and the figure into a folder."""
    found = rows()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "operating.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["family", "policy", "share", "votes", "wrong", "added"])
        table.writerows(
            [row.family, row.policy, row.share, f"{row.votes:.4f}", f"{row.wrong:.6f}", f"{row.added:.6f}"]
            for row in found
        )
    figure = draw(found)
    figure.savefig(folder / "operating.svg", metadata={"Date": None})


def main() -> None:
    """Write them into the folder that the command names."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    import matplotlib as mpl

    mpl.rcParams["svg.hashsalt"] = "thinkctl"  # the same picture is the same file
    write(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
