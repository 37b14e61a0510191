"""Showing runs on stderr while they run: redrawn in place on a terminal, terse lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, final

from thinkctl.cli.live import View, drawn, heard, line_for
from thinkctl.types import Event

if TYPE_CHECKING:
    from rich.console import Console, Group

__all__ = ["Board", "say", "showing"]

_REDRAWS_PER_SECOND: Final = 8
_LINES_BESIDE_SAMPLES: Final = 5
"""Of each run that is drawn: its title, votes, leader, what is spent, and what is hidden."""


def say(line: str, *, quiet: bool = False) -> None:
    """Write one line on stderr."""
    if not quiet:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is the command line


@final
class Board:
    """Views of runs that go on at once, and how they are told. ``count`` gives the tokens of a text."""

    def __init__(self, views: Sequence[View], count: Callable[[str], int], tell: Callable[[str], None]) -> None:
        self.views = list(views)
        self._count = count
        self._tell = tell
        self._begun = time.monotonic()

    def heard(self, place: int, event: Event) -> None:
        """Take in an event of the run at this place."""
        view = self.views[place] = heard(self.views[place], event, self._count)
        if (line := line_for(view, event)) is not None:
            name = f"{view.title.partition(' ')[0]} " if len(self.views) > 1 else ""
            self._tell(f"{name}{line}")

    def drawing(self, console: Console) -> Group:
        """Return all views as they are now, fitted to the terminal."""
        from rich.console import Group

        elapsed = time.monotonic() - self._begun
        running = max(1, sum(view.run is None for view in self.views))
        room = console.height - 2 * (len(self.views) - running) - 1
        rows = max(1, room // running - _LINES_BESIDE_SAMPLES)
        return Group(
            *(
                line
                for view in self.views
                for line in drawn(view, elapsed, width=console.width, rows=rows)
            )
        )


@contextmanager
def showing(views: Sequence[View], count: Callable[[str], int], *, quiet: bool = False) -> Iterator[Board]:
    """Show runs until the block ends. ``quiet`` shows nothing."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if quiet or not sys.stderr.isatty() or console.is_dumb_terminal:
        yield Board(views, count, lambda line: say(line, quiet=quiet))
        return
    from rich.live import Live

    board = Board(views, count, lambda line: None)
    with Live(
        console=console,
        refresh_per_second=_REDRAWS_PER_SECOND,
        transient=True,
        get_renderable=lambda: board.drawing(console),
    ):
        yield board
