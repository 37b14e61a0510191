"""Figures of a study: rows say everything, pictures only draw them."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.compliance import compliance_rows, draw_compliance
from thinkctl.evals.figures.contrasts import Contrast, best_arm, contrasts, in_words
from thinkctl.evals.figures.forest import draw_forest
from thinkctl.evals.figures.hero import draw_hero
from thinkctl.evals.figures.hero_rows import axes_of, hero_rows
from thinkctl.evals.figures.latency import draw_latency, latency_rows
from thinkctl.evals.figures.selection import draw_selectors, selector_rows
from thinkctl.evals.figures.style import (
    COLOURS,
    MARKERS,
    amount,
    asked,
    number,
    plain,
    shortened,
    style_of,
    svg_of,
    tick,
    times,
    write_figure,
    write_rows,
)
from thinkctl.evals.figures.token_use import draw_tokens, spent_by, terciles, token_rows

TOKENS = Axis.GENERATED_TOKENS


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.2612, "0.26"),
        (1.04, "1.0"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (0.00123, "0.00123"),
        (0.0, "0"),
        (math.inf, "∞"),
        (math.nan, "unknown"),
    ],
)
def test_a_number_has_the_figures_that_mean_something(value, words):
    assert number(value) == words


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (amount(0.0012, Axis.DOLLARS), "$0.00120"),
        (amount(2.5e9, Axis.KV_BYTES), "2.5 GB"),
        (amount(math.nan, TOKENS), "not measured"),
        (tick(0.001, Axis.DOLLARS), "$0.001"),
        (tick(2000, TOKENS), "2,000"),
        (asked(1, "samples"), "1 sample"),
        (asked(2000, "tokens"), "2,000 tokens"),
        (times(1.036), "1.04"),
    ],
)
def test_costs_and_budgets_are_said_in_words(said, words):
    assert said == words


def test_names_are_on_one_line_without_what_cannot_be_printed():
    assert plain("a\x00b\nc\u202ed") == "a�b c�d"
    assert shortened("x" * 100, 20) == "x" * 13 + "…" + "x" * 6


def test_forty_nine_arms_differ_in_colour_or_marker():
    assert len({style_of(place) for place in range(len(COLOURS) * len(MARKERS))}) == 49


# -- rows ----------------------------------------------------------------------------------------------------


def test_hero_rows_are_the_points_on_one_axis(made):
    rows = hero_rows(made.usual(), "gsm8k", TOKENS, made.LARGE)
    assert [(row.arm, row.budget, row.baseline, row.replayed) for row in rows[:3]] == [
        (made.LARGE, 1, True, False),
        (made.SMALL, 1, False, True),
        (made.SMALL, 2, False, True),
    ]
    point = made.usual()[0]
    assert rows[0].cost == pytest.approx(point.costs[TOKENS].mean())
    assert rows[0].accuracy_low < rows[0].accuracy == 0.62 < rows[0].accuracy_high
    assert 0 < rows[0].cost_low < rows[0].cost < rows[0].cost_high
    assert rows[1].oracle == 0.35


def test_an_axis_that_was_not_measured_has_no_rows(made):
    points = made.usual(axes=(TOKENS, Axis.SECONDS))
    assert axes_of(points) == (TOKENS, Axis.SECONDS)
    assert {row.arm for row in hero_rows(points, "gsm8k", Axis.SECONDS)} == {made.LARGE}
    holes = replace(points[0], costs={TOKENS: np.full(100, math.nan)})
    assert hero_rows([holes], "gsm8k", TOKENS) == ()


def test_a_contrast_says_what_the_curve_says(made):
    found = contrasts(made.usual(400), "gsm8k", made.LARGE)
    assert {(row.arm, row.axis) for row in found} >= {(made.SMALL, TOKENS), (made.SMALL, Axis.TERAFLOPS)}
    (votes,) = [row for row in found if row.arm == made.SMALL and row.axis == TOKENS]
    assert votes.ratio is not None
    assert 2 < votes.ratio < 4
    assert votes.gain is not None
    assert votes.gain < 0
    flops = next(row for row in found if row.arm == made.SMALL and row.axis == Axis.TERAFLOPS)
    assert flops.ratio == pytest.approx(votes.ratio / 3)  # its tokens cost a third
    (checked,) = [row for row in found if row.arm == "0.5B best-of-n" and row.axis == TOKENS]
    assert checked.ratio is None
    assert checked.not_reached > 0.5
    assert "not reached in" in in_words(checked)[0]


def test_the_arrows_are_the_claims_arm_or_else_the_cheapest(made):
    found = contrasts(made.usual(), "gsm8k", made.LARGE)
    for claimed, arm in (("0.5B best-of-n", "0.5B best-of-n"), (None, made.SMALL)):
        shown = best_arm(found, claimed)
        assert shown is not None
        assert shown.arm == arm
    assert best_arm([]) is None


def test_the_forest_says_where_the_cheapest_budget_is_enough_already():
    texts = [svg_of(draw_forest([replace(CONTRAST, at_most=at_most)])) for at_most in (False, True)]
    assert ["or less" in text for text in texts] == [False, True]


def test_a_baseline_without_points_is_an_error(made):
    with pytest.raises(ConfigurationError, match=r"no point of arm 'other'.*0\.5B"):
        contrasts(made.usual(), "gsm8k", "other")


CONTRAST = Contrast("t", "a", "b", TOKENS, 9, 300.0, 0.6, 0.26, 0.22, 0.32, 0.0, 11.0, 6.0, 16.0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, ("same accuracy at 0.26× [0.22, 0.32]", "+11.0 points at equal compute [+6.0, +16.0]")),
        (
            {"ratio": None, "not_reached": 0.834},
            (
                "same accuracy: not reached in 83 % of resamples",
                "+11.0 points at equal compute [+6.0, +16.0]",
            ),
        ),
        (
            {"ratio_high": None, "not_reached": 0.1, "gain": -2.0, "gain_low": None},
            (
                "same accuracy at 0.26× [0.22, ∞]; not reached in 10 % of resamples",
                "−2.0 points at equal compute",
            ),
        ),
        (
            {"at_most": True, "gain": None},
            (
                "same accuracy at 0.26× [0.22, 0.32] or less",
                "equal compute: not comparable, every point of the arm costs more",
            ),
        ),
    ],
)
def test_a_contrast_in_words(changed, words):
    assert tuple(in_words(replace(CONTRAST, **changed))) == words


def test_the_selector_gap_is_between_a_random_sample_and_the_best(made):
    points = [made.point("a", 4, 0.5, 100, oracle=0.8, questions=10)]
    grades = {("gsm8k", "a"): {f"q{place}": (True, False, False, False) for place in range(10)}}
    (row,) = selector_rows(points, grades)
    assert (row.random, row.chosen, row.oracle) == (
        0.25,
        0.5,
        pytest.approx(0.85),
    )  # a right sample is a right one
    assert row.found == pytest.approx((0.5 - 0.25) / (0.85 - 0.25))
    assert selector_rows(points, {}) == ()


def test_tokens_go_to_the_answer_or_elsewhere_and_none_is_lost(made):
    run = made.run_of("q0", right=True, samples=4, text="I think.", model="small")
    spent = spent_by(run)
    each = [sample.usage.generated_tokens for sample in run.samples]
    assert (spent.kept, spent.discarded) == (sum(each) - each[1], each[1])
    assert spent.kept + spent.discarded + spent.verifier + spent.undelivered == run.receipt.generated_tokens


def test_thirds_are_of_one_size_and_in_order(made):
    thirds = terciles(made.usual(99))
    assert [list(thirds.values()).count(name) for name in ("easy", "middling", "hard")] == [33, 33, 33]
    right = np.sum([point.right for point in made.usual(99)], axis=0)
    scores = {name: right[place] for place, name in enumerate(made.usual(99)[0].question_ids)}
    assert min(scores[q] for q in thirds if thirds[q] == "easy") >= max(
        scores[q] for q in thirds if thirds[q] == "hard"
    )


def test_token_rows_are_means_of_a_question(made, results):
    rows = token_rows("gsm8k", made.SMALL, results.runs("gsm8k", made.SMALL), terciles(results.points))
    assert [row.difficulty for row in rows] == ["easy", "middling", "hard"]
    assert sum(row.questions for row in rows) == 40


def test_compliance_is_of_what_the_limit_limits(made):
    points = [
        made.point("a", 1000, 0.5, 800, limit="tokens", questions=50),
        made.point("b", 4, 0.5, 800, limit="rounds"),
    ]
    (row,) = compliance_rows(points)
    used = points[0].costs[TOKENS]
    assert (row.asked, row.used, row.most) == (1000, used.mean(), used.max())
    assert row.over == (used > 1000).mean() > 0


def test_a_limit_on_samples_counts_samples_and_not_the_requests_that_conclude_them(made):
    point = made.point("a", 4, 0.5, 800, questions=50)
    concluded = replace(point, costs={**point.costs, Axis.REQUESTS: np.full(50, 6.0)})
    (row,) = compliance_rows([concluded])
    assert (row.asked, row.used, row.most, row.over) == (4, 4, 4, 0)
    assert compliance_rows([replace(concluded, samples=None)]) == ()


def test_latency_is_of_measured_points_only(made):
    rows = latency_rows(made.usual(axes=tuple(Axis)))
    assert [row.arm for row in rows] == [made.LARGE]
    assert rows[0].p50 <= rows[0].p90 <= rows[0].most


# -- drawings ------------------------------------------------------------------------------------------------


def arms(made, number, budgets=4):
    return [
        made.point(made.LARGE, 1, 0.62, 298, model="large"),
        *(
            each
            for place in range(number)
            for each in made.curve(
                f"arm {place}",
                [0.3 + 0.02 * place * step for step in range(budgets)],
                replayed=place % 2 == 0,
            )
        ),
    ]


@pytest.mark.parametrize(("number", "budgets"), [(0, 1), (1, 1), (1, 4), (3, 4), (7, 3), (9, 2)])
def test_a_hero_names_every_arm_at_the_end_of_its_line(made, number, budgets):
    points = arms(made, number, budgets)
    text = svg_of(draw_hero(hero_rows(points, "gsm8k", TOKENS, made.LARGE), title="one"))
    words = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    assert set(words) >= {made.LARGE, *(f"arm {place}" for place in range(number))}


def test_the_hero_has_its_numbers_in_a_box_and_its_budgets_at_the_points(made):
    points = made.usual()
    shown = best_arm([row for row in contrasts(points, "gsm8k", made.LARGE) if row.axis == TOKENS])
    assert shown is not None
    text = svg_of(draw_hero(hero_rows(points, "gsm8k", TOKENS, made.LARGE), shown, title="one"))
    for words in (*in_words(shown), "16 samples", "any sample right"):
        assert f">{words}</text>" in text


def test_the_scale_begins_at_chance(made):
    rows = hero_rows(made.usual(), "gsm8k", TOKENS)
    assert draw_hero(rows, chance=0.25).axes[0].get_ylim()[0] == 25
    assert draw_hero(rows).axes[0].get_ylim()[0] == 0


def test_replayed_points_are_hollow_and_measured_ones_filled(made):
    points = [*made.curve("a", (0.3, 0.4)), *made.curve("b", (0.3, 0.5), replayed=True)]
    axes = draw_hero(hero_rows(points, "gsm8k", TOKENS)).axes[0]
    marks = {
        (line.get_markeredgecolor(), line.get_markerfacecolor() == line.get_markeredgecolor())
        for line in axes.lines
        if line.get_marker() in MARKERS
    }
    assert marks == {(COLOURS[0], True), (COLOURS[1], False)}


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "a & b", "$x_1$", "x" * 200, "]]>", "مرحبا", "a\x00b\x1b[31m", "%s {}"],
)
def test_any_name_can_be_drawn_and_is_text(made, name):
    points = [replace(point, arm=name, task=name) for point in made.curve("a", (0.3, 0.5))]
    text = svg_of(draw_hero(hero_rows(points, name, TOKENS), title=name))
    assert "<script" not in text
    assert "\x00" not in text
    from xml.etree import ElementTree

    ElementTree.fromstring(text)


def test_every_other_figure_can_be_drawn_with_one_row_and_with_many(made, results):
    points = made.usual(axes=tuple(Axis))
    found = contrasts(points, "gsm8k", made.LARGE)
    limited = [made.point("a", 500, 0.4, 700, limit="tokens", axes=tuple(Axis))]
    graded = {key: results.grades(*key) for key in [("gsm8k", made.SMALL)]}
    selected = selector_rows(results.points, graded)
    thirds = terciles(results.points)
    spent = token_rows("gsm8k", made.SMALL, results.runs("gsm8k", made.SMALL), thirds)
    drawings: list[tuple[Any, Sequence[Any]]] = [
        (draw_forest, found),
        (draw_selectors, selected),
        (draw_tokens, spent),
        (draw_compliance, compliance_rows([*limited, *points])),
        (draw_latency, latency_rows([*limited, *points])),
    ]
    for draw, rows in drawings:
        assert len(rows) > 0
        for some in (rows, rows[:1]):
            assert svg_of(draw(some, title="A title")).startswith("<svg")


def test_the_same_figure_is_the_same_file(made, tmp_path):
    rows = hero_rows(made.usual(), "gsm8k", TOKENS, made.LARGE)
    for name in ("a.svg", "b.svg"):
        write_figure(draw_hero(rows), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_drawing_leaves_the_settings_of_the_user_alone(made):
    before = mpl.rcParams["font.size"], mpl.rcParams["axes.facecolor"]
    svg_of(draw_hero(hero_rows(made.usual(), "gsm8k", TOKENS)))
    assert (mpl.rcParams["font.size"], mpl.rcParams["axes.facecolor"]) == before


def test_rows_are_written_beside_the_figure(made, tmp_path):
    rows = hero_rows(made.usual(), "gsm8k", TOKENS, made.LARGE)
    write_rows(tmp_path / "sub" / "hero.csv", rows)
    with (tmp_path / "sub" / "hero.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(rows)
    assert read[0]["arm"] == made.LARGE
    assert float(read[0]["accuracy"]) == 0.62
    assert read[0]["oracle"] == ""


def test_a_forest_says_once_that_an_arm_reaches_on_no_axis(made):
    found = contrasts([*made.usual(60), made.point("weak", 1, 0.1, 40, questions=60)], "gsm8k", made.LARGE)
    missed = [row for row in found if row.ratio is None]
    assert {row.arm for row in missed} >= {"weak"}
    text = svg_of(draw_forest(found))
    assert text.count("weak, 3 kinds of compute") == 1
    assert "weak, TFLOP" not in text
    assert f"{made.SMALL}, TFLOP" in text
