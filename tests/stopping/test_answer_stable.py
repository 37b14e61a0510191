"""Certaindex by answers: a thought is concluded once it keeps giving the same one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.growing import decided, growing, probe
from thinkctl.errors import ConfigurationError
from thinkctl.stopping import AnswerStable
from thinkctl.types import Needs, ProbeRequest


def answers(*said: str | None):
    return growing(64 * len(said), *[probe(64 * (place + 1), key) for place, key in enumerate(said)])


@pytest.mark.parametrize(
    ("said", "concluded"),
    [
        ((), False),
        (("4",), False),
        (("4", "4"), False),
        (("4", "4", "4"), True),
        (("5", "4", "4", "4"), True),
        (("4", "5", "4"), False),
        (("1", "2", "3"), False),  # the released code exits here
        (("4", "4", "4", "5"), False),
        (("4", None, "4", "4"), False),
        ((None, None, None), False),
        (("", "", ""), False),
    ],
)
def test_three_equal_answers_in_a_row_conclude(said, concluded) -> None:
    assert decided(AnswerStable(), answers(*said)).conclude == (0,) * concluded


@given(st.lists(st.sampled_from(["a", "b", None]), max_size=8), st.integers(2, 4))
def test_it_concludes_exactly_where_the_last_k_answers_are_one(said, k) -> None:
    stable = len(said) >= k and len(set(said[-k:])) == 1 and said[-1] is not None
    assert decided(AnswerStable(k), answers(*said)).conclude == (0,) * stable


@given(st.lists(st.sampled_from(["a", "b"]), max_size=8))
def test_more_patience_never_concludes_more(said) -> None:
    sample = answers(*said)
    assert not decided(AnswerStable(4), sample).conclude or decided(AnswerStable(3), sample).conclude


@pytest.mark.parametrize(
    ("said", "answer", "concluded"),
    [
        ("4}", "4", True),
        ("4} Wait", "4", False),
        ("hmm, 4}", "4", False),
        ("NO, 4}", "4", False),
        ("nothing} butter", "nothing", True),  # whole words only
        ("no}", "no", True),  # an answer, not a doubt
        ("no} no", "no", False),
    ],
)
def test_a_doubt_beside_the_answer_holds_it_back(said, answer, concluded) -> None:
    sample = growing(192, probe(64, answer), probe(128, answer), probe(192, answer, said=said))
    assert decided(AnswerStable(), sample).conclude == (0,) * concluded


def test_a_doubt_before_the_last_k_is_forgotten() -> None:
    sample = growing(256, probe(64, "4", said="4} wait"), probe(128), probe(192), probe(256))
    assert decided(AnswerStable(), sample).conclude == (0,)


def test_the_words_of_doubt_can_be_others() -> None:
    sample = growing(192, probe(64), probe(128), probe(192, said="4} warte"))
    assert decided(AnswerStable(), sample).conclude == (0,)
    assert decided(AnswerStable(uncertain=("Warte",)), sample).conclude == ()


def test_it_reads_no_log_probabilities() -> None:
    assert AnswerStable().needs == Needs(probes=True, why="answer-stable")
    assert decided(AnswerStable(), growing(70)).probe == (ProbeRequest(0, "", 20, None, 64),)


def test_a_loop_is_cut_though_its_answer_is_stable() -> None:
    loop = growing([1, 2] * 200, probe(256), probe(320), probe(384))
    assert (decided(AnswerStable(), loop).cut, decided(AnswerStable(), loop).conclude) == ((0,), ())
    assert decided(AnswerStable(guard=None), loop).conclude == (0,)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": 1}, "k=1"),
        ({"every": 0}, "every=0"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"uncertain": "wait"}, "uncertain='wait'"),
        ({"uncertain": ("",)}, "uncertain="),
    ],
)
def test_what_cannot_be_is_refused(wrong, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AnswerStable(**wrong)
