"""EAT: a thought is concluded once the entropy after it has settled."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.growing import decided, growing, probe
from thinkctl.errors import ConfigurationError
from thinkctl.stopping import EntropyAfterThinking
from thinkctl.stopping.entropy_after_thinking import entropy, moving_variance
from thinkctl.types import Needs, ProbeRequest, TokenLogprob

FLAT, SHARP = (0.5, 0.5), (1.0,)


def told(*shares: float) -> TokenLogprob:
    return TokenLogprob(math.log(shares[0]), tuple(math.log(share) for share in shares))


def probes(number: int, *tops: tuple[float, ...], every: int = 32):
    """Probes on the grid with these distributions in turn."""
    return [probe(every * (place + 1), None, top=tops[place % len(tops)]) for place in range(number)]


# -- the entropy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "nats"),
    [
        ((1.0,), 0.0),
        ((0.5, 0.5), math.log(2)),
        ((0.25,) * 4, math.log(4)),
        ((0.5,), math.log(2)),  # the rest is one more outcome
        ((0.5, 0.25), 1.5 * math.log(2)),
        ((0.9, 0.05), -(0.9 * math.log(0.9) + 0.1 * math.log(0.05))),
    ],
)
def test_the_entropy_is_in_nats_and_what_is_not_listed_is_one_outcome(shares, nats) -> None:
    assert entropy(told(*shares), 20) == pytest.approx(nats)


@pytest.mark.parametrize(
    "unknown",
    [
        TokenLogprob(-0.1),
        TokenLogprob(-0.1, (math.nan,)),
        TokenLogprob(-0.1, (-0.1, math.nan)),
        TokenLogprob(1.0, (1.0,)),
        told(0.9, 0.8),
    ],
)
def test_what_is_no_distribution_has_no_entropy(unknown) -> None:
    assert entropy(unknown, 20) is None


def test_a_token_that_is_ruled_out_adds_nothing() -> None:
    assert entropy(TokenLogprob(0.0, (0.0, -math.inf)), 20) == 0


def test_only_the_top_is_read() -> None:
    assert entropy(told(0.5, 0.25, 0.25), 1) == pytest.approx(math.log(2))


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=30), st.integers(1, 30))
def test_fewer_alternatives_never_show_more_entropy(weights, top) -> None:
    shares = sorted((weight / sum(weights) for weight in weights), reverse=True)
    whole, part = entropy(told(*shares), 30), entropy(told(*shares), top)
    assert whole is not None
    assert part is not None
    assert -1e-9 <= part <= whole + 1e-9 <= math.log(len(shares)) + 2e-9


# -- the moving variance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "variance"),
    [
        ([], 0.0),
        ([3.0], 0.0),
        ([3.0, 3.0, 3.0], 0.0),
        ([0.0, 1.0], 0.2 * 0.8**2),  # m = 0.2
        ([0.0, 1.0, 1.0], 0.2 * 0.64**2 + 0.8 * 0.2 * 0.8**2),  # m = 0.36
    ],
)
def test_the_variance_follows_the_published_recursion(values, variance) -> None:
    assert moving_variance(values, 0.2) == pytest.approx(variance)


# -- deciding --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "concluded"), [(19, False), (20, True), (40, True)])
def test_it_concludes_no_sooner_than_after_4_over_alpha_probes(number, concluded) -> None:
    sample = growing(32 * number, *probes(number, SHARP))
    assert decided(EntropyAfterThinking(), sample).conclude == (0,) * concluded


def test_an_entropy_that_keeps_moving_concludes_nothing() -> None:
    assert decided(EntropyAfterThinking(), growing(32 * 60, *probes(60, FLAT, SHARP))).conclude == ()


def test_an_entropy_that_has_settled_concludes_whatever_it_is() -> None:
    """With m and v far from their start: 0.8^2n of the first jump is left."""
    moved = [*probes(5, FLAT, SHARP), *[replace(each, at=each.at + 160) for each in probes(60, FLAT)]]
    assert decided(EntropyAfterThinking(), growing(32 * 12, *moved[:12])).conclude == ()
    assert decided(EntropyAfterThinking(), growing(32 * 65, *moved)).conclude == (0,)


@pytest.mark.parametrize(
    "missing",
    [{"logprobs": None}, {"logprobs": ()}, {"logprobs": (TokenLogprob(-0.1),)}, {"at": 33}],
)
def test_probes_without_a_distribution_do_not_count(missing) -> None:
    known = probes(20, SHARP)
    assert decided(EntropyAfterThinking(), growing(640, *known)).conclude == (0,)
    blank = [*known[:-1], replace(known[-1], **missing)]
    assert decided(EntropyAfterThinking(), growing(640, *blank)).conclude == ()


def test_the_order_in_which_probes_came_in_makes_no_difference() -> None:
    known = [*probes(3, FLAT), *[replace(each, at=each.at + 96) for each in probes(37, SHARP)]]
    forth, back = growing(32 * 40, *known), growing(32 * 40, *reversed(known))
    assert decided(EntropyAfterThinking(), forth) == decided(EntropyAfterThinking(), back)


def test_it_asks_for_one_token_and_its_alternatives() -> None:
    assert decided(EntropyAfterThinking(top=7), growing(40)).probe == (ProbeRequest(0, "", 1, 7, 32),)
    assert EntropyAfterThinking(top=7).needs == Needs(
        probes=True, probe_logprobs=7, why="entropy-after-thinking"
    )


def test_a_loop_is_cut_though_its_entropy_has_settled() -> None:
    loop = growing([1, 2] * 400, *probes(25, SHARP))
    assert (decided(EntropyAfterThinking(), loop).cut, decided(EntropyAfterThinking(), loop).conclude) == (
        (0,),
        (),
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"delta": 0}, "delta=0"),
        ({"delta": math.nan}, "delta=nan"),
        ({"alpha": 0}, "alpha=0"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"every": 0}, "every=0"),
        ({"top": 0}, "top=0"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EntropyAfterThinking(**wrong)
