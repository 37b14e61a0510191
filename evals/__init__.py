"""Evaluation: tasks, studies, replay, metrics and curves.

Everything in here may know reference answers and may use numpy and matplotlib; nothing below it may. It is
imported as ``thinkctl.evals`` only, and ``import thinkctl`` does not load it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thinkctl.evals.allocating import Share, allocate
    from thinkctl.evals.calibration import Calibration, LossTable, calibrate, calibrated
    from thinkctl.evals.gold import is_right, read_gold
    from thinkctl.evals.judging import Judging, trust
    from thinkctl.evals.loading import open_table, table_of_pool, table_of_runs
    from thinkctl.evals.outcomes import Case
    from thinkctl.evals.probes import read_probe_pool
    from thinkctl.evals.recordings import open_recordings
    from thinkctl.evals.replaying import Row, replay
    from thinkctl.evals.table import VoteTable

__all__ = [
    "Calibration",
    "Case",
    "Judging",
    "LossTable",
    "Row",
    "Share",
    "VoteTable",
    "allocate",
    "calibrate",
    "calibrated",
    "is_right",
    "open_recordings",
    "open_table",
    "read_gold",
    "read_probe_pool",
    "replay",
    "table_of_pool",
    "table_of_runs",
    "trust",
]

_HOMES = {
    "Calibration": "calibration",
    "Case": "outcomes",
    "Judging": "judging",
    "LossTable": "calibration",
    "Row": "replaying",
    "Share": "allocating",
    "VoteTable": "table",
    "allocate": "allocating",
    "calibrate": "calibration",
    "calibrated": "calibration",
    "is_right": "gold",
    "open_recordings": "recordings",
    "open_table": "loading",
    "read_gold": "gold",
    "read_probe_pool": "probes",
    "replay": "replaying",
    "table_of_pool": "loading",
    "table_of_runs": "loading",
    "trust": "judging",
}
"""Where each name lives: it is imported when it is first asked for, so that no command loads numpy for nothing."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'thinkctl.evals' has no attribute {name!r}")
    value = getattr(import_module(f"thinkctl.evals.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
