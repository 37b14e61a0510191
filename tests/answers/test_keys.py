"""Which spellings are one answer, and which are not. One table a rule."""

from __future__ import annotations

import pytest

from thinkctl.answers import FORMS, form

key = form("boxed").key

ONE_ANSWER = {
    "thousands are grouped in any common way": [
        "1000",
        "1,000",
        "1{,}000",
        r"1\,000",
        r"1,\!000",
        "1 000",
        "1\u202f000",
        "1e3",
        r"10^3",
        r"10^{3}",
        r"1 \times 10^3",
        "01000",
        "1000.0",
        "1 thousand",
    ],
    "millions": [
        "12345678",
        "12,345,678",
        r"12{,}345{,}678",
        "12 345 678",
        r"12\,345\,678",
        "1,23,45,678",
        "1.2345678e7",
    ],
    "Indian grouping": ["100000", "1,00,000", "100,000", "1e5"],
    "a half": [
        "1/2",
        "0.5",
        ".5",
        "0.50",
        r"\frac{1}{2}",
        r"\frac12",
        r"\dfrac{1}{2}",
        r"\tfrac 12",
        "2/4",
        "½",
        "5e-1",
        r"\frac1{2}",
    ],
    "a mixed number": [
        "3/2",
        "1.5",
        r"1\frac{1}{2}",
        r"1 \frac{1}{2}",
        "1 1/2",
        "1½",
        r"\frac{3}{2}",
        r"1\frac12",
    ],
    "a negative half": [
        "-1/2",
        "-0.5",
        "−½",
        r"-\frac{1}{2}",
        r"\frac{-1}{2}",
        r"\frac{1}{-2}",
        "\uff0d0.5",
        "-(1/2)",
    ],
    "signs": ["5", "+5", " 5 ", "5.", "(5)", "((5))", "**5**", "$5$", r"\(5\)", r"\[ 5 \]", "`5`", '"5"'],
    "zero": ["0", "-0", "0.0", "00", "+0", "0e9"],
    "digits of other scripts": ["12", "１２", "١٢", "१२", "1\u200b2"],
    "currencies": [
        "1234.5",
        "$1,234.50",
        r"\$1,234.50",
        "1234.5 dollars",
        "€1,234.50",
        "2469/2",
        "1,234.50 €",
    ],
    "units": [
        "12",
        "12 cm",
        "12cm",
        "12 apples",
        r"12\text{ cm}",
        r"12\,\mathrm{cm}",
        r"12\text{ cm}^2",
        "12 cm²",
        "12 square feet",
        "12 km/h",
        r"12\ \text{m}",
        "12 miles per hour",
        "12%",
        r"12\%",
        "12 percent",
        "12°",
        r"12^\circ",
        r"12^{\circ}",
        r"12\degree",
        "12 degrees",
        r"12^{\mathrm{th}}",
        r"12^{\text{th}} \text{ grade}",
        "12th",
    ],
    "large words": ["3000000", "3 million", "$3 million", "3,000,000 dollars", "3 million people"],
    "tuples": ["(3,4)", "(3, 4)", r"\left( 3, 4 \right)", "( 3.0 , 8/2 )", r"\bigl(3,\,4\bigr)", "(3,4)."],
    "tuples of fractions": [r"\left( \frac{3}{2}, -13 \right)", "(1.5, -13)", r"(\frac32,-13.0)"],
    "sets have no order and no repetition": [
        r"\{1, 2\}",
        r"\{2,1\}",
        r"\{2, 1, 2.0\}",
        "{1,2}",
        r"\left\{1,\, 2\right\}",
    ],
    "lists": ["1,-2", "1, -2", r"1,\ -2", "x = 1, -2", "x=1, x=-2", r"\text{1, -2}"],
    "assignments": [
        "5",
        "x=5",
        "x = 5",
        r"\theta = 5",
        "$n = 5$",
        "= 5",
        "x = 5.0 \\text{ cm}",
        r"\approx 5",
    ],
    "roots": [r"2\sqrt{5}", r"2 \sqrt 5", r"2\sqrt5", "2√5", r"2\,\sqrt{5}", r"2\sqrt{5.0}"],
    "symbols": [r"12\pi", r"12 \pi", "12π", r"12\,\pi", r"12 {\pi}"],
    "powers": ["x^2", "x^{2}", "x²", "x^{2.0}", "x ^ 2", "x^(2)"],
    "intervals": [r"(-\infty, 0]", r"\left(-\infty,0\right]", "(-∞, 0]", r"(-\infty,\, 0.0]"],
    "numbers in a base": ["4210_5", "4210_{5}", "4210₅"],
    "letters": ["B", "(B)", r"\text{B}", r"\text{(B)}", r"\textbf{(B)}", "**B**", "B.", r"\mathrm{B}"],
    "words": ["evelyn", "Evelyn", r"\text{Evelyn}", "EVELYN.", r"\textbf{Evelyn}", r"\mbox{Evelyn}"],
    "dates": [
        "2021-05-01",
        "05/01/2021",
        "May 1, 2021",
        "1 May 2021",
        "May 1st, 2021",
        "Saturday, May 1, 2021",
        r"\text{May 1, 2021}",
    ],
    "times of day": ["4:30pm", "4:30 PM", "04:30 p.m.", "4:30 P.M"],
    "matrices": [
        r"\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix}",
        r"\begin{pmatrix}-\frac{1}{3}\\\frac{2}{3}\end{pmatrix}",
        r"\begin{pmatrix} -\frac13 \\ \dfrac{2}{3} \end{pmatrix}",
    ],
}

