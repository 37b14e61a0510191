"""A study while it runs, on stderr: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import errno
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import typer

from thinkctl.cli.show import say
from thinkctl.cli.text import one_line

if TYPE_CHECKING:
    from rich.console import Group

    from thinkctl.evals.studies import ModelSpec, News, Study, StudyResults
    from thinkctl.protocols import Engine

__all__ = ["Board", "duration", "run_watched", "watching"]

_REDRAWS_PER_SECOND: Final = 2
_SECONDS_BETWEEN_LINES: Final = 30.0
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TELL: Final = 50
"""Tokens from which on an engine's pace is believed: before, prompts take most of the time."""


def run_watched(study: Study, folder: Path, *, source: str | None = None, quiet: bool) -> StudyResults:
    """Run a study, or go on with it, and show how it goes.

    An interrupt ends the program with code 130, a full disk with code 1; what had ended is recorded.
    """
    from thinkctl.cli.opening import prepare
    from thinkctl.evals.studies import run_study_async
    from thinkctl.evals.studies.forecast import measured_rates

    def prepare_models(models: Mapping[str, ModelSpec]) -> None:
        prepare(model.engine for model in models.values())

    board = Board(rates=measured_rates(folder))
    try:
        with watching(board, quiet=quiet) as show:
            return asyncio.run(
                run_study_async(
                    study,
                    folder,
                    source=source,
                    open_engine=show.open_engine,
                    tell=show.tell,
                    prepare=prepare_models,
                )
            )
    except KeyboardInterrupt:
        say("interrupted: what had ended is recorded; the same command goes on")
        raise typer.Exit(130) from None
    except OSError as error:
        if error.errno not in _FULL:
            raise
        say(
            f"error: {folder}: {error.strerror}; what had ended is recorded: make room, the same command goes on"
        )
        raise typer.Exit(1) from None


@final
@dataclass(slots=True)
class _Row:
    """A recording: runs that are ``done`` and how many of them ended ``here``; the rest are of earlier starts."""

    model: str
    guess: float
    """Tokens that a run is expected to generate, as long as none has ended."""
    done: int = 0
    total: int = 0
    here: int = 0
    graded: int = 0
    right: int = 0
    tokens: int = 0
    seconds: float = 0.0

    @property
    def left(self) -> float:
        """Tokens that its runs which have not ended will generate."""
        return (self.total - self.done) * (self.tokens / self.done if self.done else self.guess)


@final
@dataclass(slots=True)
class _Pace:
    """The engines of a model: what they have generated in how many seconds, and how much of it is in ended runs."""

    generated: int = 0
    ended: int = 0
    seconds: float = 0.0


