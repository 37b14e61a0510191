"""What holds for every answer: keys are total and idempotent, spellings agree with values."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.answers import FORMS, Form, form

key = form("boxed").key
forms = pytest.mark.parametrize("found", FORMS.values(), ids=list(FORMS))

PIECES = (
    *(
        "\\frac",
        "\\sqrt",
        "\\text{",
        "\\boxed{",
        "\\begin{a}",
        "\\end{a}",
        "\\left(",
        "\\right]",
        "\\{",
        "\\}",
        "\\\\",
    ),
    *(
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        ", ",
        ".",
        "..",
        "-",
        "+",
        "=",
        "/",
        "*",
        "^",
        "_",
        "%",
        "$",
        "'",
        '"',
        "`",
        "**",
    ),
    *(
        "0",
        "1",
        "7",
        "10",
        "000",
        "12",
        "345",
        ".5",
        "1e5",
        "e",
        "E",
        "x",
        "AB",
        "no",
        "Yes",
        "cm",
        "apples",
        "million",
    ),
    *(
        " ",
        "  ",
        "\n",
        "\\,",
        "{,}",
        "~",
        ":",
        "#### ",
        "½",
        "²",
        "₅",
        "°",
        "π",
        "√",
        "−",
        "１",
        "ß",
        "İ",
        "\ud800",
        "\0",
    ),
    *(
        "May ",
        "2021",
        "/",
        "am",
        "p.m.",
        "th",
        "\\circ",
        "\\pi",
        "\\",
        "&",
        "|",
        "null",
        "NaN",
        "true",
        "sha256:",
    ),
)
pieced = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
any_text = st.text(st.characters(exclude_categories=()), max_size=60) | pieced
values = st.fractions(max_denominator=10**6).filter(lambda value: abs(value) < 10**12)


@forms
@given(any_text)
def test_a_key_is_total_and_its_own_key(found: Form, text: str):
    once = found.key(text)
    assert found.key(once) == once


@forms
@given(any_text, st.booleans())
def test_extraction_is_total_and_finds_text(found: Form, text: str, complete: bool):
    answer = found.extract(text, complete=complete)
    assert answer is None or answer.strip() == answer or found.name == "code"
    assert answer != ""


@forms
@given(any_text)
def test_closing_is_total(found: Form, text: str):
    assert found.closed(text) in {True, False}


@forms
@given(any_text)
def test_a_cut_chain_never_answers_what_the_same_complete_chain_would_not(found: Form, text: str):
    if found.extract(text, complete=False) is not None:
        assert found.extract(text) is not None


@given(values)
def test_every_spelling_of_a_fraction_has_one_key(value: Fraction):
    top, bottom, sign = abs(value.numerator), value.denominator, "-" if value < 0 else ""
    spellings = [
        f"{sign}{top}/{bottom}",
        f"{sign}\\frac{{{top}}}{{{bottom}}}",
        f"\\frac{{{sign}{top}}}{{{bottom}}}",
        f"${sign}\\dfrac{{{7 * top}}}{{{7 * bottom}}}$",
        f"({sign}{top}/{bottom})",
        f"x = {sign}{top}/{bottom}",
        f"{sign}{top}/{bottom} cm",
    ]
    if top > bottom > 1:
        whole, rest = divmod(top, bottom)
        spellings += [f"{sign}{whole}\\frac{{{rest}}}{{{bottom}}}", f"{sign}{whole} {rest}/{bottom}"]
    assert {key(spelling) for spelling in spellings} == {str(value)}


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=4))
def test_every_spelling_of_a_decimal_has_one_key(value: Decimal):
    spellings = [
        str(value),
        f"{value:f}",
        f"{value:,f}",
        f"{value:,f}".replace(",", "{,}"),
        f"{value:,f}".replace(",", " "),
        f"{value:f}".replace("-", "−"),
        f"{value:f}00",
        f"{value:e}",
        f"${value:,f}",
        f"{value:f} apples",
    ]
    assert {spelling: key(spelling) for spelling in spellings} == dict.fromkeys(
        spellings, str(Fraction(value))
    )


@given(values, values)
def test_different_values_have_different_keys(one: Fraction, other: Fraction):
    assert (key(str(one)) == key(str(other))) == (one == other)


@given(st.lists(values, min_size=2, max_size=5), st.lists(values, min_size=2, max_size=5))
def test_tuples_are_equal_exactly_when_their_elements_are(one: list[Fraction], other: list[Fraction]):
    def spelled(elements: list[Fraction]) -> str:
        return key(f"({','.join(map(str, elements))})")

    assert (spelled(one) == spelled(other)) == (one == other)
    assert spelled(one) != key(", ".join(map(str, one)))


@given(st.lists(values, min_size=1, max_size=5), st.randoms())
def test_sets_have_no_order(elements: list[Fraction], random: object):
    backwards = list(reversed(elements))
    assert key(f"\\{{{', '.join(map(str, elements))}\\}}") == key(f"\\{{{','.join(map(str, backwards))}\\}}")


@given(st.integers(min_value=0, max_value=10**18))
def test_an_integer_is_found_and_kept_in_every_numeric_form(value: int):
    for name in ("boxed", "number"):
        found = form(name)
        for text in (f"So we get \\boxed{{{value:,}}}.", f"The answer is {value:,}.", f"In total: {value}"):
            answer = found.extract(text)
            assert answer is not None
            assert found.key(answer) == str(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    )
)
def test_json_is_found_and_its_key_does_not_depend_on_layout(value: object):
    import json

    found = form("json")
    keys = {
        found.key(json.dumps(value, indent=indent, ensure_ascii=ascii_))
        for indent in (None, 2)
        for ascii_ in (True, False)
    }
    assert len(keys) == 1
    if isinstance(value, (dict, list)):
        answer = found.extract(f"Thus:\n{json.dumps(value)}\n")
        assert answer is not None
        assert {found.key(answer)} == keys
