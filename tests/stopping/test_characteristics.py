"""Operating characteristics by dynamic programming: the published ones, and against every sequence of votes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import product

import pytest

from thinkctl.errors import ConfigurationError
from thinkctl.stopping import (
    CGES,
    SPRT,
    AdaptiveConsistency,
    CannotBeOvertaken,
    EValue,
    Margin,
    ValueOfComputation,
    WarmUp,
    Window,
    all_of,
    any_of,
)
from thinkctl.stopping.boundary import decide_by
from thinkctl.stopping.characteristics import boundary_of, characteristics, is_votes_rule
from thinkctl.testing import history_of
from thinkctl.types import Decision, History

SHARES = (0.55, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class OverHalf:
    """The published "safe" rule, in which a draw overtakes: more than half of all votes."""

    n: int = 40

    def least_leader(self, runner_up: int) -> int:
        return max(self.n // 2 + 1, runner_up)

    def decide(self, history: History) -> Decision:
        return decide_by(self, history)


PUBLISHED = [
    (None, ["26.43/40.0", "10.21/40.0", "0.43/40.0", "0.00/40.0", "0.00/40.0"]),
    (AdaptiveConsistency(0.9), ["30.97/18.6", "16.65/16.1", "4.09/10.0", "0.94/6.1", "0.10/4.1"]),
    (AdaptiveConsistency(), ["28.06/27.5", "12.44/24.2", "1.49/15.1", "0.19/8.7", "0.01/5.6"]),
    (AdaptiveConsistency(0.99), ["26.58/36.8", "10.40/34.5", "0.51/25.3", "0.01/15.1", "0.00/9.2"]),
    (Margin(3), ["35.42/8.7", "22.89/8.1", "7.30/6.4", "1.54/4.9", "0.14/3.7"]),
    (Margin(4), ["31.50/14.7", "17.01/13.1", "3.31/9.3", "0.39/6.6", "0.02/5.0"]),
    (Margin(5), ["28.93/20.5", "13.44/18.0", "1.56/12.1", "0.10/8.3", "0.00/6.3"]),
    (EValue(0.2), ["27.60/31.9", "11.83/29.2", "1.27/19.8", "0.17/10.9", "0.01/6.2"]),
    (Window(5), ["28.33/31.6", "12.72/29.6", "1.40/22.8", "0.09/14.6", "0.00/8.5"]),
    (Window(8), ["26.49/39.2", "10.28/38.6", "0.45/35.6", "0.00/28.7", "0.00/17.5"]),
    (OverHalf(), ["26.43/36.1", "10.21/34.4", "0.43/30.0", "0.00/26.3", "0.00/23.3"]),
]


def printed(number: float, places: int) -> str:
    """Round as the table was: mean votes to two digits first, then to one, halves away from zero."""
    step = Decimal(number).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return str(step.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


@pytest.mark.parametrize(("policy", "row"), PUBLISHED, ids=lambda value: type(value).__name__)
def test_the_published_table_is_reproduced_to_the_printed_digit(policy, row) -> None:
    """Where an agreed window gives its own answer, as in ESC's code; our runs take the majority of all votes."""
    found = [characteristics(policy, share, takes="window") for share in SHARES]
    assert [f"{printed(100 * one.wrong, 2)}/{printed(one.votes, 1)}" for one in found] == row


def test_the_majority_of_all_votes_is_right_more_often_than_the_window_that_agreed() -> None:
    for share in SHARES:
        ours, theirs = (characteristics(Window(5), share, takes=takes) for takes in ("majority", "window"))
        assert ours.wrong < theirs.wrong
        assert ours.votes == theirs.votes


def test_the_exact_stop_errs_like_all_votes_and_takes_about_a_vote_less_than_where_a_draw_overtakes() -> None:
    for share in SHARES:
        ours, all_votes = characteristics(CannotBeOvertaken(40), share), characteristics(None, share)
        assert ours.wrong == pytest.approx(all_votes.wrong, abs=1e-12)
        assert 0.9 < characteristics(OverHalf(), share).votes - ours.votes < 1.1


RULES = [
    None,
    AdaptiveConsistency(0.8),
    Margin(2),
    SPRT(0.6, 0.3, 0.3),
    EValue(0.4),
    ValueOfComputation(1_000, 100),
    ValueOfComputation(200, 40),
    Window(3),
    CannotBeOvertaken(7),
    CannotBeOvertaken(5),
    any_of(Margin(3), Window(2)),
    all_of(Margin(1), Window(2), Window(3)),
    any_of(AdaptiveConsistency(0.9), all_of(CannotBeOvertaken(8), Window(2))),
    WarmUp(Margin(1), 4),
    any_of(WarmUp(Window(2), 5), Margin(4)),
]


@pytest.mark.parametrize("policy", RULES, ids=repr)
def test_they_are_those_of_the_policy_itself_on_every_sequence_of_votes(policy) -> None:
    cap, share = 8, 0.7
    wrong = votes = stopped = 0.0
    decided: dict[tuple[str, ...], bool] = {}
    for course in product("10", repeat=cap):
        for taken in range(1, cap + 1):
            if course[:taken] not in decided:
                decided[course[:taken]] = (
                    policy is not None and policy.decide(history_of(*course[:taken])).stop
                )
        end = next((taken for taken in range(1, cap) if decided[course[:taken]]), cap)
        chance = share ** course.count("1") * (1 - share) ** course.count("0")
        right = course[:end].count("1")
        wrong += chance * (0.5 if 2 * right == end else 2 * right < end)
        votes += chance * end
        stopped += chance * decided[course[:end]]
    found = characteristics(policy, share, cap=cap)
    assert (found.wrong, found.votes, found.stopped) == pytest.approx((wrong, votes, stopped))


def test_at_one_half_every_rule_ends_wrong_half_of_the_time_and_at_one_never() -> None:
    for policy in (AdaptiveConsistency(), Margin(3), Window(5), CannotBeOvertaken(40)):
        assert characteristics(policy, 0.5).wrong == pytest.approx(0.5)
        assert characteristics(policy, 1.0).wrong == 0


@pytest.mark.parametrize(
    ("policy", "boundary"),
    [
        (Margin(3), (3, 4, 5)),
        (ValueOfComputation(1e5, 300), (3, 4, 5)),
        (ValueOfComputation(1e5), None),
        (Window(3), None),
        (CGES(), None),
    ],
)
def test_a_boundary_is_there_for_rules_on_two_counts(policy, boundary) -> None:
    assert boundary_of(policy, 2) == boundary


@pytest.mark.parametrize("policy", [CGES(), ValueOfComputation(1e5), any_of(Margin(3), CGES())])
def test_what_reads_more_than_votes_has_no_characteristics(policy) -> None:
    assert not is_votes_rule(policy)
    with pytest.raises(ConfigurationError, match="reads more than votes"):
        characteristics(policy, 0.7)


@pytest.mark.parametrize(
    ("share", "cap", "message"),
    [(0.4, 40, r"share=0\.4"), (1.1, 40, r"share=1\.1"), (0.7, 0, "cap=0"), (0.7, 401, "cap=401")],
)
def test_what_cannot_be_worked_out_is_refused(share, cap, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        characteristics(Margin(3), share, cap=cap)
