"""Smoke tests of the built wheel, run outside the checkout in an environment with nothing but the wheel.

``tools/check.sh wheel`` copies this folder next to such an environment; in the checkout it is not collected.
"""

from __future__ import annotations

import importlib
import subprocess
import sysconfig
from pathlib import Path

import pytest

SITE = Path(sysconfig.get_path("purelib")).resolve()


@pytest.mark.parametrize(
    "name",
    [
        "thinkctl",
        "thinkctl.answers",
        "thinkctl.cli",
        "thinkctl.controller",
        "thinkctl.engines",
        "thinkctl.evals",
        "thinkctl.models",
        "thinkctl.runfile",
        "thinkctl.stopping",
        "thinkctl.strategies",
        "thinkctl.testing",
        "thinkctl.types",
        "thinkctl.verifiers",
    ],
)
def test_each_package_comes_from_the_wheel_and_needs_no_extra(name: str) -> None:
    file = importlib.import_module(name).__file__
    assert file is not None
    assert Path(file).resolve().is_relative_to(SITE)


@pytest.mark.parametrize("name", ["strategies", "evals", "tests"])
def test_nothing_is_installed_under_a_name_of_others(name: str) -> None:
    assert not (SITE / name).exists()


def test_the_wheel_is_typed() -> None:
    assert (SITE / "thinkctl" / "py.typed").is_file()


def test_the_model_cards_are_in_the_wheel() -> None:
    cards = [path for path in (SITE / "thinkctl" / "models").iterdir() if path.suffix in {".json", ".toml"}]
    assert cards


def test_the_command_explains_itself() -> None:
    command = Path(sysconfig.get_path("scripts")) / "thinkctl"
    done = subprocess.run([command, "--help"], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize("name", ["gsm8k", "humaneval", "mbpp", "sql_recursive", "countdown"])
def test_the_tasks_come_with_their_data_and_need_no_extra(name: str) -> None:
    from thinkctl.evals.tasks import task

    assert len(task(name).problems) > 50


def test_a_recorded_study_is_in_the_wheel() -> None:
    (points,) = (SITE / "thinkctl" / "evals" / "results").glob("*/points.jsonl")
    assert (points.parent / "study.json").is_file()
    assert list((points.parent / "runs").glob("*.jsonl.gz"))
