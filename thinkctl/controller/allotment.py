"""One budget over a batch: whose turn the next sample is.

Every run of the batch asks before it starts a sample. An allocation ranks the runs by how they stand; the
most urgent ones are granted a sample each, as long as fewer than ``width`` are in flight in the whole batch.
Where the purse has nothing left for the most urgent one, nobody is granted any more until a sample ends and
gives back what it did not use; when none is in flight, the batch is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from thinkctl.protocols import Allocation
from thinkctl.selectors import top_two
from thinkctl.types import History, Standing, StopReason

__all__ = ["Allotment", "Share"]


@final
class Share:
    """How one run of the batch stands, and how many samples it may start now."""

    def __init__(self, allotment: Allotment, place: int) -> None:
        self._allotment = allotment
        self.place = place
        self.ready = False
        self.wanted = 0
        self.granted = 0
        self.in_flight = 0
        self.standing = Standing(0, 0, 0, place)
        self.priority: float | None = None
        self.wake: Callable[[], None] = lambda: None

    @property
    def slots(self) -> int:
        """How many samples could be started now in the whole batch, those granted included."""
        return self._allotment.free + self.granted

    @property
    def batch_in_flight(self) -> int:
        """How many samples are in flight in the whole batch."""
        return self._allotment.in_flight

    @property
    def waits(self) -> bool:
        """Whether its turn may still come."""
        may = self.granted > 0 or self.priority is not None
        return self.wanted > 0 and may and not self._allotment.over

    @property
    def enough(self) -> bool:
        """Whether the allocation gives it no more, although it could use some."""
        return self.wanted > 0 and self.priority is None and not self.granted

    @property
    def wall(self) -> StopReason | None:
        """What the batch ran out of, if it is over."""
        return self._allotment.wall if self._allotment.over else None

    def ask(self, history: History, in_flight: int, wanted: int) -> int:
        """Say how the run stands and how many samples it could use; return how many it may start now."""
        ended = in_flight < self.in_flight
        self.ready, self.in_flight, self.wanted = True, in_flight, wanted
        leader, runner_up = top_two(history)
        pending = sum(
            not sample.finished or sample.answer is not None
            for sample in history.samples[len(history.settled) :]
        )
        self.standing = Standing(leader + pending, runner_up, history.bought, self.place)
        self._allotment.limit(self, wanted)
        self.priority = self._allotment.rank(self)
        self._allotment.deal(ended=ended)
        return self._allotment.turns(self)

    def started(self, number: int) -> None:
        """Take note that so many of the granted samples were started."""
        now = self.standing
        self._allotment.begun(self, number)
        self.in_flight += number
        self.standing = Standing(now.leader + number, now.runner_up, now.bought + number, self.place)

    def blocked(self, wall: StopReason | None, *, by_batch: bool) -> None:
        """Give back what could not be started: ``by_batch`` nothing is left for it, else its own budget is spent."""
        self._allotment.limit(self, 0)
        self.priority = self._allotment.rank(self)
        if by_batch:
            self._allotment.block(wall)
        else:
            self.wanted = 0
            self._allotment.deal(ended=False)

    def leave(self) -> None:
        """Ask for no more: the run has ended."""
        self._allotment.leave(self)


@final
class Allotment:
    """The shares of a batch of ``number`` runs. Nothing is dealt out before all of them have said how they stand."""

    def __init__(self, allocation: Allocation, number: int, width: int) -> None:
        self.allocation: Final = allocation
        self.over = False
        self.wall: StopReason | None = None
        self._width: Final = width
        self._full = False
        self._shares = [Share(self, place) for place in range(number)]
        self._queue: list[
            Share
        ] = []  # of grants in the order they were made: what is left is spent in this order
        self.shares: Final = tuple(self._shares)

    @property
    def in_flight(self) -> int:
        """How many samples are in flight in the whole batch."""
        return sum(share.in_flight for share in self._shares)

    @property
    def free(self) -> int:
        """How many more samples may be granted."""
        return max(0, self._width - sum(share.in_flight + share.granted for share in self._shares))

    def deal(self, *, ended: bool) -> None:
        """Grant samples to the most urgent runs; ``ended`` says that one ended, so there may be budget again."""
        self._full = self._full and not ended
        if self.over or self._full or not all(share.ready for share in self._shares):
            return
        for _ in range(self.free):
            hungry = [
                share for share in self._shares if share.priority is not None and share.wanted > share.granted
            ]
            if not hungry:
                return
            first = max(hungry, key=_urgency)
            first.granted += 1
            self._queue.append(first)
            first.priority = self.rank(first)
            first.wake()

    def turns(self, share: Share) -> int:
        """Return how many samples a run may start now: its grants, up to the first that another one holds."""
        own = 0
        while own < len(self._queue) and self._queue[own] is share:
            own += 1
        return own

    def limit(self, share: Share, number: int) -> None:
        """Leave a run so many of its grants at most, the first ones; whose turn it is then is woken."""
        while share.granted > number:
            del self._queue[max(place for place, owner in enumerate(self._queue) if owner is share)]
            share.granted -= 1
        self._next()

    def begun(self, share: Share, number: int) -> None:
        """Take so many grants of a run, its first ones, off the queue: they were used."""
        for _ in range(number):
            self._queue.remove(share)
        share.granted -= number
        self._next()

    def _next(self) -> None:
        if self._queue:
            self._queue[0].wake()

    def rank(self, share: Share) -> float | None:
        """Return how urgent a further sample of a run is, beyond those that it was granted."""
        now, more = share.standing, share.granted
        return self.allocation.priority(
            Standing(now.leader + more, now.runner_up, now.bought + more, share.place)
        )

    def block(self, wall: StopReason | None) -> None:
        """Take back all grants and make none until a sample ends; with none in flight that is for ever."""
        self._full = True
        self._queue.clear()
        for share in self._shares:
            share.granted = 0
            share.priority = self.rank(share)
        self.wall = wall or self.wall
        if not self.in_flight:
            self.over = True
            for share in self._shares:
                share.wake()

    def leave(self, share: Share) -> None:
        """Take a run out of the batch."""
        if share in self._shares:
            self._shares.remove(share)
            self.limit(share, 0)
            self.deal(ended=True)


def _urgency(share: Share) -> tuple[float, int, int]:
    urgency = share.priority if share.priority is not None else float("-inf")
    return urgency, -(share.standing.bought + share.granted), -share.place
