"""The figure of the stopping rules is what the rules do, and the copy in the documentation is the current one."""

from __future__ import annotations

from pathlib import Path

import pytest

from thinkctl import registry
from thinkctl.evals.operating import FAMILIES, SHARES, rows, write
from thinkctl.stopping.characteristics import characteristics

DOCS = Path(__file__).parents[2] / "docs" / "figures"


def test_every_rule_is_there_at_every_share_with_its_exact_figures() -> None:
    found = {(row.policy, row.share): row for row in rows()}
    specs = [spec for family in FAMILIES.values() for spec in family]
    assert set(found) == {(spec, share) for spec in specs for share in SHARES}
    row = found["margin(4)", 0.7]
    exact = characteristics(registry.policy("margin(4)"), 0.7)
    assert (row.votes, row.wrong) == (exact.votes, exact.wrong)
    assert row.added == pytest.approx(exact.wrong - characteristics(None, 0.7).wrong)


def test_only_the_exact_rule_adds_no_mistake_and_takes_fewer_votes() -> None:
    free = {row.policy for row in rows() if row.added <= 1e-12}
    assert free == {"none", "cannot-be-overtaken(40)"}
    assert all(row.votes < 40 for row in rows() if row.policy == "cannot-be-overtaken(40)")


def test_the_numbers_in_the_documentation_are_the_current_ones(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    write(tmp_path)
    assert (tmp_path / "operating.csv").read_text() == (DOCS / "operating.csv").read_text()
    assert (tmp_path / "operating.svg").read_text().startswith("<?xml")
