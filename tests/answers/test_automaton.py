"""Regular expressions as machines: the same language as Python's, in linear time, and the shortest way to an end."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl.answers.automaton import Automaton, automaton, without_anchors
from thinkctl.errors import ConfigurationError

PATTERNS = [
    "",
    "abc",
    "a|bc|",
    "(a|b)*c",
    "[a-c]{2,3}x?",
    r"[^ab\n]+",
    r"-?(0|[1-9][0-9]{0,4})(\.[0-9]{1,3})?",
    r"\d\s\w\.",
    r"(?:ab){2}|(?P<name>c+?)d",
    ".é[à-ü]{,2}",
    r"\D\S\W",
    '"([^"\\\\\\x00-\\x1F]|\\\\["\\\\/bfnrt])*"',
]
TEXT = st.text('ab c1.-"\\xé\nZ_0', max_size=8)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=40)
@given(text=TEXT)
def test_it_matches_what_python_matches(pattern: str, text: str) -> None:
    assert automaton(pattern).matches(text) == (re.fullmatch(pattern, text, re.ASCII) is not None)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=40)
@given(data=st.data())
def test_every_beginning_of_a_match_is_completed_to_a_match(pattern: str, data: st.DataObject) -> None:
    whole = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    cut = data.draw(st.integers(0, len(whole)))
    completed = automaton(pattern).completed(whole[:cut])
    assert completed is not None
    assert completed.startswith(whole[:cut])
    assert re.fullmatch(pattern, completed, re.ASCII)
    assert len(completed) <= len(whole)


@pytest.mark.parametrize(
    ("pattern", "text", "completed"),
    [
        ("(Prague|Paris)", "P", "Paris"),
        ("-?[0-9]+", "-", "-0"),
        ("[a-z]{3}", "", "aaa"),
        ("[^a]", "", "!"),
        ("ab", "b", None),
        (r"\n+", "", "\n"),
        ("[^x]*y", "é", "éy"),
    ],
)
def test_of_the_shortest_ends_the_first_printable_one_is_taken(pattern, text, completed) -> None:
    assert Automaton(pattern).completed(text) == completed


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a|a)*b", "[ab]*a[ab]{30}", '"([^"\\\\]|\\\\["n]){0,200}"', "(x?){50}x{50}b"],
)
def test_it_takes_linear_time_where_others_take_exponential(pattern: str) -> None:
    began = time.process_time()
    machine = Automaton(pattern)
    for text in ("a" * 3000, '"' + "\\n" * 90, "x" * 60):
        machine.matches(text)
        machine.completed(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a", "is wrong"),
        ("a(?=b)", "assert"),
        (r"(a)\1", "groupref"),
        ("a^b", "at"),
        (r"\bword", "at"),
        ("(?i:a)", "subpattern"),
        ("((a{1,400}){1,400}){1,400}", "too large"),
        ("a" * 300_000, "300000 characters"),
    ],
)
def test_what_no_answer_can_be_held_to_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        Automaton(pattern)


def test_a_class_that_holds_nothing_leads_nowhere() -> None:
    machine = Automaton(r"a|b[^\d\D]c")
    assert machine.matches("a")
    assert not machine.accepts_start("b")


@pytest.mark.parametrize(
    ("pattern", "bare"), [("^a$", "a"), (r"\Aa\Z", "a"), (r"a\$", r"a\$"), (r"a\\$", r"a\\"), ("a", "a")]
)
def test_anchors_around_a_pattern_say_nothing_of_a_whole_text(pattern: str, bare: str) -> None:
    assert without_anchors(pattern) == bare


@given(pattern=st.text("ab()|*?+[]{},^$\\.-1d", max_size=12), text=TEXT)
@settings(max_examples=300)
def test_any_pattern_is_refused_or_means_what_python_means(pattern: str, text: str) -> None:
    try:
        machine = Automaton(pattern)
    except ConfigurationError:
        return
    assert machine.matches(text) == (re.fullmatch(pattern, text, re.ASCII) is not None)
