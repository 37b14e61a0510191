"""Reward models by vLLM's pooling runner. The only verifier that imports vLLM, when one is loaded."""

# What transformers and vLLM return is partly untyped.
# pyright: standard

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, final

for _name, _value in {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}.items():
    os.environ.setdefault(_name, _value)

from vllm import LLM, PoolingParams  # noqa: E402
from vllm.config import PoolerConfig  # noqa: E402

from thinkctl.errors import ConfigurationError  # noqa: E402
from thinkctl.verifiers.reward_models import Text, Tokens  # noqa: E402
from thinkctl.verifiers.reward_models_texts import tokens_of  # noqa: E402

__all__ = ["VllmClassifier"]

_CACHE_BYTES: Final = 1 << 29


@final
class VllmClassifier:
    """A sequence or token classifier as a pooling model of vLLM 0.32: tasks ``classify`` and ``token_classify``."""

    def __init__(self, model: str, *, tokens: bool) -> None:
        self._tokens = tokens
        self._task = "token_classify" if tokens else "classify"
        try:
            self._llm: Any = LLM(
                model=model,
                runner="pooling",
                pooler_config=PoolerConfig(task=self._task),
                kv_cache_memory_bytes=_CACHE_BYTES,
                enforce_eager=True,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"model={model!r} cannot be loaded as a reward model: {error}"
            ) from error
        self._tokenizer: Any = self._llm.get_tokenizer()

    @property
    def context(self) -> int | None:
        """The most tokens of a text."""
        return int(self._llm.model_config.max_model_len)

    def encode(self, text: Text) -> Tokens:
        """Return a text as the model reads it."""
        return tokens_of(self._tokenizer, text, by_step=self._tokens)

    def logits(self, batch: Sequence[Tokens]) -> Sequence[Sequence[Sequence[float]]]:
        """Return the logits of all labels at each place of each text."""
        outputs = self._llm.encode(
            [{"prompt_token_ids": list(each.ids)} for each in batch],
            pooling_params=PoolingParams(use_activation=False),
            pooling_task=self._task,
            use_tqdm=False,
        )
        found = [output.outputs.data.float() for output in outputs]
        if not self._tokens:
            return [[each.reshape(-1).tolist()] for each in found]
        return [rows[list(each.places)].tolist() for rows, each in zip(found, batch, strict=True)]
