"""Evaluation: tasks, studies, replay, metrics and curves.

Everything in here may know reference answers and may use numpy and matplotlib; nothing below it may. It is
imported as ``thinkctl.evals`` only, and ``import thinkctl`` does not load it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thinkctl.evals.calibration import Calibration, LossTable, calibrate, calibrated
    from thinkctl.evals.gold import is_right, read_gold
    from thinkctl.evals.probes import read_probe_pool
    from thinkctl.evals.recordings import open_recordings

__all__ = [
    "Calibration",
    "LossTable",
    "calibrate",
    "calibrated",
    "is_right",
    "open_recordings",
    "read_gold",
    "read_probe_pool",
]

_HOMES = {
    "Calibration": "calibration",
    "LossTable": "calibration",
    "calibrate": "calibration",
    "calibrated": "calibration",
    "is_right": "gold",
    "open_recordings": "recordings",
    "read_gold": "gold",
    "read_probe_pool": "probes",
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
