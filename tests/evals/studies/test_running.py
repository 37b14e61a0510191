"""A study goes on where it was, refuses what is something else, and comes to the same points."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.evals.studies.conftest import study_of, sums
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.evals.axes import Axis
from thinkctl.evals.studies import (
    ModelSpec,
    News,
    load_study,
    open_engine,
    open_study,
    run_study,
    run_study_async,
)
from thinkctl.runfile import TornLine, read
from thinkctl.testing import Script, ScriptedEngine

RUNS = ("sums_large", "sums_votes")


def packed(folder: Path, name: str) -> Path:
    return folder / "runs" / f"{name}.jsonl.gz"


def unpack(folder: Path, name: str, *, lines: int, torn: bytes = b"") -> Path:
    """Leave a recording as a kill would: its header, some runs, and a part of one more; no results yet."""
    whole = gzip.decompress(packed(folder, name).read_bytes()).splitlines(keepends=True)
    packed(folder, name).unlink()
    path = folder / "runs" / f"{name}.jsonl"
    path.write_bytes(b"".join(whole[: lines + 1]) + torn)
    for left in ("points.jsonl", "study.json", "grades.jsonl"):
        (folder / left).unlink(missing_ok=True)
    return path


def timeless(folder: Path) -> dict[str, list[str]]:
    """Everything that was recorded, without times."""
    return {
        path.name: [
            json.dumps(_without_times(json.loads(line)))
            for line in gzip.decompress(path.read_bytes()).splitlines()
        ]
        for path in sorted((folder / "runs").glob("*.gz"))
    }


def _without_times(value):
    if isinstance(value, dict):
        left_out = {"created", "elapsed", "seconds", "started", "ended", "verifier_seconds"}
        return {name: _without_times(item) for name, item in value.items() if name not in left_out}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def summary(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "points.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        row["costs"].pop("seconds", None)
    return rows


def test_a_study_has_a_point_for_every_arm_and_budget(go) -> None:
    results = go(study_of())
    assert [(point.arm, point.budget, point.replayed) for point in results.points] == [
        ("large", 1, False),
        ("votes", 1, True),
        ("votes", 2, True),
        ("votes", 4, True),
    ]
    large, votes = results.points[0], results.points[-1]
    assert Axis.SECONDS in large.costs
    assert not {Axis.SECONDS, Axis.JOULES} & votes.costs.keys()
    assert Axis.DOLLARS in votes.costs
    assert Axis.DOLLARS not in large.costs  # nobody gave its price
    assert votes.health.samples == 24
    runs = list(results.runs("sums", "votes"))
    assert [run.history.problem.id for run in runs] == list(votes.question_ids)
    assert votes.costs[Axis.GENERATED_TOKENS].tolist() == [run.receipt.generated_tokens for run in runs]
    assert votes.costs[Axis.REQUESTS].tolist() == [4.0] * 6
    dollars = [float(run.receipt.dollars or 0) for run in runs]
    assert votes.costs[Axis.DOLLARS].tolist() == pytest.approx(dollars)
    grades = results.grades("sums", "votes")
    assert {name: len(each) for name, each in grades.items()} == dict.fromkeys(votes.question_ids, 4)
    assert votes.oracle is not None
    assert votes.oracle.tolist() == [float(any(grades[name])) for name in votes.question_ids]
    assert [results.is_right("sums", run) for run in results.runs("sums", "large")] == [
        x == 1 for x in large.right
    ]


def test_the_same_study_again_runs_nothing_and_changes_no_byte(go, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    go(study_of())
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def refuse(name: str, spec: ModelSpec):
        raise AssertionError(f"{name} was opened")

    go(study_of(), open_engine=refuse)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("torn", [b"", b'{"history":{"problem":{"id":"su'])
def test_what_was_torn_is_run_again_and_the_records_are_the_same(go, tmp_path: Path, torn: bytes) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    go(study_of(), whole)
    go(study_of(), broken)
    unpack(broken, "sums_votes", lines=2, torn=torn)
    news: list[News] = []
    go(study_of(), broken, tell=news.append)
    again = {each.run.history.problem.id for each in news if each.run is not None}
    assert len(again) == 4
    assert sum(each.run is not None for each in news) == 4
    assert timeless(whole) == timeless(broken)
    assert summary(whole) == summary(broken)


def test_a_torn_header_is_written_anew(go, tmp_path: Path) -> None:
    go(study_of())
    path = unpack(tmp_path / "results", "sums_large", lines=0)
    path.write_bytes(path.read_bytes()[:20])
    assert len(list(go(study_of()).runs("sums", "large"))) == 6


def test_an_engine_that_dies_leaves_what_had_ended(go, tmp_path: Path) -> None:
    def dying(name: str, spec: ModelSpec):
        if name == "large":
            return open_engine(name, spec)
        return ScriptedEngine(
            lambda number, _: Script(r"So that makes \boxed{4}", die_after=2 if number == 9 else None),
            card=open_engine(name, spec).card,
        )

    study = study_of(at_once=1)
    with pytest.raises(EngineUnavailable):
        go(study, open_engine=dying)
    folder = tmp_path / "results"
    assert len(list(read(folder / "runs" / "sums_large.jsonl"))) == 6
    assert len(list(read(folder / "runs" / "sums_votes.jsonl"))) == 2
    with pytest.raises(ConfigurationError, match="is not finished"):
        open_study(folder)


def test_a_question_that_does_not_fit_the_model_is_an_error_and_the_others_go_on(tmp_path: Path) -> None:
    def narrow(name: str, spec: ModelSpec):
        card = open_engine(name, spec).card.model_copy(update={"context": 62})
        return ScriptedEngine([Script(r"So \boxed{4}")], card=card)

    from dataclasses import replace

    problems = sums().problems
    long = problems[0].model_copy(
        update={"messages": (problems[0].messages[0].model_copy(update={"content": "1 " * 90}),)}
    )
    task = replace(sums(), problems=(long, *problems[1:]))
    results = run_study(study_of(), tmp_path, task_of=lambda _: task, open_engine=narrow)
    for point in results.points:
        assert (point.health.errors, len(point.right)) == (1, 6)
        assert point.abstained[list(point.question_ids).index("sum0")] == 1
        assert sum(point.abstained) == 1
    bad = next(run for run in results.runs("sums", "votes") if run.history.problem.id == "sum0")
    assert "does not fit" in bad.why


def test_what_was_spent_before_a_later_request_did_not_fit_is_on_the_bill(tmp_path: Path) -> None:
    def narrow(name: str, spec: ModelSpec):
        card = open_engine(name, spec).card.model_copy(update={"context": 80})
        return ScriptedEngine([Script("no " * 40 + r"So \boxed{4}")], card=card)

    arm = {
        "name": "corrects",
        "model": "small",
        "strategy": "self-correction(3)",
        "verifier": "matches('never')",
        "budgets": [3],
    }
    results = run_study(study_of(arms=[arm]), tmp_path, task_of=sums, open_engine=narrow)
    runs = list(results.runs("sums", "corrects"))
    assert all("does not fit" in run.why for run in runs)
    assert all(run.receipt.generated_tokens > 0 for run in runs)
    assert results.lost.tokens == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": [1]}, r"seed was .* is now"),
        (
            {"arms": [{"name": "large", "model": "large", "strategy": "chain-of-thought"}]},
            "strategy.name was",
        ),
        (
            {
                "arms": [
                    {
                        "name": "large",
                        "model": "large",
                        "strategy": "zero-shot",
                        "sampling": {"temperature": 1},
                    }
                ]
            },
            "strategy.sampling",
        ),
        (
            {"models": {"small": {"engine": "scripted:small"}, "large": {"engine": "scripted:other"}}},
            r'engine was "scripted:large", is now "scripted:other"',
        ),
        (
            {
                "models": {
                    "small": {"engine": "scripted:small"},
                    "large": {"engine": "scripted:large", "options": {"right": 1}},
                }
            },
            "models.large.options.right was 0.8, is now 1",
        ),
        (
            {"arms": [{"name": "votes", "model": "small", "strategy": "self-consistency(4)"}], "pool": 8},
            "strategy.n was 4, is now 8",
        ),
    ],
)
def test_another_study_in_the_same_folder_is_refused_with_what_differs(
    go, tmp_path: Path, changes, said
) -> None:
    go(study_of())
    before = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*.gz")}
    text = (tmp_path / "results" / "study.toml").read_text("utf-8")
    with pytest.raises(ConfigurationError, match=said) as raised:
        go(study_of(**changes))
    assert "give another folder with --out" in str(raised.value)
    assert {path: path.read_bytes() for path in (tmp_path / "results").rglob("*.gz")} == before
    assert (tmp_path / "results" / "study.toml").read_text("utf-8") == text


def test_another_text_of_the_task_is_refused(go, tmp_path: Path) -> None:
    import dataclasses

    go(study_of())
    task = sums()
    other = dataclasses.replace(
        task, problems=(*task.problems[:-1], task.problems[-1].model_copy(update={"form": "number"}))
    )
    with pytest.raises(ConfigurationError, match="task_checksum was"):
        run_study(study_of(), tmp_path / "results", task_of=lambda name: other)


def test_another_model_under_the_same_name_is_refused(go, tmp_path: Path) -> None:
    go(study_of())
    unpack(tmp_path / "results", "sums_large", lines=3)

    def other(name: str, spec: ModelSpec):
        from thinkctl.evals.studies.rehearsal import Rehearsal

        return Rehearsal("large", parameters=7)

    with pytest.raises(ConfigurationError, match="another model card"):
        go(study_of(), open_engine=other)


def test_a_run_file_of_somebody_else_is_refused(go, tmp_path: Path) -> None:
    go(study_of())
    path = unpack(tmp_path / "results", "sums_large", lines=6)
    header, *rest = path.read_bytes().splitlines(keepends=True)
    values = json.loads(header)
    del values["identity"]
    path.write_bytes(json.dumps(values).encode() + b"\n" + b"".join(rest))
    with pytest.raises(ConfigurationError, match="belongs to no study"):
        go(study_of())


def test_a_study_may_grow_by_arms_questions_and_repeats(go, tmp_path: Path) -> None:
    """What was recorded is kept; a smaller study afterwards throws nothing away."""
    small = study_of(tasks=[{"name": "sums", "questions": 3}], arms=study_of().model_dump()["arms"][:1])
    go(small)
    news: list[News] = []
    results = go(study_of(tasks=[{"name": "sums", "repeats": 2}]), tell=news.append)
    large = [each for each in news if each.recording.name == "sums_large"]
    assert large[0].done == 3
    assert len([each for each in large if each.run is not None]) == 9
    assert [len(point.question_ids) for point in results.points] == [6] * 4
    assert len(list(results.runs("sums", "large"))) == 12
    assert len(go(small).points[0].question_ids) == 3
    assert len(list(read(packed(tmp_path / "results", "sums_large")))) == 12


def test_two_processes_do_not_run_one_study_at_once(go, tmp_path: Path) -> None:
    from thinkctl.evals.studies.records import locked

    with (
        locked(tmp_path / "results"),
        pytest.raises(ConfigurationError, match="another process runs this study"),
    ):
        go(study_of())


def test_seeds_and_repeats_are_runs_of_their_own_and_one_value_a_question(go) -> None:
    results = go(study_of(seeds=[0, 1], tasks=[{"name": "sums", "questions": 2, "repeats": 2}]))
    runs = list(results.runs("sums", "votes"))
    assert len({run.history.seed for run in runs}) == 8
    point = results.points[-1]
    assert len(point.right) == 2
    tokens = [run.receipt.generated_tokens for run in runs]
    assert point.costs[Axis.GENERATED_TOKENS].tolist() == [sum(tokens[:4]) / 4, sum(tokens[4:]) / 4]


def test_models_run_one_after_the_other_and_the_batch_is_filled(tmp_path: Path) -> None:
    open_now: list[str] = []
    most: dict[str, int] = {}

    def watched(name: str, spec: ModelSpec):
        engine = ScriptedEngine([Script(r"\boxed{4}")], card=open_engine(name, spec).card)
        assert not open_now
        open_now.append(name)
        closing = engine.aclose

        async def aclose() -> None:
            most[name] = engine.most_open
            open_now.remove(name)
            await closing()

        engine.aclose = aclose  # type: ignore[method-assign]
        return engine

    run_study(study_of(at_once=6), tmp_path, task_of=sums, open_engine=watched)
    assert most == {"large": 6, "small": 24}


def test_cancelling_leaves_a_study_that_goes_on(tmp_path: Path) -> None:
    async def broken_off() -> int:
        heard: list[News] = []
        enough = asyncio.Event()

        def tell(news: News) -> None:
            heard.append(news)
            if news.run is not None and news.recording.name == "sums_votes":
                enough.set()

        task = asyncio.create_task(
            run_study_async(study_of(at_once=2), tmp_path / "a", task_of=sums, tell=tell)
        )
        await enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return sum(each.run is not None for each in heard)

    told = asyncio.run(broken_off())
    assert 7 <= told < 12
    run_study(study_of(at_once=2), tmp_path / "a", task_of=sums)
    run_study(study_of(at_once=2), tmp_path / "b", task_of=sums)
    assert timeless(tmp_path / "a") == timeless(tmp_path / "b")
    assert summary(tmp_path / "a") == summary(tmp_path / "b")


def test_the_study_file_is_kept_as_it_was(tmp_path: Path) -> None:
    source = (
        "# mine\ntitle = 't'\nbudgets=[1]\ntasks=[{name='sums'}]\nmodels={m={engine='scripted:m'}}\n"
        "arms=[{name='a', model='m', strategy='zero-shot'}]\n"
    )
    (tmp_path / "s.toml").write_text(source, encoding="utf-8")
    run_study(load_study(tmp_path / "s.toml"), tmp_path / "out", source=source, task_of=sums)
    assert (tmp_path / "out" / "study.toml").read_text("utf-8") == source
    assert open_study(tmp_path / "out").study.title == "t"


def test_a_question_about_results_that_are_not_there_names_those_that_are(go, tmp_path: Path) -> None:
    results = go(study_of())
    with pytest.raises(ConfigurationError, match=r"no runs of 'x' on 'sums'.*'votes' on 'sums'"):
        next(results.runs("sums", "x"))
    with pytest.raises(ConfigurationError, match="its budgets are 1, 2, 4"):
        next(results.runs("sums", "votes", 3))
    with pytest.raises(ConfigurationError, match="holds no study"):
        open_study(tmp_path / "elsewhere")


def test_a_torn_line_is_no_warning_of_a_study(go, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    go(study_of())
    unpack(tmp_path / "results", "sums_votes", lines=1, torn=b'{"his')
    go(study_of())
    assert not [each for each in recwarn if issubclass(each.category, TornLine)]
