"""A study while it runs, on stderr: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from thinkctl.cli.show import say

if TYPE_CHECKING:
    from rich.table import Table

    from thinkctl.evals.studies import News

__all__ = ["Board", "watching"]

_REDRAWS_PER_SECOND: Final = 4
_SECONDS_BETWEEN_LINES: Final = 10.0


@final
@dataclass(slots=True)
class _Row:
    done: int = 0
    total: int = 0
    here: int = 0
    right: int = 0
    tokens: int = 0
    began: float = 0.0


@final
@dataclass(slots=True)
class Board:
    """Counts of a study's recordings. ``clock`` tells seconds."""

    clock: Callable[[], float] = time.monotonic
    rows: dict[str, _Row] = field(default_factory=dict[str, _Row])

    def heard(self, news: News) -> None:
        """Take in that a run has ended, or how many had ended before."""
        row = self.rows.setdefault(news.recording.name, _Row())
        row.done, row.total = news.done, news.total
        if news.run is None:
            return
        row.began = row.began or self.clock() - news.run.receipt.seconds
        row.here += 1
        row.right += bool(news.right)
        row.tokens += news.run.receipt.generated_tokens

    def line(self, name: str) -> str:
        """Return what there is to say of a recording: done, accuracy with its interval, tokens, rate, time to go."""
        row = self.rows[name]
        accuracy, tokens, rate, left = self._cells(row)
        return f"{name}: {row.done} of {row.total}, {accuracy} right, {tokens} tokens, {rate} tokens/s, {left} to go"

    def table(self) -> Table:
        """Return all recordings as a table."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("recording", overflow="fold")
        for name in ("done", "right %", "tokens", "tokens/s", "to go"):
            table.add_column(name, justify="right", no_wrap=True)
        for name, row in self.rows.items():
            table.add_row(Text(name), f"{row.done}/{row.total}", *self._cells(row))
        return table

    def _cells(self, row: _Row) -> tuple[str, str, str, str]:
        from thinkctl.evals.studies.tables import running_share

        if not row.here:
            return "", "", "", "done" if row.done == row.total else ""
        found = running_share(row.right, row.here)
        seconds = max(self.clock() - row.began, 1e-3)
        left = seconds / row.here * (row.total - row.done)
        minutes, rest = divmod(round(left), 60)
        accuracy = f"{100 * found.value:.0f} [{100 * (found.low or 0):.0f}, {100 * (found.high or 0):.0f}]"
        return accuracy, f"{row.tokens:,}", f"{row.tokens / seconds:,.0f}", f"{minutes}:{rest:02}"


@contextmanager
def watching(*, quiet: bool) -> Iterator[Callable[[News], None] | None]:
    """Show a study while the block runs; yield what takes the news. ``quiet`` shows nothing."""
    if quiet:
        yield None
        return
    from rich.console import Console

    board, console = Board(), Console(stderr=True, highlight=False)
    if sys.stderr.isatty() and not console.is_dumb_terminal:
        from rich.live import Live

        with Live(
            console=console,
            refresh_per_second=_REDRAWS_PER_SECOND,
            get_renderable=board.table,
            transient=True,
        ):
            yield board.heard
        return
    said: dict[str, float] = {}

    def tell(news: News) -> None:
        board.heard(news)
        name = news.recording.name
        due = board.clock() - said.get(name, -_SECONDS_BETWEEN_LINES) >= _SECONDS_BETWEEN_LINES
        if news.run is not None and (due or news.done == news.total):
            said[name] = board.clock()
            say(board.line(name))

    yield tell
