"""Where an answer is found, and when a chain abstains."""

from __future__ import annotations

import pytest

from thinkctl.answers import form

BOXED = {
    r"so \boxed{\frac{1}{2}}.": r"\frac{1}{2}",
    r"\boxed{1} no, \boxed{2}": "2",
    r"\fbox{9}": "9",
    r"\boxed{\{1,2\}}": r"\{1,2\}",
    r"\boxed{\text{a {nested} set } \{x\}}": r"\text{a {nested} set } \{x\}",
    r"\boxed{\boxed{3}}": "3",
    "\\boxed {\n 4 \n}": "4",
    r"stray } and { braces \boxed{5} } {": "5",
    r"\boxed{a} and an empty \boxed{ } or \boxed{...}": "a",
    r"\boxed{5} then \boxed{7": "5",
}
ONLY_IF_COMPLETE = {
    r"\boxed 72.": "72",
    "\\boxed{12\n": "12",
    "The final answer is: $x=5$.": "$x=5$",
    "**Final Answer:**\n\n\\[ 42 \\]": r"\[ 42 \]",
    "**Answer:** 42 apples\nI hope it helps": "42 apples",
    "The answer is 3.5. Done": "3.5",
    "The answer is not 5. It is 6": "6",
    "The answer is 42 because we add them all": "42",
    "**Answer:** The total is 42.": "42",
    "The answer is y = x + 5": "y = x + 5",
    "The answer is the line given by x + y = 7": "the line given by x + y = 7",
    "The answer is x - 5.": "x - 5",
    "We get 1,234 of them": "1,234",
    "area is 15 cm^2.": "15",
    "x_2 = 7 and H2O": "7",
    "it costs -$5": "-$5",
    "10-5": "5",
    "5 - 3 = −2": "−2",
    r"probability is \frac{3}{4} there": r"\frac{3}{4}",
    r"or 1\frac{3}{4} there": r"1\frac{3}{4}",
    "about 50% of it": "50%",
    r"it is 1{,}000 now": "1{,}000",
    "She is 12, the 2nd": "12",
    "at 4:30": "4:30",
    "#### 18": "18",
    "#### Step 2: go\nThe total is 5": "5",
    "We have 12.\n#### The garden": "The garden",
}


@pytest.mark.parametrize("text", BOXED)
def test_the_last_closed_box_answers_even_if_the_chain_was_cut(text: str):
    assert form("boxed").extract(text) == BOXED[text]
    assert form("boxed").extract(text, complete=False) == BOXED[text]


@pytest.mark.parametrize("text", ONLY_IF_COMPLETE)
def test_without_a_closed_box_only_a_complete_chain_answers(text: str):
    assert form("boxed").extract(text) == ONLY_IF_COMPLETE[text]
    assert form("boxed").extract(text, complete=False) is None


@pytest.mark.parametrize("text", ["", " \n", "no numbers here", r"\boxed{}", r"\boxed{\ldots}", r"\boxed"])
@pytest.mark.parametrize("name", ["boxed", "number", "hashes", "choice", "json", "code", "date"])
def test_a_chain_without_an_answer_abstains(name: str, text: str):
    """Elsewhere unparsed answers vote and can win."""
    assert form(name).extract(text) is None


@pytest.mark.parametrize("name", ["boxed", "number", "hashes", "date"])
def test_a_truncated_chain_does_not_vote_with_an_intermediate_number(name: str):
    """Elsewhere truncated chains voted."""
    text = "First, 16 - 3 - 4 = 9 eggs on 05/01/2021. So the answer is 9 times 2, which is 1"
    assert form(name).extract(text, complete=False) is None


def test_half_an_answer_is_no_answer():
    text = r"The answer is \boxed{125} dollars"
    for end in range(len(r"The answer is \boxed{125")):
        assert form("boxed").extract(text[:end], complete=False) is None


