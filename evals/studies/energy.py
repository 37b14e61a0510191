"""Joules, where the machine tells them: NVIDIA's counters through NVML, or the processor's through RAPL.

The meter is around an engine's whole time at work; what runs on the machine besides is measured too, and idle power
counts. A run's part is its share of the tokens that were generated meanwhile. Where there are NVIDIA devices of which
any cannot be read, nothing is measured: the processor's joules alone would be too few.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, final

__all__ = ["EnergyMeter"]

_POWERCAP: Final = Path("/sys/class/powercap")

Counters = list[tuple[float, float | None]]
"""Joules so far of each counter, and where it starts again from 0; ``None`` where it never does."""


@final
class EnergyMeter:
    """Reads counters of energy. ``source`` names them; empty where the machine has none that can be read.

    A processor's counter starts again from 0, at full load after half an hour or so. What it has counted is kept at
    every reading, so it has to be read oftener than that.
    """

    def __init__(self, folder: Path = _POWERCAP) -> None:
        found = _found(folder)
        self.source: Final = found[0] if found else ""
        self._read = found[1] if found else None
        self._last: Counters = found[2] if found else []
        self._total = 0.0

    def joules(self) -> float | None:
        """Return the joules since the meter was made; ``None`` where nothing measures them.

        A reading that fails is ``None``, and the next one tells. A counter that went back and does not start again
        (a driver was loaded anew) has lost what it had counted: from then on nothing is measured.
        """
        if self._read is None:
            return None
        try:
            now = self._read()
        except Exception:  # noqa: BLE001 - whatever a driver raises, a study does not end by it
            return None
        for (before, _), (after, wraps) in zip(self._last, now, strict=True):
            if after < before and wraps is None:
                self._read = None
                return None
            self._total += after - before if after >= before else after + (wraps or 0.0) - before
        self._last = now
        return self._total


def _found(folder: Path) -> tuple[str, Callable[[], Counters], Counters] | None:
    """Return the name of what measures, how it is read, and a first reading; ``None`` where that fails."""
    try:
        found = _nvml() or _rapl(folder)
        return None if found is None else (*found, found[1]())
    except Exception:  # noqa: BLE001 - no permission, an old device, a device that is lost: it cannot be read
        return None


def _nvml() -> tuple[str, Callable[[], Counters]] | None:
    """Return how NVIDIA's devices are read; ``None`` where there is none. Raises what NVML raises."""
    try:
        import pynvml  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if getattr(error, "value", None) in (
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
            pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        ):
            return None
        raise
    devices = [pynvml.nvmlDeviceGetHandleByIndex(place) for place in range(pynvml.nvmlDeviceGetCount())]

    def read() -> Counters:
        return [(pynvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1e3, None) for device in devices]

    return ("nvml", read) if devices else None


def _rapl(folder: Path) -> tuple[str, Callable[[], Counters]] | None:
    """Return how the processor's packages are read; ``None`` where there is none."""
    packages = sorted(path for path in folder.glob("intel-rapl:*") if path.name.count(":") == 1)

    def read() -> Counters:
        return [
            (_number(path / "energy_uj") / 1e6, _number(path / "max_energy_range_uj") / 1e6)
            for path in packages
        ]

    return ("rapl", read) if packages else None


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
