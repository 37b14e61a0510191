"""The tokenizer that is made up as it goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thinkctl.testing import ScriptedTokenizer
from thinkctl.types import Message

TEXTS = st.lists(
    st.one_of(st.text(), st.sampled_from(["<think>", "</think>", "<|user|>", "\n\n", " ", "<", "\\boxed{"]))
).map("".join)


@given(TEXTS)
def test_decoding_gives_back_every_text(text: str) -> None:
    tokenizer = ScriptedTokenizer(("<think>", "</think>"))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(TEXTS, TEXTS)
def test_ids_stay_what_they_are_when_more_is_read(one: str, other: str) -> None:
    tokenizer = ScriptedTokenizer()
    before = tokenizer.encode(one)
    tokenizer.encode(other)
    assert tokenizer.encode(one) == before


def test_a_token_is_a_word_with_the_blanks_before_it_and_marks_stand_alone() -> None:
    tokenizer = ScriptedTokenizer(("<think>", "</think>"))
    ids = tokenizer.encode("<think>So it\n is</think> 4 ")
    pieces = [tokenizer.decode([token]) for token in ids]
    assert pieces == ["<think>", "So", " it", "\n is", "</think>", " 4", " "]


def test_the_end_of_turn_decodes_to_nothing() -> None:
    tokenizer = ScriptedTokenizer()
    assert tokenizer.decode([*tokenizer.encode("done"), tokenizer.end_of_turn]) == "done"


def test_a_chat_ends_ready_for_the_answer() -> None:
    tokenizer = ScriptedTokenizer()
    messages = [Message(role="system", content="Be brief."), Message(role="user", content="2+2?")]
    ids = tokenizer.chat(messages)
    assert tokenizer.decode(ids) == "<|system|>Be brief.<|user|>2+2?<|assistant|>"
    assert ids == tokenizer.chat(messages)
    assert ids.count(tokenizer.end_of_turn) == 2
