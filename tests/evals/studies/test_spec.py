"""A study file says what it means, or an error says where it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evals.studies.conftest import study_of, sums
from thinkctl.errors import ConfigurationError
from thinkctl.evals.studies import Study, dump_study, load_study, plan_study
from thinkctl.evals.studies.planning import first_requests
from thinkctl.evals.studies.spec import slug

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "studies").glob("*.toml"))
GOOD = """
title = "t"
budgets = [1, 2]
[[tasks]]
name = "sums"
[models.small]
engine = "scripted:small"
[[arms]]
name = "votes"
model = "small"
strategy = "self-consistency(4)"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_loads_plans_and_comes_back_from_toml(path: Path, tmp_path: Path) -> None:
    study = load_study(path)
    assert load_study(written(tmp_path, dump_study(study))) == study
    plan = plan_study(study)
    assert len(plan.points) >= 4
    assert len(first_requests(plan)) == len(plan.recordings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('titel = "x"', r"titel: unknown key; known here: title, tasks"),
        (
            "[[arms]]\nname = 'b'\nmodel = 'small'\nstrategi = 'x'",
            r"arms\[1\]\.strategi: unknown key; known here: name",
        ),
        ("[models.big]\nengine = 'vllm:x'\nquant = 4", r"models\.big\.quant: unknown key"),
        ("[[arms]]\nname = 'b'\nmodel = 'small'", r"arms\[1\]\.strategy: is missing"),
        ("[[arms]]\nname = 'b'\nmodel = 'big'\nstrategy = 'zero-shot'", r"arms\.1\.model is 'big', which"),
        ("[[arms]]\nname = 'votes'\nmodel = 'small'\nstrategy = 'zero-shot'", r"'votes' is there twice"),
        ("[[claims]]\nsmall = 'votes'\nlarge = 'nobody'", r"claims\.0\.large is 'nobody'"),
        ("[[claims]]\nsmall = 'votes'\nlarge = 'votes'", r"claims\.0 compares 'votes' with itself"),
        (
            "[[claims]]\nsmall = 'votes'\nlarge = 'votes'\naxis = 'money'",
            r"claims\[0\]\.axis: .*generated_tokens",
        ),
        ("[[claims]]\nsmal = 'votes'", r"claims\[0\]\.smal: unknown key; known here: small, large"),
        (
            "[claim]\nsmall = 'votes'",
            r"claim: unknown key; state each claim under \[\[claims\]\]; known here",
        ),
        (
            "[[arms]]\nname = 'b'\nmodel = 'small'\nstrategy = 'zero-shot'\n"
            + 2 * "[[claims]]\nsmall = 'votes'\nlarge = 'b'\n",
            r"claims\.1 is there twice",
        ),
        ("[[tasks]]\nname = 'sums'", r"'sums' is there twice"),
        ("[[tasks]]\nname = 'b'\nquestions = 0", r"tasks\[1\]\.questions: .*greater than 0"),
        ("[models.big]\nengine = 'qwen'", r"models\.big\.engine: "),
        ("[[arms]]\nname = '../x'\nmodel = 'small'\nstrategy = 'zero-shot'", r"arms\[1\]\.name: "),
        ("= 3", r"this is no TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_path(tmp_path: Path, change: str, said: str) -> None:
    path = written(tmp_path, f"{change}\n{GOOD}" if change.startswith("titel") else f"{GOOD}\n{change}\n")
    with pytest.raises(ConfigurationError, match=said) as raised:
        load_study(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_study(tmp_path / "none.toml")


ARM = {"name": "a", "model": "small", "strategy": "self-consistency(4)"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"arms": [{**ARM, "strategy": "self-consistancy(4)"}]},
            r"arms\[0\] \(a\): .*did you mean 'self-consistency'",
        ),
        ({"arms": [{**ARM, "policy": "margn(2)"}]}, "did you mean 'margin'"),
        ({"arms": [{**ARM, "think": False}]}, "the strategy has no 'think'"),
        ({"arms": [{**ARM, "strategy": "best-of-n(4)"}]}, 'needs a verifier; write verifier = "task"'),
        (
            {"arms": [{**ARM, "strategy": "best-of-n(4)", "verifier": "task"}]},
            "the check of 'sums', which has none",
        ),
        ({"arms": [{**ARM, "pool": 2}]}, "a pool of 2 samples cannot tell what 4 do"),
        ({"tasks": [{"name": "sums", "questions": 7}]}, "cannot be drawn"),
        ({"tune": 6}, "cannot be drawn"),
        (
            {"models": {"small": {"engine": "scripted:s", "prices": "prompt"}}, "arms": [ARM]},
            "'prompt' is not understood",
        ),
        (
            {
                "tasks": [{"name": "sums"}, {"name": "more"}],
                "arms": [{**ARM, "tasks": ["sums"]}, {**ARM, "name": "b", "tasks": ["more"]}],
                "claims": [{"small": "a", "large": "b"}],
            },
            "no common task",
        ),
    ],
)
def test_what_a_study_cannot_be_is_said_before_anything_runs(changes, said, go, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        go(study_of(**changes))
    assert not list(tmp_path.rglob("*.jsonl"))


@given(st.text(min_size=1, max_size=200))
def test_a_name_in_a_file_name_leaves_its_folder_never(name: str) -> None:
    assert re.fullmatch(r"[\w.-]+", slug(name))
    assert not slug(name).startswith(".")
    assert len(slug(name).encode()) <= 60


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    ),
)
def test_any_text_survives_toml(title: str, options: dict[str, str]) -> None:
    import tomllib

    study = study_of(
        title=title,
        models={"small": {"engine": "scripted:s", "options": options}, "large": {"engine": "scripted:l"}},
    )
    assert Study.model_validate(tomllib.loads(dump_study(study))) == study


def test_arms_that_draw_the_same_samples_share_a_pool_and_others_are_recorded_apart() -> None:
    arms = [
        ARM,
        {**ARM, "name": "adaptive", "policy": "adaptive-consistency(0.95)"},
        {**ARM, "name": "hot", "sampling": {"temperature": 1.0}},
        {**ARM, "name": "measured", "measured": True},
        {**ARM, "name": "probing", "policy": "answer-stable(3)"},
        {"name": "at once", "model": "small", "strategy": "zero-shot"},
        {"name": "waits", "model": "small", "strategy": "chain-of-thought(waits=3)"},
    ]
    plan = plan_study(study_of(arms=arms), sums)
    recorded = {(point.arm.spec.name, point.rung.budget): point.recording for point in plan.points}
    assert recorded["a", 4] is recorded["adaptive", 1]
    assert recorded["a", 4].pool == 4
    assert recorded["hot", 1] is not recorded["a", 1]
    assert [
        each.pool for name, each in recorded.items() if name[0] in {"measured", "probing", "at once", "waits"}
    ] == [0] * 10
    assert len({each.name for each in plan.recordings}) == len(plan.recordings) == 12
    waits = [point.rung.strategy for point in plan.points if point.arm.spec.name == "waits"]
    assert [strategy.waits for strategy in waits] == [0, 1, 3]  # type: ignore[attr-defined]
