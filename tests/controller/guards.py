"""What must always hold: no ledger is overdrawn or keeps a reservation, and no test hangs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from thinkctl.controller import Ledger, Need
from thinkctl.types import ReceiptLine


@dataclass
class Watch:
    """What ledgers did while they were watched."""

    ledgers: list[Ledger] = field(default_factory=list[Ledger])
    wrong: list[str] = field(default_factory=list[str])
    may_overshoot: bool = False

    def look(self, ledger: Ledger, where: str) -> None:
        """Take note if a limit is exceeded or a reservation negative now."""
        if not any(known is ledger for known in self.ledgers):
            self.ledgers.append(ledger)
        used, reserved, limit = ledger.used, ledger.reserved, ledger.budget
        for name in ("tokens", "dollars", "requests"):
            most, spent, kept = getattr(limit, name), getattr(used, name), getattr(reserved, name)
            if kept < 0 or spent < 0:
                self.wrong.append(f"{where}: negative {name}: used {spent}, reserved {kept}")
            if most is not None and spent + kept > most and not self.may_overshoot:
                self.wrong.append(f"{where}: {name}: used {spent} + reserved {kept} > {most}")

    def check(self) -> None:
        """Fail for whatever was wrong, and for reservations that were never given back."""
        assert not self.wrong, self.wrong[0]
        for ledger in self.ledgers:
            assert ledger.reserved == Need(), f"{ledger.reserved} was never given back"


_watches: list[Watch] = []


@contextmanager
def watched() -> Iterator[Watch]:
    """Watch every step of every ledger, and check them at the end."""
    watch = Watch()
    shift, spend = Ledger._shift, Ledger._spend

    def shifted(self: Ledger, need: Need) -> None:
        shift(self, need)
        watch.look(self, "reserving")

    def spent(self: Ledger, line: ReceiptLine, overshoot: int) -> None:
        spend(self, line, overshoot)
        watch.look(self, "spending")

    Ledger._shift, Ledger._spend = shifted, spent  # type: ignore[method-assign]
    _watches.append(watch)
    try:
        yield watch
    finally:
        _watches.pop()
        Ledger._shift, Ledger._spend = shift, spend  # type: ignore[method-assign]
    watch.check()


def overshoot_is_expected() -> None:
    """Let ledgers exceed their limits in this test: its engine breaks its promises."""
    for watch in _watches:
        watch.may_overshoot = True


class Stuck(SystemExit):
    """A test took so long that it is stuck. ``SystemExit`` is what an event loop lets through."""


@contextmanager
def never_stuck(seconds: float) -> Iterator[None]:
    """Raise ``Stuck`` in the main thread when this takes too long in real time."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stuck(_: int, frame: FrameType | None) -> None:
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "nowhere"
        raise Stuck(f"stuck for {seconds} s at {where}")

    before = signal.signal(signal.SIGALRM, stuck)
    left, again = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left, again)