def test_a_cut_line_of_hashes_may_be_half_a_number():
    assert form("hashes").extract("so\n#### 12", complete=False) is None
    assert form("hashes").extract("so\n#### 12\n", complete=False) == "12"
    assert form("hashes").extract("so\n#### 12", complete=True) == "12"


def test_headings_are_not_answers():
    text = "#### Step 1: add\n3 + 4 = 7\n#### 7\n#### Check\nIt is right."
    assert form("hashes").extract(text) == "7"
    for heading in ("Step 1: add", "1. Add", "1 Add", "2) Add all"):
        assert form("hashes").extract(f"#### {heading}\n3 +", complete=False) is None


def test_hashes_fall_back_to_a_box():
    assert form("hashes").extract(r"It is \boxed{7}") == "7"


NUMBERS = {
    r"\boxed{12 \text{ cm}}": r"12 \text{ cm}",
    r"\boxed{x = \frac{1}{2}}": r"x = \frac{1}{2}",
    "The answer is there are 12 apples in all.": "12",
    "the answer is 5 more than 7, so 12": "12",
    r"5 of them, but \boxed{\text{no solution}}": None,
    r"\boxed{(3,4)}": None,
    r"\boxed{3x}": None,
    "at 4:30": None,
    "Answer: none of the 5": "5",
    "The answer is x - 5.": None,
    "The answer is x/5": None,
    "The answer is 3 + 4 = 7.": "7",
    "The answer is $18 * 2 = $36 per day.": "$36 per day",
    "The answer is 3/4 of a cup": "3/4",
}


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_wanted_and_anything_else_abstains(text: str):
    assert form("number").extract(text) == NUMBERS[text]


DATES = {
    "Therefore, today's date is 05/30/2021.": "05/30/2021",
    r"\boxed{May 1, 2021}": "May 1, 2021",
    r"\boxed{\text{May 1, 2021}}": "May 1, 2021",
    r"on 05/01/2021, but \boxed{\text{unknown}}": None,
    "today is 2020-02-30": None,
    "The answer is 1 May 2021, a week after 24 April 2021.": "1 May 2021",
    "Tomorrow is 11/12/2019. 24 hours later is 11/13/2019.": "11/13/2019",
    "09/xx/2019 (depending on the day)": None,
}


@pytest.mark.parametrize("text", DATES)
def test_a_date_is_found_or_the_chain_abstains(text: str):
    assert form("date").extract(text) == DATES[text]


@pytest.mark.parametrize(
    ("spelling", "day"),
    [
        ("05/01/2021", "2021-05-01"),
        ("5/1/2021", "2021-05-01"),
        ("5-1-2021", "2021-05-01"),
        ("2021-05-01", "2021-05-01"),
        ("2021/5/1", "2021-05-01"),
        ("May 1, 2021", "2021-05-01"),
        ("may 1st 2021", "2021-05-01"),
        ("1 May 2021", "2021-05-01"),
        ("the 1st of May, 2021", "2021-05-01"),
        ("Saturday, May 1, 2021.", "2021-05-01"),
        ("Sept. 1, 2021", "2021-09-01"),
        ("22/01/2021", "2021-01-22"),
        ("٠٥/٠١/٢٠٢١", "2021-05-01"),
        ("02/30/2021", "02/30/2021"),
        ("13/13/2021", "13/13/2021"),
        ("5/1/21", "5/1/21"),
        ("May 2021", "may 2021"),
    ],
)
def test_a_date_has_one_key_and_an_impossible_one_is_text(spelling: str, day: str):
    assert form("date").key(spelling) == day


def test_text_is_all_of_it_unless_a_line_announces_the_answer():
    text = form("text").extract
    assert text(" yajo \n") == "yajo"
    assert text("Thinking...\nFinal answer: yajo\nBye") == "yajo"
    assert text("**Final Answer:** yajo") == "yajo"
    assert text("Final answer:\n\nyajo") == "yajo"
    assert text("half a tex", complete=False) is None
    assert text("Final answer: yaj", complete=False) is None
    assert text("Final answer: yajo\n", complete=False) == "yajo"
