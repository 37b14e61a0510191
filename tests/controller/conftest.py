"""What guards every test of the controller: none hangs, and every ledger keeps its invariant at every step."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parents[2])
if ROOT not in sys.path:  # so that ``tests.controller.rig`` is found however pytest was started
    sys.path.append(ROOT)

from tests.controller.guards import never_stuck, watched  # noqa: E402

_PATIENCE = 120.0
"""Real seconds after which a test is stuck: the slowest takes a few, on a machine that may be busy."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that hangs."""
    with never_stuck(_PATIENCE):
        return (yield)


@pytest.fixture(autouse=True)
def _guard() -> Iterator[None]:
    """Fail a test in which a ledger was overdrawn for a moment or kept a reservation."""
    with watched():
        yield
