"""Reward models by transformers. The only verifier that imports torch, when one is loaded."""

# What transformers and vLLM return is partly untyped.
# pyright: standard

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

from thinkctl.errors import ConfigurationError
from thinkctl.verifiers.reward_models import Text, Tokens
from thinkctl.verifiers.reward_models_texts import tokens_of

__all__ = ["TorchClassifier"]


@final
class TorchClassifier:
    """A sequence or token classifier, loaded from a folder or a hub."""

    def __init__(self, model: str, *, tokens: bool, device: str) -> None:
        auto = AutoModelForTokenClassification if tokens else AutoModelForSequenceClassification
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(model)
            self._model: Any = auto.from_pretrained(model).to(device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"model={model!r} cannot be loaded as a reward model: {error}"
            ) from error
        self._tokens = tokens
        self._device = device
        ends = (
            self._model.config.pad_token_id,
            self._tokenizer.pad_token_id,
            self._tokenizer.eos_token_id,
            0,
        )
        self._pad = int(next(token for token in ends if token is not None))

    @property
    def context(self) -> int | None:
        """The positions that the model has."""
        most = getattr(self._model.config, "max_position_embeddings", None)
        return None if most is None else int(most)

    def encode(self, text: Text) -> Tokens:
        """Return a text as the model reads it."""
        return tokens_of(self._tokenizer, text, by_step=self._tokens)

    def logits(self, batch: Sequence[Tokens]) -> Sequence[Sequence[Sequence[float]]]:
        """Return the logits of all labels at each place of each text; shorter ones are padded on the right."""
        with torch.inference_mode():
            return self._logits(batch)

    def _logits(self, batch: Sequence[Tokens]) -> Sequence[Sequence[Sequence[float]]]:
        longest = max(len(each.ids) for each in batch)
        ids = torch.full((len(batch), longest), self._pad, device=self._device)
        mask = torch.zeros((len(batch), longest), dtype=torch.long, device=self._device)
        for row, each in enumerate(batch):
            ids[row, : len(each.ids)] = torch.tensor(each.ids, device=self._device)
            mask[row, : len(each.ids)] = 1
        if self._tokens:
            found = self._model(input_ids=ids, attention_mask=mask).logits.float()
            return [found[row, list(each.places)].tolist() for row, each in enumerate(batch)]
        return [[each.tolist()] for each in self._pooled(ids, mask, batch)]

    def _pooled(self, ids: Any, mask: Any, batch: Sequence[Tokens]) -> Any:
        """Return the logits of whole texts.

        A decoder's classifier looks for the last token that is no padding, and so goes wrong where a text ends with
        that very token, or where its configuration names none: then one text is scored at a time, unpadded.
        """
        padded = self._model.config.pad_token_id
        if len(batch) == 1 or (padded is not None and all(each.ids[-1] != padded for each in batch)):
            return self._model(input_ids=ids, attention_mask=mask).logits.float()
        rows = [self._model(input_ids=ids[row : row + 1, : len(each.ids)]) for row, each in enumerate(batch)]
        return torch.cat([row.logits for row in rows]).float()
