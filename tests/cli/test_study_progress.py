"""A study while it runs: what the table and the lines say, on a clock that does not go by itself."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tests.evals.studies.conftest import study_of, sums
from thinkctl.cli.study_progress import Board, Lines, duration
from thinkctl.evals.studies import News, plan_study
from thinkctl.evals.studies.planning import Recording
from thinkctl.evals.studies.records import Recorded
from thinkctl.types import Receipt, ReceiptLine, Role, Usage


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeRun:
    """As much of a run as progress looks at."""

    def __init__(self, tokens: int) -> None:
        line = ReceiptLine(Role.SAMPLE, "m", Usage(answer_tokens=tokens), None)
        self.receipt = Receipt((line,))


class Told:
    """A study of six questions by a large and a small model, and what is told of it."""

    def __init__(self, **board: Any) -> None:
        self.clock = Clock()
        self.board = Board(clock=self.clock, **board)
        self.large, self.votes = plan_study(study_of(), sums).recordings
        self.ended: dict[str, int] = {}
        self.generated = 0

    def before(self, recording: Recording, *, runs: int = 0, tokens: int = 0, right: int = 0) -> News:
        self.ended[recording.name] = runs
        jobs = frozenset((f"sum{number}", 0) for number in range(runs))
        had = Recorded(jobs, runs, 0, tokens, graded=runs, right=right)
        return News(recording, None, None, runs, 6, had)

    def run(self, recording: Recording, tokens: int, *, right: bool, seconds: float, generated: int) -> News:
        self.ended[recording.name] += 1
        self.clock.now = 1000.0 + seconds
        found: Any = FakeRun(tokens)
        done = self.ended[recording.name]
        return News(recording, found, right, done, 6, generated=generated, seconds=seconds)

    def tick(self, recording: Recording, *, seconds: float, generated: int) -> News:
        self.clock.now = 1000.0 + seconds
        done = self.ended[recording.name]
        return News(recording, None, None, done, 6, generated=generated, seconds=seconds)


def shown(board: Board) -> str:
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(board.table())
    return console.export_text()


def test_the_table_tells_done_accuracy_with_its_interval_tokens_and_time_to_go() -> None:
    told = Told()
    told.board.heard(told.before(told.large, runs=2, tokens=200, right=2))
    told.board.heard(told.before(told.votes))
    told.board.heard(told.run(told.large, 100, right=False, seconds=5.0, generated=100))
    told.board.heard(told.run(told.large, 100, right=False, seconds=10.0, generated=200))
    large, votes = (line for line in shown(told.board).splitlines() if "sums_" in line)
    assert large.split() == ["sums_large", "4/6", "50", "[6,", "94]", "400", "0", "min", "10", "s"]
    assert votes.split() == ["sums_votes", "0/6"]


def test_the_time_to_go_is_that_of_the_whole_study() -> None:
    told = Told(rates={"small": 50.0})
    for recording in (told.large, told.votes):
        told.board.heard(told.before(recording))
    assert told.board.seconds_left is not None  # by the earlier rate, before anything runs
    told.board.heard(told.run(told.large, 100, right=True, seconds=5.0, generated=100))
    pool = told.board.rows["sums_votes"].left
    assert pool == 6 * 4 * 256
    assert told.board.seconds_left == pytest.approx(5 * 100 / 20 + pool / 50)
    told.clock.now += 7
    assert told.board.seconds_left == pytest.approx(5 * 100 / 20 + pool / 50 - 7)
    assert "1 of 12 runs, 100 tokens, large at 20 tokens/s, about 2 min 21 s to go" in shown(told.board)


def test_what_unfinished_runs_have_generated_counts_from_the_first_seconds() -> None:
    told = Told(rates={"small": 50.0})
    for recording in (told.large, told.votes):
        told.board.heard(told.before(recording))
    told.board.rows["sums_votes"].done = 6
    told.board.heard(told.tick(told.large, seconds=4.0, generated=400))
    assert told.board.seconds_left == pytest.approx((6 * 256 - 400) / 100)


def test_a_pace_of_few_tokens_tells_nothing() -> None:
    told = Told()
    for recording in (told.large, told.votes):
        told.board.heard(told.before(recording))
    told.board.heard(told.tick(told.large, seconds=4.0, generated=2))
    assert told.board.seconds_left is None
    assert told.board.summary() == "0 of 12 runs, 0 tokens"
    told.board.heard(told.tick(told.large, seconds=8.0, generated=80))
    assert "large at 10 tokens/s" in told.board.summary()


def test_a_model_that_never_ran_is_taken_to_be_as_fast_as_the_slowest_and_that_is_said() -> None:
    told = Told()
    for recording in (told.large, told.votes):
        told.board.heard(told.before(recording))
    assert told.board.seconds_left is None
    assert "to go" not in told.board.summary()
    told.board.heard(told.run(told.large, 100, right=True, seconds=10.0, generated=100))
    assert told.board.seconds_left == pytest.approx(5 * 10 + 6 * 4 * 256 / 10)
    assert told.board.summary().endswith("to go (if small is as fast)")


def test_without_a_terminal_there_is_a_line_each_half_minute_and_one_for_each_recording() -> None:
    told, said = Told(), list[str]()
    lines = Lines(told.board, said.append)
    lines.heard(told.before(told.large, runs=1, tokens=50, right=1))
    lines.heard(told.before(told.votes))
    for second in range(1, 5):
        lines.heard(told.run(told.large, 50, right=True, seconds=second, generated=50 * second))
    assert said == ["sums_large: 1 of 6 were recorded before"]
    for seconds in (29.0, 30.0, 40.0, 59.0, 60.0):
        lines.heard(told.tick(told.large, seconds=seconds, generated=250))
    assert [line.partition(" tokens")[0] for line in said[1:]] == ["5 of 12 runs, 250"] * 2
    lines.heard(told.run(told.large, 50, right=False, seconds=61.0, generated=300))
    assert said[-1] == "sums_large: 6 of 6, 83 [30, 98] % right, 300 tokens"
    assert len(said) == 4


def test_an_engine_that_starts_is_named_until_it_generates() -> None:
    told = Told()
    told.board.heard(told.before(told.large))
    told.board.opening = "starting x"
    assert told.board.summary() == "0 of 6 runs, 0 tokens, starting x"
    told.board.heard(told.run(told.large, 5, right=True, seconds=1.0, generated=5))
    assert "starting" not in told.board.summary()


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "0 min 05 s"), (3599.4, "59 min 59 s"), (7260, "2 h 01 min")]
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
