"""What was generated and is in no record is told, also after a kill, and stands apart from the records."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.evals.studies.conftest import study_of, sums
from thinkctl.evals.studies import News, open_engine, run_study_async
from thinkctl.evals.studies.sessions import Lost, Session, lost, read_sessions
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import GenerationSpec


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "sessions.jsonl").read_text("utf-8").splitlines()]


async def read_some(session: Session, tokens: int, *, more: int = 0) -> None:
    """Read so many tokens of a stream of an engine that the session counts; leave it open."""
    engine = session.counted(ScriptedEngine([Script("a " * (tokens + more))]))
    stream = engine.stream(engine.tokenizer.encode("q"), GenerationSpec(tokens + more))
    read = 0
    async for delta in stream:
        read += len(delta.token_ids)
        if read >= tokens:
            return


def test_a_session_that_is_killed_has_told_its_runs_under_way_and_their_tokens(tmp_path: Path) -> None:
    clock = Clock()
    session = Session(tmp_path, ["m"], clock)
    for _ in range(3):
        session.began_run()
    asyncio.run(read_some(session, 10))
    session.ended_run(4)
    clock.now = 6.0
    asyncio.run(read_some(session, 5))
    told = lost(tmp_path)  # nobody called end()
    assert told == Lost(runs=2, tokens=7, killed=1)
    assert told.in_words() == (
        "2 runs were cut off and run again from the beginning; at least 7 tokens that were generated for them are "
        "in no result."
    )
    (row,) = read_sessions(tmp_path)
    assert (row["runs"], row["generated_tokens"], row["seconds"]) == (1, 4, 6.0)


def test_a_session_that_ends_leaves_one_line_and_what_it_lost(tmp_path: Path) -> None:
    session = Session(tmp_path, ["m"], Clock())
    for tokens in (3, 4):
        session.began_run()
        session.count(tokens)
        session.ended_run(tokens)
    session.end()
    again = Session(tmp_path, ["m"], Clock())
    again.began_run()
    again.count(9)
    again.end()
    assert [(row["runs"], row["cut_off"], row["lost_tokens"]) for row in lines(tmp_path)] == [
        (2, 0, 0),
        (0, 1, 9),
    ]
    assert (
        lost(tmp_path).in_words().startswith("1 run was cut off and run again from the beginning; 9 tokens")
    )


def test_nothing_lost_says_nothing(tmp_path: Path) -> None:
    assert lost(tmp_path) == Lost(0, 0, 0)
    assert lost(tmp_path).in_words() == ""


def test_what_a_closed_stream_computed_and_never_delivered_counts(tmp_path: Path) -> None:
    session = Session(tmp_path, ["m"], Clock())

    async def aborted() -> int:
        engine = session.counted(ScriptedEngine([Script("a " * 50)], waste=3))
        stream = engine.stream(engine.tokenizer.encode("q"), GenerationSpec(50))
        await anext(aiter(stream))
        await stream.close()
        counters = await engine.counters()
        return counters.generated_tokens or 0

    assert session.generated == 0
    truth = asyncio.run(aborted())
    assert session.generated == truth


def test_torn_and_old_lines_are_no_obstacle(tmp_path: Path) -> None:
    old = {"models": ["m"], "runs": 2, "generated_tokens": 7, "seconds": 1.0, "joules": None}
    torn = b'{"id": "x", "mod'
    (tmp_path / "sessions.jsonl").write_bytes(json.dumps(old).encode() + b"\n" + torn)
    Session(tmp_path, ["m"], Clock()).end()
    assert [row.get("ended") for row in lines(tmp_path)] == [None, True]
    assert lost(tmp_path) == Lost(0, 0, 0)


def test_a_tick_comes_every_few_seconds_while_tokens_come(tmp_path: Path) -> None:
    clock, ticks = Clock(), list[float]()
    session = Session(tmp_path, ["m"], clock)
    session.tick = lambda: ticks.append(clock.now)
    for second in range(12):
        clock.now = float(second)
        session.count(1)
    assert ticks == [5.0, 10.0]


def test_a_study_that_was_broken_off_tells_what_is_in_no_record(tmp_path: Path) -> None:
    def slow(name: str, spec: Any) -> ScriptedEngine:
        card = open_engine(name, spec).card
        return ScriptedEngine(
            lambda number, _: Script(r"So \boxed{4} " * (1 if number < 2 else 400)), card=card
        )

    async def broken_off() -> None:
        ended = asyncio.Event()

        def tell(news: News) -> None:
            if news.run is not None:
                ended.set()

        study = study_of(arms=study_of().model_dump()["arms"][:1], at_once=4)
        task = asyncio.create_task(
            run_study_async(study, tmp_path, task_of=sums, open_engine=slow, tell=tell)
        )
        await ended.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(broken_off())
    (row,) = lines(tmp_path)
    assert row["ended"]
    assert 1 <= row["cut_off"] <= 4
    assert row["lost_tokens"] > 0


def test_a_study_nobody_disturbed_lost_no_token_by_its_engines_own_count(go, tmp_path: Path) -> None:
    engines: list[Any] = []

    def kept(name: str, spec: Any):
        engines.append(open_engine(name, spec))
        return engines[-1]

    results = go(study_of(), open_engine=kept)
    assert results.lost == Lost(0, 0, 0)
    rows = lines(results.folder)
    assert [row["generated_tokens"] for row in rows] == [engine.generated for engine in engines]
