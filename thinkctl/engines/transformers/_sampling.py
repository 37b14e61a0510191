"""From logits to tokens, one row at a time."""

from __future__ import annotations

import torch

from thinkctl.types import GenerationSpec, TokenLogprob

__all__ = ["draw", "logprob_of"]


def draw(logits: torch.Tensor, spec: GenerationSpec, generator: torch.Generator) -> int:
    """Draw a token from the logits of one row, shape (vocabulary,).

    In the order vLLM has: temperature, then top-k, top-p and min-p, each on what the one before has left.
    """
    if spec.temperature == 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits.float() / spec.temperature, dim=-1)
    if spec.top_k or spec.top_p < 1 or spec.min_p:
        ordered, places = probabilities.sort(descending=True)
        kept = torch.ones_like(ordered, dtype=torch.bool)
        if spec.top_k:
            kept[spec.top_k :] = False
        if spec.top_p < 1:
            total = (ordered * kept).sum()
            kept &= (ordered.cumsum(-1) - ordered) < spec.top_p * total
        if spec.min_p:
            kept &= ordered >= spec.min_p * ordered[0]
        return int(places[torch.multinomial(ordered * kept, 1, generator=generator)])
    return int(torch.multinomial(probabilities, 1, generator=generator))


def logprob_of(logits: torch.Tensor, token: int, alternatives: int) -> TokenLogprob:
    """Return the log-probability of a token and of the most likely ones, before temperature and cuts."""
    scores = torch.log_softmax(logits.float(), dim=-1)
    top = scores.topk(alternatives).values.tolist() if alternatives else []
    return TokenLogprob(float(scores[token]), tuple(top))
