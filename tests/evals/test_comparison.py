"""The comparison chooses on one half, reports on the other, and writes a page without a word of anybody's answers."""

from __future__ import annotations

import csv
import json
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.evals.comparison import AGREEMENT, FAMILIES, compare, halves, main
from thinkctl.evals.comparison_figure import STYLES
from thinkctl.evals.figures.placing import spread
from thinkctl.evals.loading import open_table, table_of_pool
from thinkctl.runfile import Pool, Recorded, RecordedSample

SECRET = "sesquipedalian"


@pytest.fixture(scope="module")
def pool_file(tmp_path_factory):
    """Forty questions of 12 samples; the harder a question, the more answers there are to it."""
    drawn = random.Random(0)
    path = tmp_path_factory.mktemp("pools") / "made_up.jsonl"
    lines = []
    for number in range(40):
        ease = 0.4 + 0.6 * number / 40
        answers = [SECRET if drawn.random() < ease else f"{SECRET} {drawn.randrange(4)}" for _ in range(12)]
        samples = [{"answer": each, "correct": each == SECRET, "tokens": 50} for each in answers]
        lines.append(json.dumps({"id": f"q{number}", "question": SECRET, "samples": samples}))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(pool_file):
    return compare(open_table(pool_file), permutations=4)


def test_every_kind_is_there_once_and_has_a_style(found):
    assert [each.family for each in found.chosen] == list(FAMILIES) == list(STYLES)
    assert set(found.curves) == set(FAMILIES)


def test_thresholds_are_the_cheapest_that_reach_the_agreement_on_the_tuning_half(found, pool_file):
    table = open_table(pool_file)
    tuning = table.rows(halves(table)[0])
    tuned = compare(tuning, permutations=4)
    assert tuned.questions == (10, 10)
    for each in found.chosen:
        assert each.reached is (each.tuned.agreement.value >= AGREEMENT)
        assert each.tuned.policy == each.reported.policy
        assert each.tuned.budget == each.reported.budget
        assert (each.tuned.questions, each.reported.questions) == (20, 20)


def test_what_is_reported_is_of_the_other_half(found, pool_file):
    table = open_table(pool_file)
    _, reporting = halves(table)
    shorter = compare(table.rows(reporting), permutations=4)
    assert found.full.questions == sum(shorter.questions) == 20


@given(groups=st.lists(st.integers(0, 6), min_size=1, max_size=30), seed=st.integers(0, 3))
def test_the_halves_are_apart_by_question_and_seeded(groups, seed):
    recorded = tuple(Recorded(f"q{number}", "", (RecordedSample("4", 1),)) for number in range(len(groups)))
    table = table_of_pool(Pool(recorded, {}, {one.id: (True,) for one in recorded}))
    object.__setattr__(table, "groups", np.unique(groups, return_inverse=True)[1])
    one, other = halves(table, seed=seed)
    assert sorted([*one, *other]) == list(range(len(groups)))
    assert not set(table.groups[one]) & set(table.groups[other])
    assert abs(len(set(table.groups[one])) - len(set(table.groups[other]))) <= 1
    assert np.array_equal(one, halves(table, seed=seed)[0])


def test_one_command_writes_the_page_the_figures_and_their_numbers(pool_file, tmp_path):
    main([str(pool_file), "--out", str(tmp_path), "--permutations", "2"])
    page = (tmp_path / "explanation" / "comparison-of-policies.md").read_text(encoding="utf-8")
    figure = (tmp_path / "figures" / "comparison-made_up.svg").read_text(encoding="utf-8")
    numbers = (tmp_path / "figures" / "comparison-made_up.csv").read_text(encoding="utf-8")
    assert "![Accuracy against samples and tokens on made_up](../figures/comparison-made_up.svg)" in page
    assert "nothing here says anything about latency" in page
    for family in FAMILIES:
        assert f"| {family} | `" in page
        assert f">{family}</text>" in figure
    rows = list(csv.DictReader(numbers.splitlines()))
    assert {row["kind"] for row in rows} == {*FAMILIES, "all samples"}
    assert sum(row["chosen"] == "1" for row in rows) == len(FAMILIES)
    assert {row["replayed"] for row in rows} == {"1"}
    assert "made_up: replayed, 20 questions, mean of 2 shuffles" in figure
    assert SECRET not in page + figure + numbers


def test_the_same_command_writes_the_same_bytes(pool_file, tmp_path):
    for name in ("one", "two"):
        main([str(pool_file), "--out", str(tmp_path / name), "--permutations", "2"])
    for file in (tmp_path / "one").rglob("*.*"):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


@given(wanted=st.lists(st.floats(0, 1), max_size=8).map(sorted))
def test_line_names_do_not_cover_each_other_and_stay_beside_the_figure(wanted):
    heights = spread(wanted, 0.1)
    assert all(high - low >= 0.1 - 1e-9 for low, high in pairwise(heights))
    assert all(-1e-9 <= height <= 1 + 1e-9 for height in heights)


def test_line_names_stay_where_they_are_wanted_if_there_is_room():
    assert spread([0.2, 0.5, 0.9], 0.1) == pytest.approx([0.2, 0.5, 0.9])
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
