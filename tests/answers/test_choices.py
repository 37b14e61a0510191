"""Letters: found where they are chosen, not where they are mentioned. The article A and the pronoun I are none."""

from __future__ import annotations

import pytest

from thinkctl.answers import form

CHOSEN = {
    r"\boxed{B}": "B",
    r"\boxed{b}": "B",
    r"\boxed{\text{(E) 5}}": "E",
    r"\boxed{\textbf{C. Paris}}": "C",
    "(B) is wrong. The answer is (C).": "C",
    "The answer is A.": "A",
    "Answer: C because it is": "C",
    "The answer is A because it is": "A",
    "The correct answer is: **(F)**": "F",
    "I think that **B** fits": "B",
    "**B. Paris** it is": "B",
    "so (D) remains": "D",
    "I think it is B": "B",
    "the correct option is A)": "A",
    "#### D": "D",
    "I": "I",
    "A": "A",
    "\nI.\n": "I",
    "The answer is a car": None,
    "A car is nice. I agree": None,
    "the answer is I think unclear": None,
    "Vitamin A deficiency": None,
    "It is K": None,
    "Both": None,
    "DNA-B": None,
}


@pytest.mark.parametrize("text", CHOSEN)
def test_a_letter_is_found_where_it_is_chosen(text: str):
    assert form("choice").extract(text) == CHOSEN[text]


@pytest.mark.parametrize(
    "text", ["Option (B) is", "**B** is wrong, since", "The answer is B", "#### B", r"\boxed{B"]
)
def test_a_cut_chain_only_mentioned_a_letter(text: str):
    assert form("choice").extract(text, complete=False) is None


def test_a_boxed_letter_counts_in_a_cut_chain():
    assert form("choice").extract(r"\boxed{(B)} is what I", complete=False) == "B"


def test_a_letter_has_one_key_however_it_is_dressed():
    dressed = [
        "B",
        "b",
        "(B)",
        "(b)",
        "B.",
        "B)",
        "[B]",
        "**B**",
        r"\text{B}",
        "Option B",
        "B. Paris",
        "(B) 42",
        " B ",
    ]
    assert {form("choice").key(answer) for answer in dressed} == {"B"}


def test_what_is_no_letter_is_compared_as_text():
    assert form("choice").key("Big  Ben") == "big ben"
    assert form("choice").key("K") == "k"
