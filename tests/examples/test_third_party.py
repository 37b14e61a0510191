"""The example package is loaded through its entry point like ours, and its own tests pass."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from thinkctl import registry
from thinkctl.testing import check_strategy

PACKAGE = Path(__file__).resolve().parents[2] / "examples" / "third_party_strategy"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the package on the path as an installer does: its modules, its metadata and its entry points."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))
    name, version = project["project"]["name"], project["project"]["version"]
    info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    points = project["project"]["entry-points"]
    lines = [
        line
        for group, told in points.items()
        for line in (f"[{group}]", *(f"{k} = {v}" for k, v in told.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    for module in project["tool"]["setuptools"]["py-modules"]:
        (tmp_path / f"{module}.py").write_text(
            (PACKAGE / f"{module}.py").read_text(encoding="utf-8"), encoding="utf-8"
        )
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("installed")
def test_a_strategy_of_another_package_is_found_by_its_name_and_checked_like_ours() -> None:
    part = registry.strategy("tie-break(3, most=9)")
    check_strategy(part)
    (described,) = [one for one in registry.describe("strategies") if one.name == "tie-break"]
    assert described.source == "thinkctl-tie-break"
    assert described.parameters == {"n": "4", "most": "12", "sampling": "sampling()"}


def test_it_is_as_short_as_promised() -> None:
    code = (PACKAGE / "tie_break.py").read_text(encoding="utf-8").splitlines()
    assert len(code) <= 35


def test_the_package_s_own_tests_pass(installed: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(PACKAGE),
    ]
    done = subprocess.run(
        [*command, "-c", str(PACKAGE / "pyproject.toml"), str(PACKAGE / "test_tie_break.py")],
        cwd=installed,
        env={
            "PYTHONPATH": str(installed),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # it needs none, and they take longer than its tests
        },
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
