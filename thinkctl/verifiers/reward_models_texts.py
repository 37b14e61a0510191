"""A problem and an answer as the tokens that a reward model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thinkctl.errors import ConfigurationError
from thinkctl.verifiers.reward_models import Text, Tokens

__all__ = ["tokens_of"]


def tokens_of(tokenizer: Any, text: Text, *, by_step: bool) -> Tokens:
    """Return a text's tokens in the tokenizer's chat template, scored at its end or at the end of each step.

    Without a chat template the turns stand one after the other, an empty line between. A special token that is written
    out in the text is text.
    """
    turns = [{"role": turn.role, "content": turn.content} for turn in text.messages]
    steps = [_harmless(tokenizer, step) for step in text.steps]
    if not by_step:
        ids = _conversation(tokenizer, turns, text.separator.join(steps))
        return Tokens(tuple(ids), (len(ids) - 1,))
    ids = _prompt(tokenizer, turns)
    places: list[int] = []
    tag = _tag(tokenizer, text.tag) if text.tag else []
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        ending = "" if text.tag or last else text.separator
        ids += [*_plain(tokenizer, step + ending), *tag]
        places.append(len(ids) - 1)
    return Tokens(tuple(ids), tuple(places))


def _conversation(tokenizer: Any, turns: list[dict[str, str]], answer: str) -> list[int]:
    if not tokenizer.chat_template:
        return [*_prompt(tokenizer, turns), *_plain(tokenizer, answer)]
    whole = [*turns, {"role": "assistant", "content": answer}]
    return list(tokenizer.apply_chat_template(whole, tokenize=True, return_dict=False))


def _prompt(tokenizer: Any, turns: list[dict[str, str]]) -> list[int]:
    if not tokenizer.chat_template:
        return list(tokenizer.encode("".join(f"{turn['content']}\n\n" for turn in turns)))
    return list(
        tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
    )


def _plain(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def _tag(tokenizer: Any, tag: str) -> list[int]:
    ids = _plain(tokenizer, tag)
    if len(ids) != 1:
        raise ConfigurationError(f"tag={tag!r} is {len(ids)} tokens of this model; a tag is one token")
    return ids


def _harmless(tokenizer: Any, text: str) -> str:
    """Break up special tokens that a text spells, with a blank after their first character."""
    special: Sequence[str] = tokenizer.all_special_tokens
    for mark in special:
        text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text
