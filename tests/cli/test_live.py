"""From events to a view, from a view to lines: without a clock or a terminal."""

from __future__ import annotations

import asyncio
import re

import pytest
from rich.cells import cell_len

from thinkctl import AdaptiveConsistency, Controller, SelfConsistency
from thinkctl.cli.live import (
    View,
    budget_in_words,
    drawn,
    heard,
    line_for,
    spent,
    tally,
    votes_in_words,
)
from thinkctl.cli.text import clean, dollars, shortened
from thinkctl.testing import ScriptedEngine, sample_of
from thinkctl.types import (
    Answer,
    AnswerImproved,
    Budget,
    Decided,
    Decision,
    Finish,
    Finished,
    Note,
    SampleFinished,
    SampleStarted,
    Thought,
)


def words(text):
    return len(text.split())


def seen(*events, view=None):
    view = view or View()
    for event in events:
        view = heard(view, event, words)
    return view


def started(*indices):
    return [SampleStarted(sample_of(..., index=index, thought="")) for index in indices]


def finished(index, answer, **told):
    return SampleFinished(sample_of(answer, index=index, **told))


def test_tokens_and_text_of_a_sample_in_flight_grow():
    view = seen(*started(0, 1), Thought(0, "one two"), Thought(1, "x"), Thought(0, " three"))
    assert (view.growing[0].tokens, view.growing[0].tail) == (3, "one two three")
    assert view.growing[1].tokens == 1
    assert spent(view) == 4


def test_a_finished_sample_counts_what_it_used_exactly():
    sample = sample_of("4", index=0)
    view = seen(*started(0), Thought(0, "one"), SampleFinished(sample))
    assert view.growing == {}
    assert spent(view) == sample.usage.generated_tokens > 1


def test_a_sample_that_goes_on_after_its_end_is_counted_once():
    sample = sample_of(None, index=0)
    view = seen(*started(0), SampleFinished(sample), Thought(0, "and more"))
    assert list(view.growing) == [0]
    assert spent(view) == sample.usage.generated_tokens + 2


def test_votes_wait_for_older_samples():
    view = seen(*started(0, 1, 2), finished(1, "4"), finished(2, "5"))
    assert tally(view) == ([], 2)
    assert votes_in_words(view) == "none yet   (2 finished early and wait for older ones)"
    view = seen(finished(0, "5"), view=view)
    assert tally(view) == ([("5", 2), ("4", 1)], 0)
    assert votes_in_words(view) == "5 ×2   4 ×1"


def test_votes_are_counted_by_value_and_shown_as_first_written():
    view = seen(finished(0, "1/2"), finished(1, "0.5"), finished(2, None))
    assert tally(view) == ([("1/2", 2)], 0)


def test_of_many_different_answers_the_first_few_are_shown():
    view = seen(*(finished(index, str(index)) for index in range(8)), finished(8, "7"))
    assert votes_in_words(view) == "7 ×2   0 ×1   1 ×1   2 ×1   3 ×1   and 3 others"


def test_the_leader_and_the_reason_are_kept():
    note = Note(1.0, 2, Decision(why="2 votes to 0"))
    view = seen(AnswerImproved(Answer("5", "5", 0), 0.75), Decided(note), Decided(Note(2.0, 2, Decision())))
    assert (view.leader, view.confidence, view.why) == ("5", 0.75, "2 votes to 0")


def test_what_is_used_is_said_with_what_is_allowed():
    view = seen(
        *started(0, 1), Thought(0, "a b"), view=View(budget=Budget(tokens=300, seconds=10), allowed=16)
    )
    assert budget_in_words(view, 1.25) == "2 of 300 tokens   1.2 of 10 s   2 of 16 samples"
    assert budget_in_words(seen(*started(0)), 0.0) == "0 tokens   0.0 s   1 sample"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    told = "Das ist 数学 und mehr \x1b[31m " * 30
    view = seen(
        *started(0, 1, 2),
        Thought(0, told),
        finished(1, "x" * 300),
        AnswerImproved(Answer("y" * 300, "y", 0), 0.5),
        view=View(title="t" * 300, budget=Budget(tokens=10**9)),
    )
    lines = drawn(view, 3.0, width=width, rows=8)
    assert max(cell_len(line.plain) for line in lines) <= width
    assert not any("\x1b" in line.plain for line in lines)


