"""What a run looks like while it runs: events in, a view out, and the view as text. Pure: no clock, no terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, final

from thinkctl.cli.text import amount, one_line, plural, seconds, shortened
from thinkctl.types import (
    AnswerImproved,
    Budget,
    Decided,
    Event,
    Finish,
    Finished,
    Run,
    Sample,
    SampleFinished,
    SampleStarted,
    StopReason,
    Thought,
)

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Growth", "View", "drawn", "heard", "line_for", "spent", "tally"]

_TAIL: Final = 240
"""Characters of a growing thought that are kept for showing."""
_LONGEST_ANSWER: Final = 40
_MOST_ANSWERS: Final = 5


@final
@dataclass(frozen=True, slots=True)
class Growth:
    """A sample in flight: its tokens so far, counted as they came, and the end of its text."""

    tokens: int = 0
    tail: str = ""


@final
@dataclass(frozen=True, slots=True)
class View:
    """What is known of one run from its events. Samples are found by launch index.

    ``allowed`` is the most samples the strategy asks for, where it says.
    """

    title: str = ""
    budget: Budget = Budget()
    allowed: int | None = None
    growing: Mapping[int, Growth] = field(default_factory=dict[int, Growth])
    finished: Mapping[int, Sample] = field(default_factory=dict[int, Sample])
    leader: str | None = None
    confidence: float | None = None
    why: str = ""
    run: Run | None = None


def heard(view: View, event: Event, count: Callable[[str], int]) -> View:
    """Return the view after an event. ``count`` gives the tokens of a piece of text."""
    match event:
        case SampleStarted(sample):
            return replace(view, growing={**view.growing, sample.index: Growth()})
        case Thought(index, text):
            old = view.growing.get(index) or _reopened(view, index)
            new = Growth(old.tokens + count(text), (old.tail + text)[-_TAIL:])
            others = {key: sample for key, sample in view.finished.items() if key != index}
            return replace(view, growing={**view.growing, index: new}, finished=others)
        case SampleFinished(sample):
            others_growing = {key: growth for key, growth in view.growing.items() if key != sample.index}
            return replace(view, growing=others_growing, finished={**view.finished, sample.index: sample})
        case Decided(note):
            return replace(view, why=note.decision.why or view.why)
        case AnswerImproved(answer, confidence):
            return replace(view, leader=answer.text, confidence=confidence)
        case Finished(run):
            return replace(view, run=run)


def _reopened(view: View, index: int) -> Growth:
    """Go on with a sample that had finished: it is made to answer."""
    sample = view.finished.get(index)
    return Growth() if sample is None else Growth(sample.usage.generated_tokens, sample.text[-_TAIL:])


# -- reading a view ------------------------------------------------------------------------------------------


def spent(view: View) -> int:
    """Return the generated tokens so far; those in flight are counted from their text."""
    flying = sum(growth.tokens for growth in view.growing.values())
    return flying + sum(sample.usage.generated_tokens for sample in view.finished.values())


def tally(view: View) -> tuple[Sequence[tuple[str, int]], int]:
    """Return the votes that count now, most first, and how many finished samples wait for an older one."""
    settled = 0
    while settled in view.finished:
        settled += 1
    answers = [view.finished[index].answer for index in range(settled)]
    texts = {answer.key: one_line(answer.text) for answer in reversed(answers) if answer is not None}
    votes = Counter(answer.key for answer in answers if answer is not None)
    return [(texts[key], number) for key, number in votes.most_common()], len(view.finished) - settled


def votes_in_words(view: View) -> str:
    """Return ``387 ×3   383 ×1   (2 wait for an older sample)``."""
    votes, waiting = tally(view)
    words = [f"{shortened(text, _LONGEST_ANSWER)} ×{number}" for text, number in votes[:_MOST_ANSWERS]]
    if (others := len(votes) - _MOST_ANSWERS) > 0:
        words.append(f"and {plural(others, 'other')}")
    late = f"({waiting} finished early and {'waits' if waiting == 1 else 'wait'} for older ones)"
    return "   ".join([*(words or ["none yet"]), *([late] if waiting else [])])


def budget_in_words(view: View, elapsed: float) -> str:
    """Return what is used of what is allowed: tokens, seconds, samples."""
    budget, launched = view.budget, len(view.growing) + len(view.finished)
    tokens = f"{amount(spent(view))}" + (f" of {amount(budget.tokens)}" if budget.tokens else "")
    time = f"{elapsed:.1f}" + (f" of {budget.seconds:g}" if budget.seconds else "")
    samples = f"{launched} of {view.allowed} samples" if view.allowed else plural(launched, "sample")
    return f"{tokens} tokens   {time} s   {samples}"


# -- drawing it ----------------------------------------------------------------------------------------------


def drawn(view: View, elapsed: float, *, width: int, rows: int) -> list[Text]:
    """Return the lines that show a view, none wider than ``width``, with at most ``rows`` samples in flight.

    Without a row for samples, all is said in one line.
    """
    from rich.text import Text

    if rows < 1:
        return [_in_one_line(view, width)]
    lines = [Text(shortened(view.title, width), style="bold")]
    if view.run is not None:
        return [*lines, Text(_cut(f"  {ended_in_words(view.run)}", width), style="green")]
    indices = sorted(view.growing)
    hidden = len(indices) - rows if len(indices) > rows else 0
    shown = indices[: len(indices) - hidden]
    lines += [_growing(index, view.growing[index], width) for index in shown]
    if hidden:
        lines.append(Text(f"       and {hidden} more in flight", style="dim"))
    leads = "" if view.leader is None else shortened(view.leader, _LONGEST_ANSWER)
    sure = "" if view.confidence is None else f"   confidence {view.confidence:.1%}"
    for label, words in (("votes", votes_in_words(view)), ("leads", leads and f"{leads}{sure}")):
        if words:
            lines.append(Text.assemble((f"  {label}  ", "cyan"), _cut(words, width - 9)))
    return [*lines, Text.assemble(("  spent  ", "cyan"), _cut(budget_in_words(view, elapsed), width - 9))]


def _in_one_line(view: View, width: int) -> Text:
    from rich.text import Text

    if view.run is not None:
        words = ended_in_words(view.run)
    else:
        words = f"{votes_in_words(view)}   {len(view.growing)} in flight, {amount(spent(view))} tokens"
    title = shortened(view.title, width // 2)
    return Text.assemble((f"{title}  ", "bold"), _cut(words, max(width - len(title) - 2, 0)))


def _growing(index: int, growth: Growth, width: int) -> Text:
    from rich.text import Text

    start = f"{index:>5}  {growth.tokens:>5} tokens  "
    tail = _end_of(one_line(growth.tail), max(width - len(start), 0))
    return Text.assemble((start[:width], "dim"), tail)


def _end_of(line: str, width: int) -> str:
    """Return the end of a line that fits into ``width`` cells; wide characters take two."""
    from rich.cells import cell_len

    if cell_len(line) <= width:
        return line
    end = line[-width:] if width else ""
    while end and cell_len(end) > width - 1:
        end = end[1:]
    return f"…{end}" if width else ""


def _cut(line: str, width: int) -> str:
    from rich.cells import set_cell_size

    return set_cell_size(line, width).rstrip() if len(line) > width else line


def ended_in_words(run: Run) -> str:
    """Return how a run ended, on one line."""
    answer = "no answer" if run.answer is None else shortened(run.answer.text, _LONGEST_ANSWER)
    used = f"{plural(len(run.samples), 'sample')}, {amount(run.receipt.generated_tokens)} tokens"
    why = "done" if run.stop is StopReason.DONE else f"{run.stop}: {one_line(run.why)}"
    return f"{answer}   ({used}, {seconds(run.seconds)}; {why})"


def line_for(view: View, event: Event) -> str | None:
    """Return the line that tells an event where nothing can be redrawn; most events need none.

    ``view`` is the view after the event.
    """
    match event:
        case SampleFinished(sample):
            return f"sample {sample.index}: {_sample_in_words(sample)}; votes: {votes_in_words(view)}"
        case Finished(run):
            return f"ended: {ended_in_words(run)}"
        case _:
            return None


def _sample_in_words(sample: Sample) -> str:
    tokens = plural(sample.usage.generated_tokens, "token")
    time = seconds((sample.ended or sample.started) - sample.started)
    if sample.answer is not None:
        made = " when asked to conclude" if sample.concluded else ""
        return f"{shortened(sample.answer.text, _LONGEST_ANSWER)}{made}, {tokens}, {time}"
    why = {
        Finish.CUT: "stopped",
        Finish.LENGTH: "no room left",
        Finish.ERROR: f"failed ({one_line(sample.error)})",
    }
    return f"no answer, {why.get(sample.finish or Finish.STOP, 'ended without one')}, {tokens}, {time}"
