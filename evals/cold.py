"""What requests would have used on an engine whose prefix cache held nothing when their run began.

Which of two arms reads a prompt first is chance: the second finds it in the cache and would look cheaper for it. So
what a run found there that it had not put there itself is charged as computed: prompts that arms, repeats or questions
have in common. What a run's own samples share, the cache keeps sharing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from operator import eq

from thinkctl.types import Sample, Usage

__all__ = ["cold", "following"]

Ids = Sequence[int]


def cold(samples: Sequence[Sample]) -> tuple[Usage, ...]:
    """Return what each sample of a run used, with no more of its prompt cached than the run had computed before.

    At most what a prompt has in common with the prompt and the tokens of a sample of the same model that started
    earlier, and what the sample itself had read or generated before its later requests. Without token ids (a server
    of text), prompts of equal messages are equal.
    """
    earlier: dict[str, list[Sample]] = {}
    found: dict[int, Usage] = {}
    for place in sorted(range(len(samples)), key=lambda at: (samples[at].started, samples[at].index)):
        sample = samples[place]
        before = earlier.setdefault(sample.model, [])
        found[place] = _limited(sample, before)
        before.append(sample)
    return tuple(found[place] for place in range(len(samples)))


def following(samples: Sequence[Sample]) -> tuple[Usage, ...]:
    """Return what each sample would have used, had another one of the pool read the prompt before.

    As ``cold``, but that the sample which started first finds in the cache what the others found there of its prompt.
    """
    found = list(cold(samples))
    first = min(range(len(samples)), key=lambda at: (samples[at].started, samples[at].index), default=0)
    others = [
        (sample, used) for at, (sample, used) in enumerate(zip(samples, found, strict=True)) if at != first
    ]
    hits = [(used.requests == 1, _hit(samples[first], sample, used)) for sample, used in others]
    if hits and found[first].cached_tokens is not None:
        used = found[first]
        hit = max(hits)[1]  # a request alone tells it exactly
        found[first] = replace(used, cached_tokens=min(used.prompt_tokens, (used.cached_tokens or 0) + hit))
    return tuple(found)


def _hit(first: Sample, sample: Sample, used: Usage) -> int:
    """Return how much of the first sample's prompt another one found in the cache."""
    if first.model != sample.model or not used.cached_tokens:
        return 0
    if not sample.prompt_ids:
        same = first.request.messages == sample.request.messages
        return min(used.cached_tokens, _prompt(sample)) if same else 0
    return min(used.cached_tokens, _common(first.prompt_ids, sample.prompt_ids))


def _common(one: Ids, other: Ids) -> int:
    """Return how many ids two texts begin with in common."""
    return len(one) if one == other else sum(1 for _ in takewhile(bool, map(eq, one, other)))


def _prompt(sample: Sample) -> int:
    """Return the length of the prompt, of one request where there were more."""
    return len(sample.prompt_ids) or sample.usage.prompt_tokens // max(1, sample.usage.requests)


def _limited(sample: Sample, before: Sequence[Sample]) -> Usage:
    used, prompt = sample.usage, _prompt(sample)
    if not used.cached_tokens:
        return used
    known = _known(sample, before)
    return replace(used, cached_tokens=min(used.cached_tokens, known + max(0, used.prompt_tokens - prompt)))


def _known(sample: Sample, before: Sequence[Sample]) -> int:
    """Return how many tokens of a sample's prompt had been computed for earlier ones."""
    if not sample.prompt_ids:
        return (
            _prompt(sample) if any(each.request.messages == sample.request.messages for each in before) else 0
        )
    if any(each.prompt_ids == sample.prompt_ids for each in before):
        return len(sample.prompt_ids)
    return max((_common(sample.prompt_ids, each.prompt_ids + each.token_ids) for each in before), default=0)
