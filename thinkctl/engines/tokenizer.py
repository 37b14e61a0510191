"""The model's tokenizer, as thinkctl speaks to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from thinkctl.errors import ConfigurationError
from thinkctl.types import Message, ThinkingMarks

__all__ = ["FolderTokenizer"]


@final
class FolderTokenizer:
    """A Hugging Face tokenizer. Marks of thinking stay in texts, whether the model calls them special or not."""

    def __init__(self, model: str, marks: ThinkingMarks | None) -> None:
        from transformers import AutoTokenizer

        self._model = model
        self._inner: Any = AutoTokenizer.from_pretrained(model)
        added = self._inner.added_tokens_decoder
        special = {token for token, entry in added.items() if entry.special} | set(
            self._inner.all_special_ids
        )
        texts = () if marks is None else (marks.start, marks.end)
        kept = {token for token, entry in added.items() if entry.content in texts}
        self._hidden = frozenset(special - kept)
        self._known = len(self._inner)
        self._fast: Any = getattr(self._inner, "backend_tokenizer", None)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without any special tokens around it; marks in the text are marks."""
        ids: list[int] = self._inner.encode(text, add_special_tokens=False)
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids without special tokens; rows of padding above the vocabulary have no text."""
        shown = [token for token in token_ids if token not in self._hidden and token < self._known]
        text: str
        if self._fast is not None:  # what lies around it takes longer than the decoding
            text = self._fast.decode(shown, skip_special_tokens=False)
        else:
            text = self._inner.decode(shown, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """Return the prompt ids of a conversation, ready for the model's answer.

        Raises ``ConfigurationError`` if the model has no chat template or the template refuses the messages.
        """
        if not self._inner.chat_template:
            raise ConfigurationError(
                f"the tokenizer of {self._model} has no chat template; use an instruct model or add a "
                "chat_template.jinja to its folder"
            )
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            text: str = self._inner.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # templates raise what they like
            raise ConfigurationError(
                f"the chat template of {self._model} refuses these messages: {error}"
            ) from error
        return self.encode(text)
