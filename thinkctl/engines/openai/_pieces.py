"""Token ids for servers that only speak text: every piece of text that came or goes has an id of its own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.types import Message

__all__ = ["PieceTokenizer"]

_PER_MESSAGE: Final = 16
"""Tokens that a chat template adds to a message, at most."""
_PADDING: Final = 0
"""The id that stands for a token of a conversation whose text is not ours to know."""
_PIECES: Final = re.compile(r"\s*[^\W\d_]{1,4}|\s*\d{1,3}|\s*[^\w\s]{1,2}|\s+|_")


@final
class PieceTokenizer:
    """Stands in for a tokenizer that the server keeps to itself.

    A conversation is one id that names it, followed by as many padding ids as it can have tokens at most: no
    token is shorter than a byte. So what is reserved for a prompt is never too little; what was really used
    is what the server says. Ids are valid in this program only.
    """

    def __init__(self) -> None:
        self._texts: list[str] = [""]
        self._ids: dict[str, int] = {"": _PADDING}
        self._conversations: dict[int, tuple[Message, ...]] = {}
        self._named: dict[tuple[Message, ...], int] = {}

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, about as many as a real tokenizer would have."""
        pieces: list[str] = []
        end = 0
        for match in _PIECES.finditer(text):
            if match.start() > end:
                pieces.append(text[end : match.start()])
            pieces.append(match[0])
            end = match.end()
        if end < len(text):
            pieces.append(text[end:])
        return [self.piece(piece) for piece in pieces]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids. Raises ``ConfigurationError`` for an id that was never given out."""
        try:
            return "".join([self._texts[token] for token in token_ids])
        except IndexError:
            raise ConfigurationError(
                f"token id {max(token_ids)} is none of this engine's; ids of a server that speaks text are valid "
                "in one program only"
            ) from None

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """Return ids that stand for a conversation."""
        conversation = tuple(messages)
        name = self._named.get(conversation)
        if name is None:
            name = len(self._texts)
            self._texts.append("")
            self._named[conversation] = name
            self._conversations[name] = conversation
        size = sum(
            len(message.content.encode(errors="surrogatepass")) + _PER_MESSAGE for message in conversation
        )
        return [name] + [_PADDING] * size

    def piece(self, text: str) -> int:
        """Return the id of a piece of text."""
        token = self._ids.get(text)
        if token is None:
            token = self._ids[text] = len(self._texts)
            self._texts.append(text)
        return token

    def pieces(self, text: str, tokens: int) -> tuple[int, ...]:
        """Cut a text that was so many tokens into so many pieces."""
        cuts = [len(text) * place // tokens for place in range(tokens + 1)]
        return tuple(self.piece(text[start:stop]) for start, stop in itertools.pairwise(cuts))

    def conversation(self, token_ids: Sequence[int]) -> tuple[tuple[Message, ...], str]:
        """Return the messages that a prompt begins with, and what the model has said since.

        Raises ``ConfigurationError`` for a prompt that does not begin with a conversation.
        """
        messages = self._conversations.get(token_ids[0]) if token_ids else None
        if messages is None:
            raise ConfigurationError(
                "this server takes conversations, and the prompt does not begin with one; make it with "
                "engine.tokenizer.chat(messages)"
            )
        return messages, self.decode(token_ids[1:])
