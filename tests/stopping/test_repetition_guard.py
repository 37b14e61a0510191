"""Loops: what is one, how soon it is noticed, and what is none."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.growing import closed, decided, growing
from thinkctl.errors import ConfigurationError
from thinkctl.runfile import read
from thinkctl.stopping import RepetitionGuard
from thinkctl.testing import sample_of
from thinkctl.types import Decision, Finish, Origin, Segment

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "examples/recordings/gsm8k_qwen2.5-coder-0.5b_2026-11-22.jsonl.gz"


def loops(ids, /, **parameters) -> bool:
    return RepetitionGuard(**parameters).loops(growing(list(ids)))


def numbered(text: str, pieces: str) -> list[int]:
    """Return a text as ids of its pieces."""
    ids: dict[str, int] = {}
    return [ids.setdefault(piece, len(ids)) for piece in re.findall(pieces, text, re.DOTALL)]


def ever_loops(ids: list[int], every: int = 64) -> bool:
    return any(loops(ids[:end]) for end in range(every, len(ids) + every, every))


# -- what is one -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        ([], False),
        ([1] * 7, False),
        ([1] * 8, True),
        ([1, 2] * 4, True),
        ([1, 2, 3] * 3, False),  # three times only
        ([1, 2, 3] * 4, True),
        ([9, 9, 9, *[1, 2, 3] * 4], True),
        ([1, 2, 3] * 4 + [1], True),  # in the middle of a block
        ([1, 2, 3] * 4 + [9], False),  # it got out of it
        ([1, 2, 3, 1, 2, 4] * 4, True),  # the end stands there twice in a block
        (range(8), False),
    ],
)
def test_a_loop_is_a_block_that_is_said_often_enough_and_for_long_enough(tokens, found) -> None:
    assert loops(tokens, tokens=8, repeats=4, window=64) is found


@given(st.data())
def test_a_loop_is_noticed_within_its_bound_and_never_before_it_repeats(data) -> None:
    least, repeats = data.draw(st.integers(8, 40)), data.draw(st.integers(2, 5))
    period = data.draw(st.integers(1, 20))
    before = data.draw(st.integers(0, 50))
    start = list(range(1000, 1000 + before))
    ids = [*start, *[place % period for place in range(max(least, repeats * period))]]
    window = 2 * max(least, repeats * period)
    assert loops(ids, tokens=least, repeats=repeats, window=window)
    assert not loops(ids[:-1], tokens=least, repeats=repeats, window=window)


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(2, 4), st.integers(4, 20))
def test_it_finds_exactly_what_a_search_over_all_blocks_finds(ids, repeats, least) -> None:
    def ends_with(period: int) -> bool:
        size = max(least, repeats * period)
        return size <= len(ids) and all(
            ids[-place] == ids[-place - period] for place in range(1, size - period + 1)
        )

    expected = any(ends_with(period) for period in range(1, len(ids) + 1))
    assert loops(ids, tokens=least, repeats=repeats, window=60) is expected


def test_only_the_window_is_looked_at() -> None:
    block = list(range(20))
    assert loops(block * 4, tokens=8, repeats=4, window=80)
    assert not loops(block * 9, tokens=8, repeats=4, window=79)


def test_a_loop_may_begin_in_what_was_inherited() -> None:
    assert RepetitionGuard(tokens=8, window=16).loops(growing([1] * 8, inherited=6))


def test_large_ids_are_told_apart() -> None:
    """Of two ids the low halves are equal."""
    assert not loops([1, 1 + 2**32] * 3 + [1, 1], tokens=8, repeats=4, window=64)
    assert loops([1, 1 + 2**32] * 4, tokens=8, repeats=4, window=64)


def test_the_thought_of_a_concluded_sample_is_looked_at_before_its_closing_text() -> None:
    done = replace(
        sample_of("4", concluded=True),
        segments=(Segment((1, 2) * 200), Segment((7, 8), Origin.FORCED), Segment((9,))),
    )
    assert RepetitionGuard().loops(done)
    assert not RepetitionGuard().loops(replace(done, concluded=False))


# -- what is none ----------------------------------------------------------------------------------------------

TABLE = "\n".join(
    ["| n | n^2 | n^3 |", "|---|---|---|", *[f"| {n} | {n * n} | {n**3} |" for n in range(200)]]
)
LIST = "\n".join(f"- item {n}: done" for n in range(300))
DIVISION = f"1/97 = 0.{10**400 // 97:0>400}; 1/7 = 0.{'142857' * 40}"
CODE = "\n".join(
    ["def board():", *["    print('+---+---+---+')", "    print('|   |   |   |')"] * 3, "    return None"] * 3
)
MATRIX = "\n".join(
    f"[{', '.join('1' if row == column else '0' for column in range(12))}]," for row in range(12)
)
STEPS = "\n".join(
    f"Step {n}: we add {n} to {n * (n - 1) // 2} and get {n * (n + 1) // 2}." for n in range(1, 150)
)
DOUBT = "\n".join(f"Wait, let me check {n} again. {n} * 7 = {n * 7}. Yes." for n in range(40))


@pytest.mark.parametrize(
    "pieces", [r"\s*\w+|\s*[^\w\s]|\s+", r"\s*\S+|\s+", "."], ids=["tokens", "words", "chars"]
)
@pytest.mark.parametrize("text", [TABLE, LIST, DIVISION, CODE, MATRIX, STEPS, DOUBT], ids=range(7))
def test_tables_lists_digits_and_code_are_no_loops(text, pieces) -> None:
    assert not ever_loops(numbered(text, pieces))


@pytest.mark.parametrize(
    "pieces", [r"\s*\w+|\s*[^\w\s]|\s+", r"\s*\S+", "."], ids=["tokens", "words", "chars"]
)
def test_the_documentation_and_the_code_are_no_loops(pieces) -> None:
    """Hyphens over a table or under a heading are at most 120 in a row."""
    texts = [
        path.read_text(encoding="utf-8") for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("thinkctl/*.py")]
    ]
    assert len(texts) > 10
    assert not any(ever_loops(numbered(text[:12_000], pieces), 256) for text in texts)


def test_recorded_thoughts_of_a_small_model_are_no_loops() -> None:
    recorded = [sample.token_ids for run in read(RECORDING) for sample in run.samples]
    assert len(recorded) == 64
    assert not any(ever_loops(list(ids), 32) for ids in recorded)


@pytest.mark.parametrize(
    "text", ["Wait, no. ", "So the answer is 5. But wait, 2 + 3 = 5, so let me see again. "]
)
def test_a_sentence_that_is_said_over_and_over_is_one_after_256_tokens(text) -> None:
    ids = numbered(DOUBT[:400] + text * 200, r"\s*\w+|\s*[^\w\s]")
    start = len(numbered(DOUBT[:400], r"\s*\w+|\s*[^\w\s]"))
    assert not loops(ids[: start + 250])
    assert loops(ids[: start + 260])


# -- what is done ----------------------------------------------------------------------------------------------

LOOP = growing([1, 2] * 200)


def test_a_loop_is_cut_or_concluded_and_nothing_else_is_touched() -> None:
    cut, conclude = RepetitionGuard(), RepetitionGuard(then="conclude")
    assert decided(cut, growing(300), LOOP) == Decision(cut=(1,), why="sample 1 is in a loop")
    assert decided(conclude, growing(300), LOOP).conclude == (1,)
    assert decided(cut, LOOP, LOOP).why == "samples 0, 1 are in a loop"
    assert decided(cut, replace(LOOP, finish=Finish.LENGTH)) == Decision()


def test_an_answer_that_loops_is_cut_and_cannot_be_concluded() -> None:
    assert decided(RepetitionGuard(), closed(LOOP)).cut == (0,)
    assert decided(RepetitionGuard(then="conclude"), closed(LOOP)) == Decision()


def test_what_is_being_concluded_is_left_alone() -> None:
    assert decided(RepetitionGuard(), replace(LOOP, concluded=True)) == Decision()


def test_a_sample_that_was_looked_at_is_not_kept_alive_and_gives_the_same_again() -> None:
    """Whether or not results are remembered."""
    guard = RepetitionGuard()
    for _ in range(3):
        assert guard.loops(growing([1, 2] * 200))
        assert not guard.loops(growing(400))
    assert guard.loops(LOOP)
    assert guard.loops(LOOP)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"repeats": 1}, "repeats=1"),
        ({"tokens": 3}, "tokens=3"),
        ({"window": 255}, "window=255"),
        ({"then": "stop"}, "then='stop'"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RepetitionGuard(**wrong)
