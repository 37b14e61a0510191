"""A tokenizer that is made up as it goes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, final

from thinkctl.types import Message

__all__ = ["END_OF_TURN", "ROLES", "ScriptedTokenizer"]

END_OF_TURN: Final = 0
ROLES: Final = ("system", "user", "assistant", "tool")
"""Their marks have the ids from 1 on."""


@final
class ScriptedTokenizer:
    """Words with the blanks before them, interned to ids as they come; decoding is concatenation.

    Marks (roles and the model's thinking marks) are tokens of their own. Id 0 is the end of turn, which
    decodes to nothing. ``decode(encode(text)) == text`` for every text.
    """

    end_of_turn: Final = END_OF_TURN

    def __init__(self, marks: Sequence[str] = ()) -> None:
        self._texts = ["", *(f"<|{role}|>" for role in ROLES), *marks]
        self._ids = {text: token for token, text in enumerate(self._texts) if token}
        mark = "|".join(re.escape(text) for text in self._texts[1:])
        self._pattern = re.compile(rf"{mark}|\s*(?:(?!{mark})\S)+|\s+")

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        return [self._intern(piece) for piece in self._pattern.findall(text)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids. Raises ``IndexError`` for an id that was never given out."""
        return "".join(self._texts[token] for token in token_ids)

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """Return the ids of ``<|role|>content``, end of turn, for each message, then ``<|assistant|>``."""
        ids: list[int] = []
        for message in messages:
            ids += [self._ids[f"<|{message.role}|>"], *self.encode(message.content), END_OF_TURN]
        return [*ids, self._ids["<|assistant|>"]]

    def _intern(self, piece: str) -> int:
        known = self._ids.get(piece)
        if known is None:
            known = self._ids[piece] = len(self._texts)
            self._texts.append(piece)
        return known