def test_a_growing_sample_shows_the_end_of_what_it_said():
    view = seen(*started(3), Thought(3, "a b c d e f g h i j k l m n o p q r s t u v w x y z"))
    line = drawn(view, 0.0, width=40, rows=8)[1].plain
    assert line.startswith("    3     26 tokens  …")
    assert line.endswith("x y z")


def test_more_samples_than_rows_are_counted_instead():
    view = seen(*started(*range(12)))
    lines = [line.plain for line in drawn(view, 0.0, width=80, rows=3)]
    assert sum(bool(re.fullmatch(r" +\d+ +0 tokens +", line)) for line in lines) == 3
    assert "       and 9 more in flight" in lines


def test_without_room_for_samples_a_run_is_one_line():
    view = seen(*started(0, 1), Thought(0, "a b"), finished(1, "4"), view=View(title="1. How many?"))
    (line,) = drawn(view, 0.0, width=60, rows=0)
    assert line.plain.startswith("1. How many?  none yet   (1 finished early")
    assert cell_len(line.plain) <= 60


def run_of(*scripts):
    async def solve():
        events = Controller(ScriptedEngine(scripts), SelfConsistency(8), policy=AdaptiveConsistency(0.95))
        return [event async for event in events.stream("What is 2+2?")]

    return asyncio.run(solve())


def test_the_events_of_a_run_add_up_to_its_receipt():
    events = run_of(r"It is \boxed{4}", r"It is \boxed{5}")
    view = seen(*events)
    assert view.run is not None
    assert isinstance(events[-1], Finished)
    assert spent(view) == view.run.receipt.generated_tokens
    assert tally(view)[0] == [("4", 4), ("5", 4)]
    assert view.growing == {}


def test_a_run_that_has_ended_is_two_lines():
    view = seen(*run_of(r"It is \boxed{4}"), view=View(title="sums"))
    lines = [line.plain for line in drawn(view, 0.0, width=120, rows=4)]
    assert lines[0] == "sums"
    assert lines[1].startswith("  4   (4 samples, ")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (finished(0, "4", ended=2.5), "sample 0: 4, 8 tokens, 2.5 s; votes: 4 ×1"),
        (finished(0, "4", ended=2.5, concluded=True), "sample 0: 4 when asked to conclude, "),
        (finished(0, None, ended=2.5), "sample 0: no answer, ended without one, "),
        (finished(0, None, ended=2.5, finish=Finish.CUT), "sample 0: no answer, stopped, "),
        (finished(0, None, ended=2.5, finish=Finish.LENGTH), "sample 0: no answer, no room left, "),
        (
            finished(0, None, ended=2.5, finish=Finish.ERROR),
            "sample 0: no answer, failed (the request failed), ",
        ),
    ],
)
def test_where_nothing_can_be_redrawn_each_end_is_a_line(event, said):
    line = line_for(seen(event), event)
    assert line is not None
    assert line.startswith(said)


def test_most_events_are_no_line():
    assert line_for(View(), Thought(0, "x")) is None
    assert line_for(View(), *started(0)) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("a\tb\nc", "a\tb\nc"),
        ("\u202eabc", "\ufffdabc"),
        ("\udcff", "\ufffd"),
    ],
)
def test_control_characters_are_replaced(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("How many eggs are there?", "How many…"), ("short", "short"), ("abcdefghijklmnop", "abcdefghi…")],
)
def test_long_texts_end_at_a_word(text, shown):
    assert shortened(text, 10) == shown


def test_dollars_are_plain_digits_and_unknown_is_not_zero():
    from decimal import Decimal

    assert dollars(None) == "unknown"
    assert dollars(Decimal(0)) == "$0"
    assert dollars(Decimal("0.0000704")) == "$0.0000704"
    assert dollars(Decimal("1E+2")) == "$100"
