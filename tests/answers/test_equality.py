"""Which answers are equal, which rung of the ladder says so, and how often that is right."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.answers import Equality, canonical, classes, equal, equal_async, equality
from thinkctl.answers.shapes import compare, shape
from thinkctl.answers.symbols import structure_key, writing

pytestmark = pytest.mark.worker

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).with_name("corpus") / "equality.jsonl"
PAIRS = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
needs_math = pytest.mark.skipif(
    importlib.util.find_spec("math_verify") is None, reason="needs thinkctl[math]"
)

RUNGS = {
    ("blue", "blue"): (True, "text"),
    (r"\frac12", "0.5"): (True, "key"),
    ("1,234", "1234.5"): (False, "key"),
    ("yes", "no"): (False, "key"),
    ("May 1, 2021", "05/02/2021"): (False, "key"),
    ("1, 2", r"\{2, 1\}"): (True, "structure"),
    (r"\pm 3", "-3, 3"): (True, "structure"),
    ("x > 3", r"(3, \infty)"): (True, "structure"),
    ("(1, 2)", "(2, 1)"): (False, "structure"),
    ("(1, 2)", "[1, 2]"): (False, "structure"),
    ("y = 2x", "2x"): (True, "structure"),
    ("x=1, y=2", "y=2, x=1"): (True, "structure"),
    ("x < -2 or x > 3", r"(-\infty, -2) \cup (3, \infty)"): (True, "structure"),
    ("x > -2 and x < 3", r"(-2, 3)"): (False, "structure"),
    (r"x \in [1, 3]", r"3 \geq x \geq 1"): (True, "structure"),
    (r"\{x | x > 3\}", r"(3, \infty)"): (True, "structure"),
    (r"\mathbb{R}", r"(-\infty, \infty)"): (True, "structure"),
    (r"(r, \theta) = (2, 3)", "(2, 3)"): (True, "structure"),
    (r"0.1\overline{6}", r"\frac16"): (True, "key"),
    ("x**2", "x^2"): (True, "key"),
    (r"3\sqrt{2}\text{ cm}", r"3\sqrt2"): (True, "key"),
    ("52_8", "52_9"): (False, "key"),
    ("5", "blue"): (False, "key"),
    ("", "5"): (None, "empty"),
    (r"\frac{1}{", "5"): (None, "unparsable"),
    ("9**9**9**9", "5"): (None, "unparsable"),
    ("9" * 150 + "!", "5"): (None, "too large"),
}


@pytest.mark.parametrize(("pair", "expected"), RUNGS.items(), ids=[" ~ ".join(pair)[:40] for pair in RUNGS])
def test_a_cheap_rung_decides_without_algebra(
    pair: tuple[str, str], expected: tuple[bool | None, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(equality, "shared", None)  # asking for a worker would be an error
    assert equal(*pair) == equal(*reversed(pair)) == Equality(*expected)


@needs_math
@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (r"\sqrt{8}", r"2\sqrt{2}", True),
        ("(x+1)^2", "x^2+2x+1", True),
        (r"(1, \sqrt{8})", r"(1, 2\sqrt{2})", True),
        (r"\{\sqrt{8}, \pi\}", r"\{\pi, 2\sqrt{2}\}", True),
        ("y = 2x + 3", "4x - 2y + 6 = 0", True),
        (r"\sqrt{2}", "1.41421356", False),
        (r"10^{-20}\pi", "0", False),
        (r"\sqrt{2}", "1.4142135623730950488016887242096980785696", False),
        ("A + 1", "a + 1", False),
        ("3t", "3", False),
    ],
)
def test_algebra_decides_what_is_left(one: str, other: str, expected: bool):
    assert equal(one, other) == equal(other, one) == Equality(expected, "algebra")


def test_an_equality_is_true_only_if_it_is_known():
    assert [bool(Equality(known, "key")) for known in (True, False, None)] == [True, False, False]


def test_without_math_verify_the_last_rung_is_missing_and_says_what_brings_it(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(equality, "available", lambda: False)
    assert equal(r"\sqrt{8}", r"2\sqrt{2}") == Equality(None, "needs thinkctl[math]")
    assert equal("1/2", "0.5").equal is True
    assert canonical(r"\sqrt{8}") == r"\sqrt{8}"


def printed_by(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip()


def test_importing_answers_loads_no_algebra():
    heavy = "{'sympy', 'math_verify', 'numpy', 'multiprocessing'}"
    assert printed_by(f"import sys, thinkctl.answers; print({heavy} & set(sys.modules))") == "set()"


@needs_math
def test_comparing_loads_no_algebra_into_this_process():
    code = (
        "import sys; from thinkctl.answers import equal\n"
        "print(equal('sqrt(8)', '2 sqrt(2)', seconds=20), 'sympy' in sys.modules)"
    )
    assert printed_by(code) == "Equality(equal=True, rung='algebra') False"


@needs_math
def test_the_event_loop_goes_on_while_algebra_works():
    async def both() -> tuple[Equality, int]:
        asked = asyncio.ensure_future(equal_async(r"\sqrt{50}", r"5\sqrt{2}"))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1
        return await asked, turns

    found, turns = asyncio.run(both())
    assert found == Equality(True, "algebra")
    assert turns > 10


@needs_math
def test_threads_may_ask_at_the_same_time():
    found: list[Equality] = []
    pairs = [(rf"\sqrt{{{2 * n * n}}}", rf"{n}\sqrt{{2}}") for n in range(2, 14)]
    threads = [
        threading.Thread(target=lambda pair=pair: found.append(equal(*pair, seconds=20))) for pair in pairs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Equality(True, "algebra")] * len(pairs)


HOSTILE = r"0123456789xyie+-*/^_=<>(){}[]\,. |&!%$" + "\0\ud800"


@given(st.text(), st.text(alphabet=HOSTILE))
def test_every_pair_of_texts_has_an_answer_and_order_does_not_matter(one: str, other: str):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(equality, "available", lambda: False)
        for first, second in ((one, other), (other, other + " "), (other, other[::-1])):
            assert equal(first, second) == equal(second, first)
            assert equal(first, first).equal is (True if first.strip() else None)
        assert len(canonical(other)) <= 2_000
        assert canonical(canonical(other)) == canonical(other)
    assert structure_key(structure_key(other)) == structure_key(other)


# -- canonical writings and classes --------------------------------------------------------------------------


@needs_math
@pytest.mark.parametrize(
    ("spellings", "form"),
    [
        ([r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt{3}}{3}", r"\sqrt{\frac13}"], r"\frac{\sqrt{3}}{3}"),
        (["(x+1)^2", "x^2+2x+1", "1+x(x+2)"], "x^{2}+2x+1"),
        (["y=2x+3", "3+2x"], "2x+3"),
        (["2x+4y=6", "x+2y-3=0", "3=x+2y"], "x+2y-3=0"),
        ([r"\{\sqrt8, 1\}", r"1, 2\sqrt{2}"], r"\{1, 2\sqrt{2}\}"),
        (["1/2", "0.5"], "1/2"),
        (["Yes", r"\text{yes}"], "yes"),
    ],
)
def test_equal_answers_have_one_canonical_writing(spellings: list[str], form: str):
    assert {spelling: canonical(spelling) for spelling in spellings} == dict.fromkeys(spellings, form)


@pytest.mark.parametrize(
    ("spellings", "key"),
    [
        (["1, 2", "2, 1", r"\{1,2\}", "x=1 or x=2"], r"\{1, 2\}"),
        ([r"\pm 2", "-2, 2"], r"\{-2, 2\}"),
        (["x > 3", r"(3, \infty)", "3 < x"], r"(3, \infty)"),
        (["x**2", "x^2"], "x^{2}"),
        ([r"\sqrt{8}"], r"\sqrt{8}"),
        (["(2, 1)"], "(2, 1)"),
        (["9**9**9**9"], "9^{9}^{9}^{9}"),
    ],
)
def test_a_structure_key_counts_votes_without_algebra(spellings: list[str], key: str):
    assert {spelling: structure_key(spelling) for spelling in spellings} == dict.fromkeys(spellings, key)


def test_what_cannot_be_read_keeps_its_writing():
    assert canonical(r"\frac{1}{") == writing(r"\frac{1}{")
    assert canonical("") == ""
    assert len(canonical("x" * 5_000)) <= 2_000


@needs_math
def test_classes_are_the_same_for_every_order_of_the_answers():
    answers = ["0.5", r"\frac{1}{2}", r"2\sqrt{2}", r"\sqrt{8}", "blue", ""]
    groups = [{0, 1}, {2, 3}, {4}, {5}]
    for order in itertools.islice(itertools.permutations(range(len(answers))), 0, None, 37):
        found = classes([answers[place] for place in order])
        assert found[0] == 0
        assert max(found) == len(groups) - 1
        for group in groups:
            assert len({found[order.index(place)] for place in group}) == 1


def test_classes_are_numbered_as_they_first_appear():
    assert classes(["7", "yes", "7.0", "3", "YES"]) == (0, 1, 0, 2, 1)
    assert classes([]) == ()


@needs_math
def test_different_answers_never_share_a_canonical_writing_and_few_equal_ones_have_two():
    """About 95% of equal pairs share theirs; canonical writings are their own, and equal what they are made of."""
    forms = {text: canonical(text, seconds=20) for pair in PAIRS for text in (pair["one"], pair["other"])}
    shared = [
        pair["label"]
        for pair in PAIRS
        if pair["label"] != "unparsable" and forms[pair["one"]] == forms[pair["other"]]
    ]
    assert "different" not in shared
    assert len(shared) >= 0.94 * sum(pair["label"] == "equal" for pair in PAIRS)
    assert {form: canonical(form, seconds=20) for form in forms.values()} == {
        form: form for form in forms.values()
    }


# -- the corpus ----------------------------------------------------------------------------------------------


def test_the_corpus_holds_at_least_three_hundred_pairs_of_every_label():
    labels = Counter(pair["label"] for pair in PAIRS)
    assert labels.total() >= 300
    assert min(labels["equal"], labels["different"]) >= 100
    assert labels["unparsable"] >= 10
    assert len({(pair["one"], pair["other"]) for pair in PAIRS}) == len(PAIRS)


def test_structure_alone_never_contradicts_a_label():
    """Whatever the leaves would say: a rung below algebra is exact."""
    for pair in PAIRS:
        if pair["label"] == "unparsable":
            continue
        verdict = compare(
            shape(writing(pair["one"])), shape(writing(pair["other"])), lambda _one, _other: None
        )
        assert verdict in {None, pair["label"] == "equal"}, pair


def test_doubt_about_members_of_a_set_does_not_depend_on_the_order():
    one, other = shape(r"\{\sqrt{2}, \sqrt{3}\}"), shape(r"\{\sqrt{5}, blue\}")
    assert (
        compare(one, other, lambda _one, _other: None)
        is compare(other, one, lambda _one, _other: None)
        is False
    )


def test_the_order_of_a_pair_never_matters():
    """Without algebra; for algebra the pair is put in order before it is asked for."""

    def cheap(one: str, other: str) -> bool | None:
        return compare(shape(writing(one)), shape(writing(other)), lambda _one, _other: None)

    wrong = [pair for pair in PAIRS if cheap(pair["one"], pair["other"]) != cheap(pair["other"], pair["one"])]
    assert not wrong


@needs_math
def test_equality_is_right_on_the_corpus_more_often_than_math_verify_alone():
    command = [sys.executable, str(ROOT / "tests" / "benchmarks" / "equality.py"), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=200)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    ours, others = rows.pop("thinkctl"), list(rows.values())
    print([ours, *others])  # noqa: T201  shown by pytest -s
    assert ours["right"] / ours["pairs"] >= 0.98
    assert ours["wrongly equal"] == 0
    assert others
    assert all(ours["right"] >= other["right"] for other in others)