@final
@dataclass(slots=True)
class Board:
    """Counts of a study's recordings. ``clock`` tells seconds, ``rates`` earlier tokens a second by model."""

    clock: Callable[[], float] = time.monotonic
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    rows: dict[str, _Row] = field(default_factory=dict[str, _Row])
    opening: str = ""
    _paces: dict[str, _Pace] = field(default_factory=dict[str, _Pace])
    _heard_at: float = 0.0

    def heard(self, news: News) -> None:
        """Take in that a run has ended, how far the engines are, or what had ended before."""
        from thinkctl.evals.studies.forecast import tokens_of_a_run

        recording = news.recording
        model = recording.arm.spec.model
        row = self.rows.get(recording.name)
        if row is None:
            row = self.rows[recording.name] = _Row(model, tokens_of_a_run(recording))
        self._heard_at = self.clock()
        row.done, row.total = news.done, news.total
        if news.before is not None:
            row.graded, row.right, row.tokens = news.before.graded, news.before.right, news.before.tokens
            return
        self.opening = ""
        pace = self._paces.setdefault(model, _Pace())
        pace.generated, pace.seconds = news.generated, news.seconds
        if news.run is None:
            return
        tokens = news.run.receipt.generated_tokens
        pace.ended += tokens
        row.here, row.graded, row.seconds = row.here + 1, row.graded + 1, news.seconds
        row.right, row.tokens = row.right + bool(news.right), row.tokens + tokens

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the study has ended; ``None`` as long as nothing tells.

        A model that never ran is taken to be as fast as the slowest that did.
        """
        rates = {**self.rates, **self._measured()}
        if not rates:
            return None
        total = 0.0
        for model in {row.model for row in self.rows.values()}:
            pace = self._paces.get(model, _Pace())
            left = sum(row.left for row in self.rows.values() if row.model == model)
            under_way = max(0, pace.generated - pace.ended)
            total += max(0.0, left - under_way) / rates.get(model, min(rates.values()))
        return max(0.0, total - (self.clock() - self._heard_at))

    def _measured(self) -> dict[str, float]:
        return {
            model: pace.generated / pace.seconds
            for model, pace in self._paces.items()
            if pace.generated >= _TELL and pace.seconds > 0
        }

    def summary(self) -> str:
        """Return what there is to say of the whole study: runs, tokens, rate, time to go."""
        done, total = (sum(getattr(row, name) for row in self.rows.values()) for name in ("done", "total"))
        tokens = sum(row.tokens for row in self.rows.values())
        said = [f"{done:,} of {total:,} runs", f"{tokens:,} tokens"]
        if self._paces:
            model, rate = next(reversed(self._paces)), self._measured()
            if model in rate:
                said.append(f"{one_line(model)} at {rate[model]:,.0f} tokens/s")
        left = self.seconds_left
        if done < total and left is not None:
            unknown = {row.model for row in self.rows.values() if row.left} - {*self.rates, *self._measured()}
            guess = f" (if {', '.join(sorted(unknown))} is as fast)" if unknown else ""
            said.append(f"about {duration(left)} to go{guess}")
        return ", ".join([*said, self.opening] if self.opening else said)

    def line(self, name: str) -> str:
        """Return what there is to say of a recording: done, accuracy with its interval, tokens."""
        row = self.rows[name]
        accuracy, tokens, _ = self._cells(row)
        return f"{one_line(name)}: {row.done} of {row.total}, {accuracy} % right, {tokens} tokens"

    def table(self) -> Group:
        """Return all recordings as a table, with the whole study under it."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("recording", overflow="fold")
        for name in ("done", "right %", "tokens", "to go"):
            table.add_column(name, justify="right", no_wrap=True)
        for name, row in self.rows.items():
            table.add_row(Text(one_line(name)), f"{row.done}/{row.total}", *self._cells(row))
        return Group(table, Text(self.summary()))

    def _cells(self, row: _Row) -> tuple[str, str, str]:
        from thinkctl.evals.studies.tables import running_share

        accuracy = ""
        if row.graded:
            found = running_share(row.right, row.graded)
            accuracy = (
                f"{100 * found.value:.0f} [{100 * (found.low or 0):.0f}, {100 * (found.high or 0):.0f}]"
            )
        tokens = f"{row.tokens:,}" if row.done else ""
        if row.done == row.total:
            return accuracy, tokens, "done"
        left = row.seconds / row.here * (row.total - row.done) if row.here else None
        return accuracy, tokens, "" if left is None else duration(left)


def duration(seconds: float) -> str:
    """Return seconds as ``3 min 05 s`` or ``1 h 02 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


@final
@dataclass(slots=True)
class _Shown:
    """What a study tells while it is shown: ``tell`` takes its news; engines are opened with a word about it."""

    tell: Callable[[News], None] | None
    opened: Callable[[str], None]

    def open_engine(self, name: str, spec: ModelSpec) -> Engine:
        """Open the engine of a model."""
        from thinkctl.evals.studies import open_engine

        self.opened(f"starting {one_line(name)} ({one_line(spec.engine)})")
        return open_engine(name, spec)


@contextmanager
def watching(board: Board, *, quiet: bool) -> Iterator[_Shown]:
    """Show a study while the block runs. ``quiet`` shows nothing."""
    if quiet:
        yield _Shown(None, lambda _: None)
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        yield _Shown(Lines(board).heard, say)
        return
    from rich.live import Live

    live = Live(
        console=console, refresh_per_second=_REDRAWS_PER_SECOND, get_renderable=board.table, transient=True
    )

    def tell(news: News) -> None:
        board.heard(news)
        if not live.is_started:  # not earlier: models that are fetched draw a bar of their own
            live.start()

    def opened(what: str) -> None:
        board.opening = what

    try:
        yield _Shown(tell, opened)
    finally:
        live.stop()


@final
class Lines:
    """A study in few lines: one when it begins, one each half minute, one for each recording that is complete."""

    def __init__(self, board: Board, say: Callable[[str], None] = say) -> None:
        self._board, self._say = board, say
        self._said_at = board.clock()
        self._before = 0

    def heard(self, news: News) -> None:
        """Take in news, and say what is worth a line."""
        board = self._board
        board.heard(news)
        if news.before is not None:
            if news.done:
                self._say(
                    f"{one_line(news.recording.name)}: {news.done} of {news.total} were recorded before"
                )
            return
        if news.run is not None and news.done == news.total:
            self._say(board.line(news.recording.name))
        if board.clock() - self._said_at >= _SECONDS_BETWEEN_LINES:
            self._said_at = board.clock()
            self._say(board.summary())
