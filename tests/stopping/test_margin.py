"""A lead of so many votes, and the sequential test that it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl import registry
from thinkctl.errors import ConfigurationError
from thinkctl.stopping import SPRT, Margin
from thinkctl.stopping.boundary import as_written
from thinkctl.stopping.characteristics import characteristics
from thinkctl.stopping.margin import error_of_lead
from thinkctl.testing import history_of


def test_it_stops_exactly_at_the_lead() -> None:
    assert not Margin(3).decide(history_of("1", "2", "1", "1")).stop
    decision = Margin(3).decide(history_of("1", "2", "1", "1", "1"))
    assert (decision.stop, decision.confidence) == (True, 57 / 64)
    assert decision.why == "4 votes to 1: the lead is real with 89.1%"


@pytest.mark.parametrize(
    ("p", "alpha", "beta", "votes"),
    [
        (0.7, 0.05, 0.05, 4),
        (0.6, 0.05, 0.05, 8),
        (0.7, 0.01, 0.05, 6),
        (0.9, 0.1, 0.1, 1),  # log 9 / log 9: in floating point a little more than 1
        (0.8, 0.2, 0.2, 1),
        (0.75, 0.1, 0.1, 2),  # 3 votes' odds of 27 would do for 0.0357; 9 to 1 is hit exactly
        (0.9, 0.01, 0.19, 2),  # 81 to 1, exactly
        (0.6, 0.4, 0.4, 1),
        (0.501, 0.05, 0.05, 737),
        (0.999, 0.05, 0.05, 1),
    ],
)
def test_the_lead_is_wald_s_without_rounding(p, alpha, beta, votes) -> None:
    assert SPRT(p, alpha, beta).votes == SPRT(p, alpha, beta).least_leader(0) == votes


@given(st.floats(0.51, 0.99), st.floats(0.001, 0.45), st.floats(0.001, 0.45))
def test_the_lead_is_the_least_whose_odds_are_large_enough(p, alpha, beta) -> None:
    votes = SPRT(p, alpha, beta).votes
    odds, wanted = as_written(p) / (1 - as_written(p)), (1 - as_written(beta)) / as_written(alpha)
    assert odds**votes >= wanted
    assert votes == 1 or odds ** (votes - 1) < wanted


@given(st.floats(0.55, 0.99), st.floats(0.01, 0.4))
def test_the_error_is_at_most_alpha_at_equal_rates_and_smaller_at_larger_shares(p, alpha) -> None:
    test = SPRT(p, alpha, alpha)
    assert test.error <= alpha * (1 + 1e-9)
    assert error_of_lead(test.votes, min(0.999, p + 0.01)) < test.error


@pytest.mark.parametrize(("votes", "share"), [(3, 0.8), (4, 0.7), (2, 0.75)])
def test_the_error_is_what_the_votes_come_to_at_a_cap_that_hardly_matters(votes, share) -> None:
    found = characteristics(Margin(votes), share, cap=400)
    assert found.wrong == pytest.approx(error_of_lead(votes, share), abs=1e-9)


def test_a_lead_of_very_many_votes_has_no_error_and_raises_none() -> None:
    assert error_of_lead(10**6, 0.8) == 0
    assert "0.00% at 0.8" in Margin(10**6).guarantee


def test_both_are_written_as_text() -> None:
    assert registry.policy("margin(5)") == Margin(5)
    assert registry.policy("sprt(0.6, alpha=0.1, beta=0.1)") == SPRT(0.6, 0.1, 0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Margin(0), "votes=0 is no lead"),
        (lambda: SPRT(0.5), r"p=0\.5 is not above 0\.5"),
        (lambda: SPRT(1.0), r"p=1\.0"),
        (lambda: SPRT(float("nan")), "p=nan"),
        (lambda: SPRT(0.7, 0.0), r"alpha=0\.0 is no error rate"),
        (lambda: SPRT(0.5001, 0.05, 0.949976), r"beta=0\.949976 is no error rate above 0 and below 0\.5"),
        (lambda: SPRT(0.50001), "takes a lead of 73,611 votes"),
    ],
)
def test_what_is_no_lead_or_no_error_rate_is_refused(make, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
