"""The lock-step driver's thread, without an engine."""

from __future__ import annotations

from thinkctl.engines.vllm._barrier import Barrier
from thinkctl.engines.vllm._settings import Settings


def test_who_always_asks_again_does_not_hold_up_the_steps() -> None:
    barrier = Barrier(Settings("none", "auto", None, 4, None, 0, None, 20), patience=1.0)
    asked = 0

    def again() -> None:
        nonlocal asked
        asked += 1
        barrier.submit(again)

    barrier.submit(again)
    barrier._obey()
    assert asked == 1
    barrier._obey()
    assert asked == 2
