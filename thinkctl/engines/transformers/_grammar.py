"""Which tokens may come next where the text is held to a regular expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, final

import torch

from thinkctl.answers.automaton import Automaton, States, automaton
from thinkctl.protocols import Tokenizer
from thinkctl.types import Constraint

__all__ = ["Held", "Vocabulary"]

_ANCHOR: Final = "."
"""Decoded alone, a token of some tokenizers loses the blank that it begins with."""
_UNFINISHED: Final = "\ufffd"
_MOST_KEPT: Final = 256


@dataclass(slots=True)
class _Node:
    """Where a beginning of tokens' texts leads: to further characters, and to tokens whose text it is."""

    further: dict[str, _Node] = field(default_factory=dict)
    token_ids: list[int] = field(default_factory=list)


@final
class Vocabulary:
    """The texts of all tokens. Those with a part of a character have none, and are never chosen."""

    def __init__(self, tokenizer: Tokenizer, size: int, ends: frozenset[int]) -> None:
        anchor = tokenizer.encode(_ANCHOR)
        before = tokenizer.decode(anchor)
        self.ends = sorted(ends)
        self.texts: list[str] = []
        self._size = size
        self._root = _Node()
        self._masks: dict[tuple[str, States], torch.Tensor] = {}
        for token in range(size):
            whole = tokenizer.decode([*anchor, token])
            text = whole.removeprefix(before) if whole.startswith(before) else ""
            self.texts.append("" if _UNFINISHED in text or token in ends else text)
            if self.texts[-1]:
                self._add(token, self.texts[-1])

    def _add(self, token: int, text: str) -> None:
        node = self._root
        for character in text:
            node = node.further.setdefault(character, _Node())
        node.token_ids.append(token)

    def mask(self, machine: Automaton, states: States) -> torch.Tensor:
        """Return which tokens may come next, shape (vocabulary,); the ends where the text may end."""
        known = self._masks.get((machine.pattern, states))
        if known is not None:
            return known
        found = torch.zeros(self._size, dtype=torch.bool)
        allowed = self._allowed(machine, states)
        found[allowed or self.ends] = True
        if machine.is_end(states):
            found[self.ends] = True
        if len(self._masks) >= _MOST_KEPT:
            self._masks.clear()
        self._masks[machine.pattern, states] = found
        return found

    def _allowed(self, machine: Automaton, states: States) -> list[int]:
        allowed: list[int] = []
        todo = [(self._root, states)]
        while todo:
            node, here = todo.pop()
            for character, further in node.further.items():
                if after := machine.after(here, character):
                    allowed += further.token_ids
                    todo.append((further, after))
        return allowed


@final
class Held:
    """The text of one stream, held to a constraint."""

    def __init__(self, constraint: Constraint, vocabulary: Vocabulary) -> None:
        self._machine = automaton(constraint.regex)
        self._states = self._machine.start
        self._vocabulary = vocabulary

    def masked(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits of a row, shape (vocabulary,), without the tokens that may not come next."""
        mask = self._vocabulary.mask(self._machine, self._states).to(logits.device)
        return logits.masked_fill(~mask, float("-inf"))

    def follow(self, token: int) -> None:
        """Take note of the token that came."""
        self._states = self._machine.after(self._states, self._vocabulary.texts[token])
