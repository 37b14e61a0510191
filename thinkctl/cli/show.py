"""Showing runs on stderr while they run: redrawn in place on a terminal, terse lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, final

from thinkctl.cli.live import View, drawn, heard, line_for
from thinkctl.types import Event, Finished, Run

if TYPE_CHECKING:
    from rich.console import Console, Group

__all__ = ["Board", "say", "showing", "waiting"]

_REDRAWS_PER_SECOND: Final = 8
_LINES_BESIDE_SAMPLES: Final = 5
"""Of each run that is drawn: its title, votes, leader, what is spent, and what is hidden."""


def say(line: str, *, quiet: bool = False) -> None:
    """Write one line on stderr."""
    if not quiet:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is the command line


def _draws(console: Console) -> bool:
    """Whether lines can be drawn again in place."""
    return sys.stderr.isatty() and not console.is_dumb_terminal


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Say what is being done while the block runs."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if quiet or not _draws(console):
        say(what, quiet=quiet)
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(what, total=None)
        yield


@final
class Board:
    """Views of runs that go on at once. ``count`` gives the tokens of a text, ``tell`` takes a line of news."""

    def __init__(
        self, views: Sequence[View], count: Callable[[str], int], tell: Callable[[str], None] | None = None
    ) -> None:
        self.views = list(views)
        self._count = count
        self._tell = tell
        self._begun = time.monotonic()

    def heard(self, place: int, event: Event) -> None:
        """Take in an event of the run at this place."""
        view = self.views[place] = heard(self.views[place], event, self._count)
        if self._tell is not None and (line := line_for(view, event)) is not None:
            name = f"{view.title.partition(' ')[0]} " if len(self.views) > 1 else ""
            self._tell(f"{name}{line}")

    async def follow(self, place: int, events: AsyncIterator[Event]) -> Run:
        """Take in all events of the run at this place, and return the run."""
        run: Run | None = None
        async for event in events:
            self.heard(place, event)
            if isinstance(event, Finished):
                run = event.run
        if run is None:
            raise AssertionError("events end with Finished")
        return run

    def drawing(self, console: Console) -> Group:
        """Return all views as they are now, fitted to the terminal."""
        from rich.console import Group

        elapsed = time.monotonic() - self._begun
        running = max(1, sum(view.run is None for view in self.views))
        room = console.height - 2 * (len(self.views) - running) - 1
        rows = room // running - _LINES_BESIDE_SAMPLES
        return Group(
            *(line for view in self.views for line in drawn(view, elapsed, width=console.width, rows=rows))
        )


@contextmanager
def showing(views: Sequence[View], count: Callable[[str], int], *, quiet: bool = False) -> Iterator[Board]:
    """Show runs until the block ends. ``quiet`` shows nothing."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if quiet or not _draws(console):
        yield Board(views, count, lambda line: say(line, quiet=quiet))
        return
    from rich.live import Live

    board = Board(views, count)
    with Live(
        console=console,
        refresh_per_second=_REDRAWS_PER_SECOND,
        transient=True,
        get_renderable=lambda: board.drawing(console),
    ):
        yield board
