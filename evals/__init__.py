"""Evaluation: tasks, studies, replay, metrics and curves.

Everything in here may know reference answers and may use numpy and matplotlib; nothing below it may. It is
imported as ``thinkctl.evals`` only, and ``import thinkctl`` does not load it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thinkctl.evals.allocating import Share, allocate
    from thinkctl.evals.axes import Axis
    from thinkctl.evals.calibration import Calibration, LossTable, calibrate, calibrated
    from thinkctl.evals.costs import costs_of
    from thinkctl.evals.gold import is_right, read_gold
    from thinkctl.evals.judging import Judging, trust
    from thinkctl.evals.loading import open_table, table_of_pool, table_of_runs
    from thinkctl.evals.outcomes import Case
    from thinkctl.evals.points import Health, Point, read_points
    from thinkctl.evals.probes import read_probe_pool
    from thinkctl.evals.recordings import open_recordings
    from thinkctl.evals.replaying import Row, replay
    from thinkctl.evals.studies import Study, load_study, open_study, run_study
    from thinkctl.evals.table import VoteTable
    from thinkctl.evals.tasks import Task, task

__all__ = [
    "Axis",
    "Calibration",
    "Case",
    "Health",
    "Judging",
    "LossTable",
    "Point",
    "Row",
    "Share",
    "Study",
    "Task",
    "VoteTable",
    "allocate",
    "calibrate",
    "calibrated",
    "costs_of",
    "is_right",
    "load_study",
    "open_recordings",
    "open_study",
    "open_table",
    "read_gold",
    "read_points",
    "read_probe_pool",
    "replay",
    "run_study",
    "table_of_pool",
    "table_of_runs",
    "task",
    "trust",
]

_HOMES = {
    "Axis": "axes",
    "Calibration": "calibration",
    "Case": "outcomes",
    "Health": "points",
    "Judging": "judging",
    "LossTable": "calibration",
    "Point": "points",
    "Row": "replaying",
    "Share": "allocating",
    "Study": "studies",
    "Task": "tasks",
    "VoteTable": "table",
    "allocate": "allocating",
    "calibrate": "calibration",
    "calibrated": "calibration",
    "costs_of": "costs",
    "is_right": "gold",
    "load_study": "studies",
    "open_recordings": "recordings",
    "open_study": "studies",
    "open_table": "loading",
    "read_gold": "gold",
    "read_points": "points",
    "read_probe_pool": "probes",
    "replay": "replaying",
    "run_study": "studies",
    "table_of_pool": "loading",
    "table_of_runs": "loading",
    "task": "tasks",
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