DIFFERENT = {
    "a tuple is not its digits": ["(3,4)", "34", "3.4", "3/4", "[3,4]", "(3,4]", r"\{3,4\}", "(4,3)", "3"],
    "fractions are not their first digit": [
        "1/2",
        "1/3",
        "1",
        "2",
        r"\frac{1}{4}",
        r"\frac{1}{12}",
        r"1\frac{1}{2}",
        "11/2",
    ],
    "a comma in brackets separates": ["(1,234)", "1,234", "(1234, 0)", "(1,2,3,4)"],
    "a group of zeros in brackets may be thousands or not": ["(1,000)", "(1,0)", "1000"],
    "a decimal comma is not guessed": ["1,5", "15", "1.5", "5"],
    "half a thousand group is a list": ["12,34", "1234", "0,500", "500"],
    "two numbers are not one": ["12 13", "12", "13", "1213", "12, 13"],
    "products are not numbers": ["3x", "3", "x", "3ab", "3 x + 1"],
    "ratios and times are not numbers": ["3:4", "3/4", "6:8", "4:3", "34", "3:04"],
    "before and after noon": ["4:30", "4:30 am", "4:30 pm", "430"],
    "a part of a day is not a count": ["5 pm", "5"],
    "words that change the value": [
        "5",
        "5 less",
        "5 dozen",
        "5 km north",
        "5 km south",
        "5 or 6",
        "5 squared",
    ],
    "percent is not a share": ["50%", "0.5"],
    "signs matter": ["5", "-5", "--5", "5-"],
    "names matter when they differ": ["x=1, y=2", "x=2, y=1", "1, 2", "2, 1"],
    "an equation of a line is not its slope": ["y = 2x", "2x", "2"],
    "variables keep their case": ["x", "X", "AB", "ab"],
    "bases matter": ["52_8", "52", "52_9", "528"],
    "exponents matter": ["x^2", "x2", "x^{12}", "2x", "x_2"],
    "a power is not two digits": ["10²", "102", "10^3"],
    "arithmetic is an expression, not its value": ["(6-4)*12", "24", "12*2", "4*6"],
    "arguments of unknown commands keep their braces": [r"\overline{3}4", r"\overline{34}"],
    "continued decimals are not cut": ["0.333", "0.333...", r"0.\overline{3}", "1/3"],
    "lists of different order": ["1, 2", "2, 1"],
    "versions and decimals": ["1.2.3", "1.23", "12.3"],
    "roots": [r"\sqrt{2}", r"\sqrt[3]{2}", "2", r"\sqrt{3}", r"\sqrt[2]{3}"],
    "Euler's number is not an exponent": ["3 e", "3e5", "3 e 5", "3"],
    "impossible": ["1/0", "0", "1", "10"],
    "dates": ["05/01/2021", "01/05/2021", "5/1/21", "02/30/2021", "2021"],
    "very long numbers": ["1e999999999", "1e999999998", "1", "9" * 600, "9" * 601],
    "words": ["yes", "no", "not sure", ""],
    "functions of two variables": ["sin x", "sin X"],
    "curves are not angles": [r"r = \theta", r"\theta", r"y = \theta"],
    "letters in text are not always units": [r"3\mathrm{i}", r"3\text{x}", "3", r"3\mathbf{j}"],
    "units before a number stay apart from it": ["2, 3 cm, 4", "2, 34"],
}


