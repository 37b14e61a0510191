"""The parts that pages define can be packaged as the pages say, and are then found by name."""

from __future__ import annotations

import contextlib
import io
import re
import tomllib
from pathlib import Path

import pytest

from thinkctl import registry
from thinkctl.testing import check_policy, check_strategy

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"


def blocks(page: str, language: str) -> list[str]:
    text = (HOW_TO / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def install(folder: Path, module: str, code: str, points: dict[str, dict[str, str]]) -> None:
    """Put a package into a folder as an installer would."""
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", encoding="utf-8"
    )
    lines = [
        line
        for group, names in points.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in names.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_strategy_of_the_page_is_found_by_the_name_that_the_page_gives_it(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition, *_, by_name = blocks("write-a-strategy.md", "python")
    (declared,) = blocks("write-a-strategy.md", "toml")
    install(site, "my_package", definition, tomllib.loads(declared)["project"]["entry-points"])

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(by_name, "write-a-strategy.md", "exec"), {})
    assert printed.getvalue().startswith("CheckAgain(checks=2, ")
    check_strategy(registry.strategy("check-again(2)"))
    assert "check-again" in [part.name for part in registry.describe("strategies")]


def test_the_policies_of_the_page_are_found_by_name(site: Path) -> None:
    definition, more, *_ = blocks("write-a-stopping-policy.md", "python")
    names = {"in-a-row": "my_rules:InARow", "no-laggards": "my_rules:NoLaggards"}
    install(site, "my_rules", definition + more, {"thinkctl.stopping": names})
    policy = registry.policy("any-of(in-a-row(3), no-laggards(times=1.5))")
    check_policy(policy)
