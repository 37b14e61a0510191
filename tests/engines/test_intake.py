"""What arrived of a stream: counted, in order, and cut where forcing begins and ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.engines.intake import Intake, Piece
from thinkctl.types import Delta, Finish, TokenLogprob


def taken(intake: Intake) -> list[Delta]:
    found: list[Delta] = []
    while (delta := intake.take()) is not None:
        found.append(delta)
    return found


def test_pieces_that_wait_together_come_as_one_delta() -> None:
    intake = Intake()
    intake.put(Piece((1, 2), cached=32))
    intake.put(Piece((3,), finish=Finish.STOP))
    assert taken(intake) == [Delta((1, 2, 3), finish=Finish.STOP)]
    assert (intake.arrived, intake.delivered, intake.cached, intake.exhausted) == (3, 3, 32, True)


def test_a_finish_without_tokens_is_told_once() -> None:
    intake = Intake()
    intake.put(Piece((1,)))
    assert taken(intake) == [Delta((1,))]
    intake.put(Piece(finish=Finish.LENGTH))
    assert taken(intake) == [Delta((), finish=Finish.LENGTH)]
    assert intake.take() is None


@pytest.mark.parametrize(
    ("first", "count", "expected"),
    [
        (0, 2, [("ab", True), ("cdef", False)]),
        (2, 2, [("ab", False), ("cd", True), ("ef", False)]),
        (4, 2, [("abcd", False), ("ef", True)]),
        (5, 9, [("abcde", False), ("f", True)]),
        (6, 2, [("abcdef", False)]),
    ],
)
def test_deltas_are_cut_where_forcing_begins_and_ends(first, count, expected) -> None:
    intake = Intake()
    intake.put(Piece(tuple(map(ord, "abcdef"))))
    intake.force(first, count)
    assert [("".join(map(chr, delta.token_ids)), delta.forced) for delta in taken(intake)] == expected


def test_log_probabilities_go_with_their_tokens() -> None:
    intake = Intake()
    entries = tuple(TokenLogprob(-float(place)) for place in range(4))
    intake.put(Piece((5, 6, 7, 8), entries))
    intake.force(1, 2)
    assert [delta.logprobs for delta in taken(intake)] == [entries[:1], entries[1:3], entries[3:]]


@given(
    pieces=st.lists(st.integers(0, 5), max_size=8),
    forced=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), max_size=3),
    greedy=st.lists(st.booleans(), max_size=8),
)
def test_no_token_is_lost_doubled_or_marked_wrongly(pieces, forced, greedy) -> None:
    intake, found, sent = Intake(), list[Delta](), 0
    for first, count in forced:
        intake.force(first, count)
    for place, size in enumerate(pieces):
        last = place == len(pieces) - 1
        intake.put(Piece(tuple(range(sent, sent + size)), finish=Finish.LENGTH if last else None))
        sent += size
        if place < len(greedy) and greedy[place]:
            found += taken(intake)
    found += taken(intake)
    assert [token for delta in found for token in delta.token_ids] == list(range(sent))
    marked = {token for delta in found if delta.forced for token in delta.token_ids}
    assert marked == {
        token for first, count in forced for token in range(first, first + count) if token < sent
    }
    assert [delta.finish for delta in found if delta.finish] == ([Finish.LENGTH] if pieces else [])
