"""Joules are those of the machine's counters, or none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.evals.studies.conftest import study_of
from thinkctl.evals.axes import Axis
from thinkctl.evals.studies.energy import EnergyMeter


@pytest.fixture(autouse=True)
def without_nvidia(monkeypatch: pytest.MonkeyPatch) -> None:
    """These are about the processor's counters, also on a machine that has others."""
    monkeypatch.setitem(sys.modules, "pynvml", None)


def package(folder: Path, number: int, microjoules: int, wraps: int = 1_000_000_000) -> None:
    place = folder / f"intel-rapl:{number}"
    place.mkdir(exist_ok=True)
    (place / "energy_uj").write_text(f"{microjoules}\n", encoding="ascii")
    (place / "max_energy_range_uj").write_text(f"{wraps}\n", encoding="ascii")


def test_packages_are_added_up_and_a_counter_may_start_again(tmp_path: Path) -> None:
    package(tmp_path, 0, 5_000_000)
    package(tmp_path, 1, 999_000_000)
    package(tmp_path, 2, 0)
    (tmp_path / "intel-rapl:0:0").mkdir()  # a part of package 0, which counts it already
    meter = EnergyMeter(tmp_path)
    assert (meter.source, meter.joules()) == ("rapl", 0.0)
    package(tmp_path, 0, 7_500_000)
    package(tmp_path, 1, 2_000_000)
    assert meter.joules() == pytest.approx(2.5 + 3.0)


def test_without_a_counter_nothing_is_measured(tmp_path: Path) -> None:
    meter = EnergyMeter(tmp_path)
    assert (meter.source, meter.joules()) == ("", None)


def test_a_measured_run_has_its_share_of_the_joules_and_a_replayed_one_none(go, tmp_path: Path) -> None:
    go(study_of())
    sessions = tmp_path / "results" / "sessions.jsonl"
    rows = [json.loads(line) for line in sessions.read_text("utf-8").splitlines()]
    sessions.write_text("".join(json.dumps({**row, "joules": 30.0}) + "\n" for row in rows), encoding="utf-8")
    large, *votes = go(study_of()).points
    assert large.costs[Axis.JOULES].sum() == pytest.approx(30.0)
    assert large.costs[Axis.JOULES] / large.costs[Axis.GENERATED_TOKENS] == pytest.approx(
        [30.0 / large.costs[Axis.GENERATED_TOKENS].sum()] * 6
    )
    assert all(Axis.JOULES not in point.costs for point in votes)
    with sessions.open(
        "a", encoding="utf-8"
    ) as file:  # a later session was not measured, and a last one torn
        file.write(json.dumps({**rows[0], "joules": None}) + '\n{"models": ["la')
    assert all(Axis.JOULES not in point.costs for point in go(study_of()).points)
