"""When two result sets are the same, as sentences."""

from __future__ import annotations

import datetime
import json
import os
import random
import sqlite3
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.verifiers import same_rows
from thinkctl.verifiers.sql_rows import Fingerprint

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("THINKCTL_SHARED", ROOT.parent / "shared"))

EDGES = [(1, 2), (2, 3), (3, 1)]
cells = st.none() | st.integers(-3, 3) | st.sampled_from(["a", "b", "1", 0.5, 2.25, b"x"])
tables = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[cells] * width), max_size=6))


def fingerprint(rows: list[tuple[object, ...]], *, column_order: bool = False) -> str:
    found = Fingerprint(column_order)
    for row in rows:
        found.add(row)
    return found.digest()


@pytest.mark.parametrize(
    ("one", "other", "unordered", "ordered"),
    [
        ([], [], True, True),
        ([(1,)], [], False, False),
        ([(1, "a"), (2, "b")], [(2, "b"), (1, "a")], True, False),
        ([(1, "a"), (2, "b")], [("a", 1), ("b", 2)], True, True),  # columns in another order
        ([(1, "a"), (2, "b")], [("b", 2), ("a", 1)], True, False),
        ([(1, "a"), (2, "b")], [(2, "a"), (1, "b")], False, False),
        ([(1,), (1,), (2,)], [(1,), (2,), (2,)], False, False),
        ([(1,), (1,)], [(1,)], False, False),
        ([(1,)], [(1.0,)], True, True),
        ([(1,)], [(True,)], True, True),
        ([(1,)], [("1",)], False, False),
        ([(1,)], [(Decimal("1.00"),)], True, True),
        ([(0.1 + 0.2,)], [(0.3,)], True, True),
        ([(0.3000001,)], [(0.3000005,)], True, True),
        ([(0.30001,)], [(0.30002,)], False, False),
        ([(0.9999999,)], [(1,)], True, True),
        ([(10_000_001,)], [(10_000_002,)], False, False),  # whole numbers are equal or not
        ([(2**62,)], [(2**62 + 1,)], False, False),
        ([(1e12 + 0.1,)], [(1e12 + 0.2,)], True, True),
        ([(None,)], [(None,)], True, True),
        ([(None,)], [(0,)], False, False),
        ([(None,)], [("",)], False, False),
        ([(float("nan"),)], [(float("nan"),)], True, True),
        ([(float("inf"),)], [(float("-inf"),)], False, False),
        ([("a",)], [("A",)], False, False),
        ([(b"a",)], [("a",)], False, False),
        ([(datetime.date(2024, 2, 20),)], [("2024-02-20",)], True, True),
        ([([1, 2],)], [((1.0, 2),)], True, True),
        ([(1, 2)], [(1, 2, 3)], False, False),
        (EDGES, [(b, a) for a, b in EDGES], True, True),  # as columns in another order
        (EDGES, [(1, 3), (2, 3), (2, 1)], False, False),
        ([(1, 1, 2), (2, 2, 1)], [(2, 1, 2), (1, 2, 1)], True, False),
        ([[1, "a"]], [(1, "a")], True, True),
        ([(1, 2), (3,)], [(1, 2), (3,)], False, False),  # no table
    ],
)
def test_same_rows(one, other, unordered, ordered) -> None:
    assert (same_rows(one, other), same_rows(one, other, ordered=True)) == (unordered, ordered)
    assert (same_rows(other, one), same_rows(other, one, ordered=True)) == (unordered, ordered)


@given(tables, st.randoms(use_true_random=False))
def test_rows_and_columns_in_any_order_are_the_same(rows, drawn) -> None:
    width = len(rows[0]) if rows else 0
    places = drawn.sample(range(width), width)
    turned = [tuple(row[place] for place in places) for row in rows]
    assert same_rows(rows, turned, ordered=True)
    drawn.shuffle(turned)
    assert same_rows(rows, turned)
    assert fingerprint(rows) == fingerprint(turned)


@given(tables, tables)
def test_what_is_the_same_by_fingerprint_in_column_order_is_the_same(one, other) -> None:
    alike = fingerprint(one, column_order=True) == fingerprint(other, column_order=True)
    assert alike == (sorted(map(repr, map(canonical, one))) == sorted(map(repr, map(canonical, other))))
    if same_rows(one, other):
        assert fingerprint(one) == fingerprint(other)


def canonical(row: tuple[object, ...]) -> list[object]:
    return [float(value) if isinstance(value, int | float) else value for value in row]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ([(1, "a")], [("a", 1)], True),
        ([(1, 2), (3, 4)], [(2, 1), (3, 4)], False),
        ([(1.00001,)], [(1.00004,)], True),
        ([(1,), (1,)], [(1,)], False),
        ([(1,)], [("1",)], False),
        ([], [(None,)], False),
    ],
)
def test_fingerprints(one, other, alike) -> None:
    assert (fingerprint(one) == fingerprint(other)) is alike


def test_a_fingerprint_is_the_same_everywhere() -> None:
    assert fingerprint([(1, "a"), (2.5, None)]) == "d434a495a00fecf0"


def test_many_alike_columns_and_many_rows_are_compared_in_time() -> None:
    drawn = random.Random(0)
    rows = [tuple(drawn.choice("ab") for _ in range(12)) for _ in range(300)]
    other = [tuple(drawn.choice("ab") for _ in range(12)) for _ in range(300)]
    tall = [(number, str(number), number / 7) for number in range(50_000)]
    began = time.perf_counter()
    assert same_rows(rows, rows[::-1])
    assert not same_rows(rows, other)
    assert same_rows(tall, [(text, third, number) for number, text, third in reversed(tall)])
    assert time.perf_counter() - began < 5


def test_every_reference_query_gives_the_recorded_result() -> None:
    folder = SHARED / "data" / "sets" / "sql_recursive"
    if not folder.exists():
        pytest.skip("the set sql_recursive is not there; set THINKCTL_SHARED to the folder with data/sets")
    lines = (folder / "data.jsonl").read_text(encoding="utf-8").splitlines()
    for entry in map(json.loads, lines):
        database = (folder / "db" / f"{entry['db']}.sqlite").as_uri()
        with sqlite3.connect(f"{database}?mode=ro", uri=True) as connection:
            rows = connection.execute(entry["answer"]).fetchall()
        connection.close()
        assert same_rows(rows, entry["gold_result"], ordered=entry["ordered"]), entry["id"]
        assert not same_rows(rows[1:], entry["gold_result"], ordered=entry["ordered"]), entry["id"]
