"""What NVML counts, on a driver that is made up; what cannot be read is not measured, and ends no study."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.evals.studies.conftest import study_of
from tests.evals.studies.test_energy import package
from thinkctl.evals.axes import Axis
from thinkctl.evals.studies.energy import EnergyMeter


class DriverError(Exception):
    """An error of NVML: ``value`` is its number."""

    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, LOST = 3, 4, 9, 12, 15


class Driver(ModuleType):
    """A made-up ``pynvml``. ``counters`` are the millijoules of each device; an error in their place is raised."""

    NVMLError = DriverError
    NVML_ERROR_DRIVER_NOT_LOADED = DRIVER_NOT_LOADED
    NVML_ERROR_LIBRARY_NOT_FOUND = LIBRARY_NOT_FOUND

    def __init__(self, *counters: int | DriverError, start: DriverError | None = None) -> None:
        super().__init__("pynvml")
        self.counters: list[int | DriverError] = list(counters)
        self._start = start

    def nvmlInit(self) -> None:  # noqa: N802 - the driver's names
        if self._start is not None:
            raise self._start

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.counters)

    def nvmlDeviceGetHandleByIndex(self, place: int) -> int:  # noqa: N802
        return place

    def nvmlDeviceGetTotalEnergyConsumption(self, device: int) -> int:  # noqa: N802
        told = self.counters[device]
        if isinstance(told, DriverError):
            raise told
        return told


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """Return ``load(driver)``: what ``import pynvml`` finds from then on; ``None``: nothing."""

    def put(driver: Driver | None) -> Driver | None:
        monkeypatch.setitem(sys.modules, "pynvml", driver)
        return driver

    return put


def test_the_joules_of_all_devices_are_added_up_since_the_meter_was_made(load, tmp_path: Path) -> None:
    driver = load(Driver(1_000_000, 5_000_000))
    meter = EnergyMeter(tmp_path)
    assert (meter.source, meter.joules()) == ("nvml", 0.0)
    driver.counters = [1_002_500, 5_000_400]
    assert meter.joules() == pytest.approx(2.9)
    driver.counters = [1_002_500, 5_001_400]
    assert meter.joules() == pytest.approx(3.9)


def test_devices_go_before_the_processor(load, tmp_path: Path) -> None:
    package(tmp_path, 0, 5_000_000)
    load(Driver(7))
    assert EnergyMeter(tmp_path).source == "nvml"


def test_a_device_s_counter_that_goes_back_is_not_measured_from_then_on(load, tmp_path: Path) -> None:
    """A driver that was loaded anew counts from 0: that is no turn of a counter, and what was before is lost."""
    driver = load(Driver(9_000, 9_000))
    meter = EnergyMeter(tmp_path)
    driver.counters = [9_500, 100]
    assert meter.joules() is None
    driver.counters = [99_000, 99_000]
    assert meter.joules() is None


@pytest.mark.parametrize("counters", [(DriverError(NO_PERMISSION),), (4_000, DriverError(NOT_SUPPORTED))])
def test_with_a_device_that_cannot_be_read_nothing_is_measured(load, tmp_path: Path, counters) -> None:
    """The processor's joules, or those of the other devices, would pass for all of them."""
    package(tmp_path, 0, 5_000_000)
    load(Driver(*counters))
    meter = EnergyMeter(tmp_path)
    assert (meter.source, meter.joules()) == ("", None)


def test_devices_that_may_not_be_looked_at_are_not_measured_by_the_processor(load, tmp_path: Path) -> None:
    package(tmp_path, 0, 5_000_000)
    load(Driver(4_000, start=DriverError(NO_PERMISSION)))
    meter = EnergyMeter(tmp_path)
    assert (meter.source, meter.joules()) == ("", None)


@pytest.mark.parametrize(
    "driver",
    [
        None,
        Driver(),
        Driver(1, start=DriverError(LIBRARY_NOT_FOUND)),
        Driver(1, start=DriverError(DRIVER_NOT_LOADED)),
    ],
    ids=["no library", "no device", "no driver", "driver not loaded"],
)
def test_without_a_device_the_processor_is_measured(load, tmp_path: Path, driver: Driver | None) -> None:
    load(driver)
    assert (EnergyMeter(tmp_path).source, EnergyMeter(tmp_path).joules()) == ("", None)
    package(tmp_path, 0, 5_000_000)
    assert (EnergyMeter(tmp_path).source, EnergyMeter(tmp_path).joules()) == ("rapl", 0.0)


def test_a_reading_that_fails_is_none_and_the_next_one_tells_all(load, tmp_path: Path) -> None:
    driver = load(Driver(1_000))
    meter = EnergyMeter(tmp_path)
    driver.counters = [DriverError(LOST)]
    assert meter.joules() is None
    driver.counters = [3_000]
    assert meter.joules() == pytest.approx(2.0)


def test_a_processor_s_counter_that_can_no_longer_be_read_is_none(load, tmp_path: Path) -> None:
    load(None)
    package(tmp_path, 0, 5_000_000)
    meter = EnergyMeter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.joules() is None


def test_a_processor_s_counter_may_start_again_more_than_once(load, tmp_path: Path) -> None:
    load(None)
    package(tmp_path, 0, 900_000_000)
    meter = EnergyMeter(tmp_path)
    told = []
    for reading in (400_000_000, 950_000_000, 100_000_000):
        package(tmp_path, 0, reading)
        told.append(meter.joules())
    assert told == pytest.approx([500.0, 1_050.0, 1_200.0])


def test_a_study_goes_on_where_a_device_is_lost_and_has_no_joules(load, go, tmp_path: Path) -> None:
    class Lost(Driver):
        """Can be read once."""

        def nvmlDeviceGetTotalEnergyConsumption(self, device: int) -> int:  # noqa: N802
            told = super().nvmlDeviceGetTotalEnergyConsumption(device)
            self.counters = [DriverError(LOST)]
            return told

    load(Lost(1_000))
    large, *_ = go(study_of()).points
    assert Axis.GENERATED_TOKENS in large.costs
    assert Axis.JOULES not in large.costs
    rows = [
        json.loads(line) for line in (tmp_path / "results" / "sessions.jsonl").read_text("utf-8").splitlines()
    ]
    assert rows[0]["energy_source"] == "nvml"
    assert all(row["joules"] is None for row in rows)


def test_a_study_on_a_measured_device_shares_out_its_joules(load, go) -> None:
    class Running(Driver):
        """Uses 2 joules between two readings."""

        def nvmlDeviceGetTotalEnergyConsumption(self, device: int) -> int:  # noqa: N802
            told = super().nvmlDeviceGetTotalEnergyConsumption(device) + 2_000
            self.counters = [told]
            return told

    driver = load(Running(0))
    large, *_ = go(study_of(arms=[{"name": "large", "model": "large", "strategy": "zero-shot"}])).points
    assert large.costs[Axis.JOULES].sum() == pytest.approx(
        (driver.nvmlDeviceGetTotalEnergyConsumption(0) - 4_000) / 1e3
    )
