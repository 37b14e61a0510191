"""What the demo came to: who was right, what it took, and whether the bill agrees with the engine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from thinkctl.answers import form
from thinkctl.cli.live import ended_in_words
from thinkctl.cli.output import json_of, receipt_of, tokens_in_words
from thinkctl.cli.text import amount, dollars, plural, seconds, shortened
from thinkctl.types import Budget, Problem, Receipt, Run

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "Contest",
    "Outcome",
    "Task",
    "is_right",
    "json_of_demo",
    "print_contest",
    "print_demo",
    "table_of",
]

_CAUTION = "{problems} say nothing about which of the two is better: this shows how it works, it is not a measurement."


@final
@dataclass(frozen=True, slots=True)
class Task:
    """A problem and its reference answer, which no strategy gets to see."""

    problem: Problem
    reference: str


@final
@dataclass(frozen=True, slots=True)
class Contest:
    """One way of answering, and its runs in the order of the tasks."""

    name: str
    tasks: tuple[Task, ...]
    runs: tuple[Run, ...]

    @property
    def correct(self) -> int:
        """How many answers are right."""
        return sum(is_right(task, run) for task, run in zip(self.tasks, self.runs, strict=True))

    @property
    def receipt(self) -> Receipt:
        """The bill of all runs. They ran at the same time, so its seconds are those of the longest."""
        total = sum((run.receipt for run in self.runs), Receipt())
        return Receipt(total.lines, max((run.seconds for run in self.runs), default=0.0))

    @property
    def stops(self) -> dict[str, int]:
        """How many runs stopped for each reason."""
        return dict(Counter(run.stop.value for run in self.runs))


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """All of the demo. ``counted`` are the tokens that the engine says it generated meanwhile."""

    model: str
    budget: Budget
    contests: tuple[Contest, ...]
    counted: int | None

    @property
    def billed(self) -> int:
        """The generated tokens on all receipts."""
        return sum(contest.receipt.generated_tokens for contest in self.contests)

    @property
    def reconciled(self) -> str:
        """Return in words whether the bills agree with the engine."""
        if self.counted is None:
            return f"the engine does not count its tokens; the receipts say {amount(self.billed)}"
        return (
            f"the engine counted {amount(self.counted)} generated tokens, "
            f"the receipts say {amount(self.billed)}"
        )


def is_right(task: Task, run: Run) -> bool:
    """Whether a run's answer has the value of the reference, however either is written."""
    return run.answer is not None and run.answer.key == form(task.problem.form).key(task.reference)


def json_of_demo(outcome: Outcome) -> dict[str, Any]:
    """Return the demo's outcome as plain data."""
    return {
        "model": outcome.model,
        "budget": outcome.budget.model_dump(mode="json"),
        "strategies": [_contest(contest, outcome.model) for contest in outcome.contests],
        "engine_generated_tokens": outcome.counted,
        "receipts_generated_tokens": outcome.billed,
        "caution": _caution(outcome),
    }


def _contest(contest: Contest, model: str) -> dict[str, Any]:
    return {
        "name": contest.name,
        "problems": len(contest.tasks),
        "correct": contest.correct,
        "stops": contest.stops,
        "receipt": receipt_of(contest.receipt),
        "runs": [
            {
                "id": task.problem.id,
                "question": task.problem.text,
                "reference": task.reference,
                "correct": is_right(task, run),
                **json_of(run, model),
            }
            for task, run in zip(contest.tasks, contest.runs, strict=True)
        ],
    }


def _caution(outcome: Outcome) -> str:
    number = max((len(contest.tasks) for contest in outcome.contests), default=0)
    return _CAUTION.format(problems=plural(number, "problem"))


# -- for people ----------------------------------------------------------------------------------------------


def print_contest(contest: Contest) -> None:
    """Write on stdout what became of each problem."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"\n{contest.name}", style="bold"))
    for number, (task, run) in enumerate(zip(contest.tasks, contest.runs, strict=True), 1):
        right = is_right(task, run)
        mark = ("right", "green") if right else (f"wrong, it is {task.reference}", "red")
        console.print(Text.assemble(f"{number:>3}. {shortened(task.problem.text, 60)}  ", mark))
        console.print(Text(f"     {ended_in_words(run)}", style="dim"))


def table_of(outcome: Outcome) -> Table:
    """Return the table that sets the strategies side by side."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("strategy", overflow="fold", min_width=22)
    for name in ("correct", "tokens", "seconds", "price"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("stopped by", no_wrap=True)
    for contest in outcome.contests:
        receipt = contest.receipt
        table.add_row(
            contest.name,
            f"{contest.correct} of {len(contest.tasks)}",
            amount(receipt.generated_tokens),
            f"{receipt.seconds:.1f}",
            dollars(receipt.dollars),
            ", ".join(f"{reason} {number}" for reason, number in contest.stops.items()),
        )
    return table


def print_demo(outcome: Outcome) -> None:
    """Write the table, the receipts and what to think of them on stdout."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.print(table_of(outcome))
    wide = Console(highlight=False, markup=False, soft_wrap=True)
    for contest in outcome.contests:
        used = contest.receipt.usage
        wide.print(
            f"receipt of {contest.name.partition(' ')[0]}: {amount(used.generated_tokens)} generated "
            f"({tokens_in_words(used)}), {amount(used.prompt_tokens)} prompt tokens "
            f"({amount(used.cached_tokens)} cached), {plural(used.requests, 'request')}, "
            f"{seconds(contest.receipt.seconds)}"
        )
    wide.print(outcome.reconciled)
    wide.print(_caution(outcome))
