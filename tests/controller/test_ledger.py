"""The ledger: ``used + reserved <= limit``, in every currency, here and in all parents."""

from __future__ import annotations

import sys
import threading
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.guards import overshoot_is_expected
from thinkctl import Budget, Prices
from thinkctl.controller import Grant, Ledger, Need
from thinkctl.types import Role, StopReason, Usage

PRICES = Prices(dollars_per_million_prompt_tokens=Decimal(1), dollars_per_million_generated_tokens=Decimal(4))


def settle(ledger: Ledger, grant: Grant, tokens: int, prices: Prices | None = None, **more: Any) -> None:
    ledger.settle(grant, Role.SAMPLE, "m", Usage(requests=1, answer_tokens=tokens, **more), prices)


def reserved(ledger: Ledger, tokens: int, **more: Any) -> Grant:
    grant = ledger.reserve(Need(tokens, **more))
    assert grant is not None
    return grant


def test_what_does_not_fit_is_not_reserved_at_all() -> None:
    ledger = Ledger(Budget(tokens=10))
    reserved(ledger, 6).release()
    kept = reserved(ledger, 10)
    assert ledger.reserve(Need(1)) is None
    assert ledger.reserved == Need(10)
    kept.release()


@pytest.mark.parametrize(
    ("limits", "need", "wall"),
    [
        ({"tokens": 10}, Need(10), None),
        ({"tokens": 10}, Need(11), StopReason.TOKENS),
        ({"dollars": "0.01"}, Need(0, Decimal("0.01")), None),
        ({"dollars": "0.01"}, Need(0, Decimal("0.01000000000000000000001")), StopReason.DOLLARS),
        ({"requests": 2}, Need(0, requests=2), None),
        ({"requests": 2}, Need(0, requests=3), StopReason.REQUESTS),
        ({}, Need(10**12, Decimal(10**9), 10**9), None),
        ({"tokens": 1, "dollars": 1, "requests": 1}, Need(2, Decimal(2), 2), StopReason.TOKENS),
    ],
)
def test_a_wall_is_named_by_its_currency(limits, need, wall) -> None:
    ledger = Ledger(Budget.model_validate(limits))
    assert ledger.wall(need) is wall
    grant = ledger.reserve(need)
    assert (grant is None) is (wall is not None)
    if grant is not None:
        grant.release()


def test_what_was_not_used_returns_to_the_pool() -> None:
    ledger = Ledger(Budget(tokens=10))
    settle(ledger, reserved(ledger, 10), 3)
    assert (ledger.used.tokens, ledger.reserved.tokens, ledger.affordable_tokens()) == (3, 0, 7)


def test_a_grant_is_given_back_once_however_often_it_is_released() -> None:
    ledger = Ledger(Budget(tokens=10))
    grant, other = reserved(ledger, 4), reserved(ledger, 5)
    grant.release()
    grant.release()
    settle(ledger, grant, 2)
    assert ledger.reserved.tokens == 5
    other.release()


def test_what_goes_beyond_a_grant_is_billed_and_reported_as_overshoot() -> None:
    overshoot_is_expected()
    ledger = Ledger(Budget(tokens=10))
    settle(ledger, reserved(ledger, 10), 13)
    assert (ledger.used.tokens, ledger.overshoot, ledger.reserve(Need(1))) == (13, 3, None)


def test_a_child_spends_from_all_its_parents() -> None:
    grandparent = Ledger(Budget(tokens=100))
    parent = Ledger(Budget(), parent=grandparent)
    child = Ledger(Budget(tokens=50), parent=parent)
    settle(child, reserved(child, 20), 15)
    grant = reserved(child, 30)
    for ledger in (child, parent, grandparent):
        assert (ledger.used.tokens, ledger.reserved.tokens) == (15, 30)
        assert ledger.receipt(0.0).generated_tokens == 15
    grant.release()


def test_nothing_is_reserved_in_a_child_when_a_parent_has_no_room() -> None:
    parent = Ledger(Budget(tokens=10))
    child = Ledger(Budget(tokens=100), parent=parent)
    assert child.reserve(Need(11)) is None
    assert child.wall(Need(11)) is StopReason.TOKENS
    assert (child.reserved, parent.reserved) == (Need(), Need())
    assert child.affordable_tokens() == 10


def test_siblings_share_what_their_parent_has() -> None:
    parent = Ledger(Budget(tokens=10))
    one, two = Ledger(Budget(tokens=8), parent=parent), Ledger(Budget(tokens=8), parent=parent)
    grant = reserved(one, 7)
    assert two.affordable_tokens() == 3
    grant.release()


@pytest.mark.parametrize(
    ("own", "above", "deadline"), [(None, None, None), (5, None, 7), (None, 4, 5), (5, 4, 5), (2, 9, 4)]
)
def test_the_earliest_deadline_counts(own, above, deadline) -> None:
    parent = Ledger(Budget(seconds=above), now=1.0)
    assert Ledger(Budget(seconds=own), now=2.0, parent=parent).deadline == deadline


