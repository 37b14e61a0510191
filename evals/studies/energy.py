"""Joules, where the machine tells them: NVIDIA's counters through NVML, or the processor's through RAPL.

The meter is around an engine's whole time at work; what runs on the machine besides is measured too, and idle power
counts. A run's part is its share of the tokens that were generated meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, final

__all__ = ["EnergyMeter"]

_POWERCAP: Final = Path("/sys/class/powercap")


@final
class EnergyMeter:
    """Reads counters of energy. ``source`` names them; empty where the machine has none that can be read."""

    def __init__(self, folder: Path = _POWERCAP) -> None:
        found = _nvml() or _rapl(folder)
        self.source: Final = found[0] if found else ""
        self._read = found[1] if found else None
        self._began: Final = self._read() if self._read else []

    def joules(self) -> float | None:
        """Return the joules since the meter was made; ``None`` where nothing measures them."""
        if self._read is None:
            return None
        total = 0.0
        for (before, _), (now, wraps) in zip(self._began, self._read(), strict=True):
            total += now - before if now >= before else now + wraps - before
        return total


Counters = list[tuple[float, float]]
"""Joules so far of each counter, and where it starts again from 0."""


def _nvml() -> tuple[str, Callable[[], Counters]] | None:
    try:
        import pynvml  # type: ignore[import-untyped, import-not-found, unused-ignore]

        pynvml.nvmlInit()
        devices = [pynvml.nvmlDeviceGetHandleByIndex(place) for place in range(pynvml.nvmlDeviceGetCount())]

        def read() -> Counters:
            each = [pynvml.nvmlDeviceGetTotalEnergyConsumption(device) for device in devices]
            return [(millijoules / 1e3, 2.0**64 / 1e3) for millijoules in each]

        return ("nvml", read) if devices and read() else None
    except Exception:  # noqa: BLE001 - no driver, no device, an old device: there is nothing to read
        return None


def _rapl(folder: Path) -> tuple[str, Callable[[], Counters]] | None:
    packages = sorted(path for path in folder.glob("intel-rapl:*") if path.name.count(":") == 1)

    def read() -> Counters:
        return [
            (_number(path / "energy_uj") / 1e6, _number(path / "max_energy_range_uj") / 1e6)
            for path in packages
        ]

    try:
        return ("rapl", read) if packages and read() else None
    except (OSError, ValueError):
        return None


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
