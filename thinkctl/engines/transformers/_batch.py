"""The key-value cache of all rows together: rows join after their prompt and leave at their end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from thinkctl.errors import ConfigurationError

__all__ = ["Batch", "Prefixes", "computed"]

_PIECE: Final = 512
"""Tokens of a prompt computed in one step: nothing can be stopped within a step."""


def computed(model: Any, ids: Sequence[int], prefix: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> Any:
    """Compute a prompt after a cached prefix; return the logits after its last token and its cache."""
    cache = _cache_of(prefix)
    done = prefix[0][0].shape[2] if prefix else 0
    logits = None
    while done < len(ids):
        part = torch.tensor([list(ids[done : done + _PIECE])], device=model.device)
        output = model(input_ids=part, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits, done = output.logits[0, -1], done + part.shape[1]
    return logits, _layers(cache)


@final
class Batch:
    """Rows padded on the left to the longest. ``lengths`` are their tokens in the cache."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def join(self, layers: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Add a row."""
        length = layers[0][0].shape[2]
        if not self.lengths:
            self._layers = layers
        else:
            longest = max(length, *self.lengths)
            self._layers = [
                (
                    torch.cat([_padded(mine[0], longest), _padded(new[0], longest)]),
                    torch.cat([_padded(mine[1], longest), _padded(new[1], longest)]),
                )
                for mine, new in zip(self._layers, layers, strict=True)
            ]
        self.lengths.append(length)

    def keep(self, rows: Sequence[int]) -> None:
        """Let all other rows leave."""
        if len(rows) == len(self.lengths):
            return
        self.lengths = [self.lengths[row] for row in rows]
        if not rows:
            self._layers = []
            return
        longest = max(self.lengths)
        chosen = torch.tensor(list(rows), device=self._layers[0][0].device)
        self._layers = [
            (keys.index_select(0, chosen)[:, :, -longest:], values.index_select(0, chosen)[:, :, -longest:])
            for keys, values in self._layers
        ]

    def row(self, place: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return a copy of one row, without its padding."""
        length = self.lengths[place]
        return [
            (keys[place : place + 1, :, -length:].clone(), values[place : place + 1, :, -length:].clone())
            for keys, values in self._layers
        ]

    def step(self, model: Any, tokens: Sequence[int]) -> torch.Tensor:
        """Put one token behind every row; return the logits after it, shape (rows, vocabulary)."""
        device = model.device
        longest = max(self.lengths)
        lengths = torch.tensor(self.lengths, device=device)
        places = torch.arange(longest + 1, device=device)
        mask = (places[None, :] >= (longest - lengths)[:, None]).long()
        cache = _cache_of(self._layers)
        output = model(
            input_ids=torch.tensor(list(tokens), device=device)[:, None],
            attention_mask=mask,
            position_ids=lengths[:, None],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._layers = _layers(cache)
        self.lengths = [length + 1 for length in self.lengths]
        logits: torch.Tensor = output.logits[:, -1]
        return logits


@final
class Prefixes:
    """The caches of the last prompts and of rows that left, to go on from; the oldest make room."""

    def __init__(self, most_tokens: int) -> None:
        self._most = most_tokens
        self._kept: dict[tuple[int, ...], list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def longest(self, ids: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the cache of the longest known beginning of a prompt; its last token is always computed."""
        best, common = None, 0
        for known in self._kept:
            shared = _shared(known, ids)
            if shared > common:
                best, common = known, shared
        common = min(common, len(ids) - 1)
        if best is None or common < 1:
            return []
        layers = self._kept[best] = self._kept.pop(best)  # now the youngest
        return [(keys[:, :, :common], values[:, :, :common]) for keys, values in layers]

    def keep(self, ids: Sequence[int], layers: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Remember a cache; ``ids`` are the tokens it holds."""
        self._kept.pop(tuple(ids), None)
        self._kept[tuple(ids)] = layers
        while sum(map(len, self._kept)) > self._most and len(self._kept) > 1:
            del self._kept[next(iter(self._kept))]


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared


def _padded(tensor: torch.Tensor, length: int) -> torch.Tensor:
    return torch.nn.functional.pad(tensor, (0, 0, length - tensor.shape[2], 0))


def _cache_of(layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> DynamicCache:
    cache = DynamicCache()
    for place, (keys, values) in enumerate(layers):
        cache.update(keys, values, place)
    return cache


def _layers(cache: DynamicCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    layers: list[tuple[torch.Tensor, torch.Tensor]] = []
    for layer in cache.layers:
        if type(layer) is not DynamicLayer or layer.keys is None or layer.values is None:
            raise ConfigurationError("this model keeps more than keys and values; run it with vllm:")
        layers.append((layer.keys, layer.values))
    return layers