@pytest.mark.parametrize("spellings", ONE_ANSWER.values(), ids=list(ONE_ANSWER))
def test_spellings_of_one_value_share_a_key(spellings: list[str]):
    assert {spelling: key(spelling) for spelling in spellings} == dict.fromkeys(spellings, key(spellings[0]))


@pytest.mark.parametrize("answers", DIFFERENT.values(), ids=list(DIFFERENT))
def test_different_answers_have_different_keys(answers: list[str]):
    keys = [key(answer) for answer in answers]
    assert len(set(keys)) == len(answers), dict(zip(answers, keys, strict=True))


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("answers", [*ONE_ANSWER.values(), *DIFFERENT.values()])
def test_a_key_is_its_own_key_in_every_form(name: str, answers: list[str]):
    for answer in answers:
        once = form(name).key(answer)
        assert form(name).key(once) == once


def test_fractions_do_not_collapse_to_their_first_digit():
    """Another library's release was withdrawn for this."""
    assert len({key(answer) for answer in ("1/2", "1/3", "1/4", r"\frac{1}{5}", "1")}) == 5


def test_a_tuple_does_not_become_a_number():
    """Another library's release was withdrawn for this, too."""
    assert key("(3,4)") not in {key("34"), key("3.4"), key("3,4"), key("3")}


def test_keys_are_written_so_that_a_person_can_read_them():
    table = {
        "$1,234.50": "2469/2",
        r"\left( 3, \frac{\pi}{2} \right)": r"(3, \frac{\pi}{2})",
        r"(-\infty, 2) \cup (3, \infty)": r"(-\infty, 2)\cup(3, \infty)",
        r"\{1\pm\sqrt{5},-2\}": r"\{-2, 1\pm\sqrt{5}\}",
        r"5x - 7y + 11z + 4 = 0": "5x-7y+11z+4=0",
        r"\cot x": r"\cot x",
        r"\text{No real solutions}": "no real solutions",
    }
    assert {answer: key(answer) for answer in table} == table


def test_a_key_is_short_whatever_the_answer():
    for found in FORMS.values():
        assert len(found.key("a b " * 300_000)) <= 2_000


def test_long_answers_are_told_apart_by_their_digests():
    text = "x" * 5_000
    assert form("text").key(text) != form("text").key(text + "y")
    assert form("text").key(text) == form("text").key(f" {text.upper()}\n")


def test_text_is_compared_without_case_and_spacing():
    same = ["New York", "new  york", " NEW\nYORK "]
    assert {form("text").key(text) for text in same} == {"new york"}
    assert form("text").key("Straße") == form("text").key("STRASSE")


def test_code_is_compared_without_blank_lines_and_trailing_blanks():
    code = form("code").key
    assert code("def f():\n    return 1\n") == code("\ndef f():   \r\n\r\n    return 1")
    assert code("def f():\n    return 1") != code("def f():\n  return 1")
    assert code("X = 1") != code("x = 1")