def test_a_parent_s_dollars_are_counted_too() -> None:
    parent = Ledger(Budget(dollars=Decimal(1)))
    assert Ledger(Budget(), parent=parent).counts_dollars
    assert not Ledger(Budget(tokens=5)).counts_dollars


def test_dollars_are_exact_whatever_precision_the_caller_has_set() -> None:
    tenth = Decimal("0.000000123456789")
    with localcontext(prec=2):
        ledger = Ledger(Budget.model_validate({"dollars": "5"}))
        grants = [reserved(ledger, 1, dollars=tenth) for _ in range(9)]
        assert str(ledger.reserved.dollars) == "0.000001111111101"
        for grant in grants:
            grant.release()
        assert ledger.reserved.dollars == 0
        for _ in range(9):
            settle(ledger, reserved(ledger, 1), 123_457, PRICES)
        assert ledger.used.dollars == Decimal("4.444452")
        assert ledger.receipt(0.0).dollars == ledger.used.dollars


def test_a_dollar_limit_is_kept_to_the_last_digit() -> None:
    third = Decimal("0.3333333333333333333333333333")
    ledger = Ledger(Budget(dollars=third * 3))
    grants = [reserved(ledger, 0, dollars=third) for _ in range(3)]
    assert ledger.reserve(Need(0, Decimal("1e-28"))) is None
    for grant in grants:
        grant.release()
    assert ledger.reserved.dollars == 0


@given(
    left=st.decimals("0.000001", "10", places=9),
    each=st.decimals("0.000000001", "0.01", places=12).filter(bool),
)
def test_as_many_tokens_are_affordable_as_can_be_paid(left, each) -> None:
    ledger = Ledger(Budget(dollars=left))
    tokens = ledger.affordable(Need(), each)
    assert tokens is not None
    assert tokens * each <= left < (tokens + 1) * each


def test_lines_are_merged_by_role_and_model_in_the_order_they_came() -> None:
    ledger = Ledger(Budget(), now=2.0)
    for role, model in ((Role.SAMPLE, "a"), (Role.PROBE, "a"), (Role.SAMPLE, "b"), (Role.SAMPLE, "a")):
        ledger.settle(reserved(ledger, 5), role, model, Usage(requests=1, answer_tokens=2), PRICES)
    receipt = ledger.receipt(5.0)
    assert [(line.role, line.model, line.usage.generated_tokens) for line in receipt.lines] == [
        (Role.SAMPLE, "a", 4),
        (Role.PROBE, "a", 2),
        (Role.SAMPLE, "b", 2),
    ]
    assert (receipt.seconds, receipt.requests, receipt.dollars) == (3.0, 4, Decimal("0.000032"))


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 14), st.booleans()), max_size=40
    ),
    st.tuples(*[st.none() | st.integers(1, 60)] * 3),
)
def test_whatever_is_reserved_spent_and_released_the_limits_hold_at_every_level(steps, limits) -> None:
    """The guard of this folder checks the invariant after every single step; here the sums are checked."""
    grand = Ledger(Budget(tokens=limits[0]))
    parent = Ledger(Budget(tokens=limits[1]), parent=grand)
    ledgers = [grand, parent, Ledger(Budget(tokens=limits[2]), parent=parent)]
    open_grants: list[tuple[Ledger, Grant]] = []
    spent = [0, 0, 0]
    for place, tokens, used, settles in steps:
        grant = ledgers[place].reserve(Need(tokens))
        if grant is not None:
            open_grants.append((ledgers[place], grant))
        if settles and open_grants:
            owner, grant = open_grants.pop(0)
            really = min(used, grant.need.tokens)
            settle(owner, grant, really)
            for level in range(ledgers.index(owner) + 1):
                spent[level] += really
    for _, grant in open_grants:
        grant.release()
    assert [ledger.used.tokens for ledger in ledgers] == spent
    assert [ledger.reserved for ledger in ledgers] == [Need()] * 3


def test_eight_threads_at_once_never_overdraw_nested_ledgers() -> None:
    """Real threads, switched as often as the interpreter can; every step is watched under the lock."""
    limit = 997
    parent = Ledger(Budget(tokens=limit, requests=400))
    children = [Ledger(Budget(tokens=400), parent=parent) for _ in range(4)]
    gate = threading.Barrier(8)
    failures: list[BaseException] = []

    def hammer(number: int) -> None:
        ledger = children[number % 4]
        try:
            gate.wait()
            for step in range(150):
                grant = ledger.reserve(Need((number * 7 + step) % 23 + 1, requests=1))
                if grant is None:
                    continue
                if step % 3:
                    settle(ledger, grant, grant.need.tokens * (step % 2))
                else:
                    grant.release()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the test's own thread
            failures.append(error)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(8)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert not failures
    assert sum(child.used.tokens for child in children) == parent.used.tokens <= limit
    assert sum(child.used.requests for child in children) == parent.used.requests <= 400
    assert parent.used.tokens == parent.receipt(0.0).generated_tokens
    assert parent.reserved == Need()
