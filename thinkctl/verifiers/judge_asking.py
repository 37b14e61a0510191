"""Ask a model to choose one of a few words: by the probability of each, or by reading what it says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engine, Engines, Tokenizer
from thinkctl.types import GenerationSpec, Message

__all__ = ["choose", "engine_of", "fenced", "shortened"]

_LEAST_MASS: Final = 0.01
"""Where all choices together are less likely than this, the model wanted to say something else."""
_ANSWER_TOKENS: Final = 8
_PROMPT_TAIL: Final = 16
_LONGEST: Final = 12_000
_LOOKS_LIKE_MARK: Final = re.compile(r"<(?=[/|<!\w])|\[(?=/?INST)")
"""Where a closing fence, a role of a chat template or a thinking mark may begin."""


def fenced(name: str, text: str) -> str:
    """Return a text between ``<name>`` and ``</name>``, with nothing in it that could pass for a mark.

    A blank goes after each ``<`` that a word, ``/`` or ``|`` follows: neither our own fence nor a mark of a chat
    template can be closed or opened from inside. The fence is the same every time, so prompts share their prefix.
    """
    return f"<{name}>\n{_LOOKS_LIKE_MARK.sub(lambda found: f'{found[0]} ', shortened(text))}\n</{name}>"


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return a text without its middle where it is too long."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}\n[...]\n{text[-half:]}"


def engine_of(engines: Engines, model: str | None) -> Engine:
    """Return the engine of a model, the first where none is named."""
    if model is None:
        return next(iter(engines.values()))
    if model not in engines:
        raise ConfigurationError(
            f"the judge is to be {model!r}, and the controller has {', '.join(map(repr, engines))}; "
            "give Controller({...: engine}) with it"
        )
    return engines[model]


async def choose(
    engine: Engine, messages: Sequence[Message], cue: str, words: Sequence[str], *, thinking_tokens: int = 0
) -> Sequence[float] | None:
    """Return how likely the model chooses each word after ``cue``, adding up to 1; ``None``: it chooses none.

    Where it is to answer at once and the engine gives scores, these are its probabilities of the words; that takes
    one decoded token. Else it says something, at most ``thinking_tokens`` and a few more, and the word after the last
    cue in it, or the first of these words, has probability 1. Raises ``RequestFailed`` where the budget has no room.
    """
    prompt = engine.tokenizer.chat(messages)
    branch = _branch(engine.tokenizer, cue, words)
    if thinking_tokens == 0 and branch is not None and engine.caps.scores and engine.caps.token_prompts:
        common, choices = branch
        scores = await engine.score([*prompt, *_without_thought(engine, prompt), *common], choices)
        return _normalised([scores[choice] for choice in choices])
    said = await _said(engine, prompt, thinking_tokens + _ANSWER_TOKENS)
    chosen = _read(said, cue, words)
    return None if chosen is None else [float(word == chosen) for word in words]


def _branch(tokenizer: Tokenizer, cue: str, words: Sequence[str]) -> tuple[list[int], list[int]] | None:
    """Return the ids that the cue begins with whatever word follows, and each word's first own id.

    Tokenizers differ in whether the blank before a word belongs to it; where words part is seen by comparing.
    ``None``: two words begin alike, so that one token does not tell which it is.
    """
    spelled = [tokenizer.encode(f"{cue} {word}") for word in words]
    at = 0
    while all(len(ids) > at for ids in spelled) and len({ids[at] for ids in spelled}) == 1:
        at += 1
    choices = [ids[at] for ids in spelled if len(ids) > at]
    return (spelled[0][:at], choices) if len(set(choices)) == len(words) else None


def _without_thought(engine: Engine, prompt: Sequence[int]) -> list[int]:
    """Return what closes a thought before it begins, for models that would think first."""
    marks = engine.card.thinking
    if marks is None:
        return []
    tail = engine.tokenizer.decode(prompt[-_PROMPT_TAIL:])
    opened = tail.rfind(marks.start) > tail.rfind(marks.end)
    return engine.tokenizer.encode(f"{'' if opened else marks.start}\n\n{marks.end}\n\n")


def _normalised(scores: Sequence[float]) -> Sequence[float] | None:
    masses = [0.0 if math.isnan(score) else math.exp(min(score, 0.0)) for score in scores]
    total = math.fsum(masses)
    return [mass / total for mass in masses] if total >= _LEAST_MASS else None


async def _said(engine: Engine, prompt: Sequence[int], tokens: int) -> str:
    stream = engine.stream(prompt, GenerationSpec(max_tokens=tokens, temperature=0.0))
    ids: list[int] = []
    try:
        async for delta in stream:
            ids += delta.token_ids
    finally:
        await stream.close()
    text = engine.tokenizer.decode(ids)
    return text if engine.card.thinking is None else text.rpartition(engine.card.thinking.end)[2]


def _read(text: str, cue: str, words: Sequence[str]) -> str | None:
    known: Mapping[str, str] = {word.lower(): word for word in words}
    word = rf"(?<![\w.])({'|'.join(map(re.escape, words))})(?!\w|\.\d)"
    after_cue = re.findall(rf"{re.escape(cue)}[\s*_\"'(]{{0,4}}{word}", text, re.IGNORECASE)
    found = after_cue[-1:] or re.findall(word, text, re.IGNORECASE)[:1]
    return known[found[0].lower()] if found else None
