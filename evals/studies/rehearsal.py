"""A made-up model, ``scripted:NAME``: a study can be rehearsed with it before it costs anything.

What it says follows from the prompt and the seed alone, in whatever order it is asked. It can do sums and make a number
out of others, so that it is sometimes right, and nothing else. Its results are made up and say nothing about any model.
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import itertools
import math
import operator
import random
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError, ContextExceeded
from thinkctl.testing.tracks import PrefixCache
from thinkctl.types import (
    Capabilities,
    Delta,
    EngineCounters,
    Finish,
    GenerationSpec,
    Message,
    ModelCard,
    StreamUsage,
    TokenLogprob,
)
from thinkctl.types.card import Dimensions

__all__ = ["Rehearsal"]

_ROLES: Final = {"system": 1, "user": 2, "assistant": 3, "tool": 4}
_ASSISTANT: Final = _ROLES["assistant"]
_END: Final = 5
_SPECIAL: Final = 16
"""Ids below this are marks; the others hold up to six bytes of text."""
_BYTES: Final = 6
_CHUNK: Final = 8
_LOGPROB: Final = TokenLogprob(-0.1)
_FILLER: Final = "Let me see what is asked and work it out one step at a time."
_SHAPE: Final = Dimensions(
    layers=2,
    hidden_size=64,
    heads=4,
    key_value_heads=2,
    head_size=16,
    feed_forward_size=256,
    vocabulary=1000,
)
_OPERATIONS: Final[Mapping[type[ast.operator], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_STEP: Final = re.compile(r"(Start with|Add|Subtract|Multiply the result by|Divide the result by) (-?\d+)")
_SUM: Final = re.compile(r"\(*\d+(?:\s*[-+*]\s*\(*\d+\)*)+")
_PUZZLE: Final = re.compile(r"Use the numbers ([^.]*?), each exactly once[^.]*? equals (\d+)")


@final
class _Tokens:
    """A tokenizer without a vocabulary: an id holds the bytes of its text, so it is the same in every process."""

    def encode(self, text: str) -> list[int]:
        pieces = re.findall(r"\s*\S{1,4}|\s+", text)
        return [each for piece in pieces for each in _ids(piece)]

    def decode(self, token_ids: Sequence[int]) -> str:
        held = [(token - _SPECIAL) for token in token_ids if token >= _SPECIAL]
        return b"".join(each.to_bytes(_BYTES + 1, "big").lstrip(b"\0")[1:] for each in held).decode(
            "utf-8", "replace"
        )

    def chat(self, messages: Sequence[Message]) -> list[int]:
        turns = [[_ROLES[turn.role], *self.encode(turn.content), _END] for turn in messages]
        return [*(token for turn in turns for token in turn), _ASSISTANT]


def _ids(piece: str) -> list[int]:
    data = piece.encode("utf-8", "replace")
    parts = [data[at : at + _BYTES] for at in range(0, len(data), _BYTES)]
    return [int.from_bytes(b"\1" + part, "big") + _SPECIAL for part in parts]


@final
class Rehearsal:
    """An engine whose answers are made up, and follow from the prompt and the seed alone.

    ``right`` is how often (0 to 1) an answer is right where it knows how. ``tokens`` is about how long each sample
    thinks, ``seconds_per_token`` how long that takes. ``parameters`` go on its card. ``block`` is the size in tokens of
    a block of its prefix cache, which keeps all it is given; 0 is no cache.
    """

    def __init__(
        self,
        name: str = "made-up",
        *,
        right: float = 0.6,
        tokens: int = 24,
        seconds_per_token: float = 0.0,
        parameters: int = 1_000_000,
        streams: int = 64,
        block: int = 0,
    ) -> None:
        if not 0 <= right <= 1:
            raise ConfigurationError(f"right={right!r} is no share; give a number from 0 to 1")
        if tokens < 1 or parameters < 1 or streams < 1 or seconds_per_token < 0 or block < 0:
            raise ConfigurationError(
                "tokens, parameters and streams of a scripted model are at least 1, seconds and block 0"
            )
        self._card = ModelCard(
            name=name, parameters=parameters, active_parameters=parameters, dimensions=_SHAPE, context=32_768
        )
        self._right, self._tokens, self.pace, self._streams = right, tokens, seconds_per_token, streams
        self._tokenizer, self._block, self._cache = _Tokens(), block, PrefixCache(block)
        self.prompted, self.cached, self.generated, self.running = 0, 0, 0, 0

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def caps(self) -> Capabilities:
        return Capabilities(logprobs=0, seeds=True, streams=self._streams, block=self._block)

    @property
    def tokenizer(self) -> _Tokens:
        return self._tokenizer

    async def start(self) -> None:
        """Do nothing: it is always ready."""

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> _Speech:
        if len(prompt) + spec.max_tokens > (self._card.context or 0):
            raise ContextExceeded(
                f"prompt of {len(prompt)} and max_tokens={spec.max_tokens} do not fit {self._card.context}"
            )
        return _Speech(self, tuple(prompt), spec)

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        self.prompted += len(prompt)
        self.generated += 1
        return dict.fromkeys(token_ids, -math.log(max(1, len(set(token_ids)))))

    async def counters(self) -> EngineCounters:
        return EngineCounters(self.prompted, self.cached, self.generated, self.running)

    async def aclose(self) -> None:
        """Do nothing: it holds nothing."""

    def reads(self, prompt: tuple[int, ...]) -> int:
        """Count a prompt and return how many of its tokens were cached."""
        cached = self._cache.add(prompt)
        self.prompted += len(prompt) - cached
        self.cached += cached
        return cached

    def says(self, prompt: tuple[int, ...], spec: GenerationSpec) -> tuple[int, ...]:
        """Return the ids that follow a prompt: what it would say, or where that was left, how it concludes.

        At temperature 0 the seed makes no difference. Where the end is ignored it begins again.
        """
        seed = spec.seed if spec.temperature else None
        begin = len(prompt) - prompt[::-1].index(_ASSISTANT) if _ASSISTANT in prompt else len(prompt)
        asked, said = self._tokenizer.decode(prompt[:begin]), prompt[begin:]
        text, answer = self._answer(asked, seed)
        ids = (*self._tokenizer.encode(text), _END)
        if spec.ignore_end:
            ids = (ids[:-1] * ((len(said) + spec.max_tokens) // len(ids[:-1]) + 1))[
                : len(said) + spec.max_tokens
            ]
        if ids[: len(said)] == said:
            return ids[len(said) :] or (_END,)
        return (*self._tokenizer.encode(f"{answer}}}"), _END)

    def _answer(self, asked: str, seed: int | None) -> tuple[str, str]:
        digest = hashlib.sha256(asked.encode("utf-8", "replace")).hexdigest()
        drawn = random.Random(f"{self._card.name}:{seed}:{digest}")
        known = _solved(asked)
        spread = min(self._right, 1 - self._right)  # some questions are harder than others, whatever the seed
        knows = known is not None and drawn.random() < self._right + random.Random(digest).uniform(
            -spread, spread
        )
        answer = known if knows and known is not None else str(drawn.randrange(2, 30))
        words = _FILLER.split()
        length = max(1, round(drawn.gauss(1, 0.25) * self._tokens / 2))
        thought = " ".join(words[place % len(words)] for place in range(length))
        return f"{thought}\nThat makes \\boxed{{{answer}}}.\nFinal answer: {answer}", answer


@final
class _Speech:
    """One generation."""

    def __init__(self, engine: Rehearsal, prompt: tuple[int, ...], spec: GenerationSpec) -> None:
        self._engine, self._prompt, self._spec = engine, prompt, spec
        self._said: tuple[int, ...] | None = None
        self._at, self._cached = 0, 0
        self._closed = False

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        if self._closed:
            raise StopAsyncIteration
        if self._said is None:
            self._said = self._engine.says(self._prompt, self._spec)[: self._spec.max_tokens]
            self._cached = self._engine.reads(self._prompt)
            self._engine.running += 1
        ids = self._next(self._said)
        await asyncio.sleep(self._engine.pace * len(ids))
        if self._closed:  # by another task, meanwhile
            raise StopAsyncIteration
        self._at += len(ids)
        self._engine.generated += len(ids)
        finish = Finish.STOP if ids[-1] in (_END, *self._spec.stop_token_ids) else None
        if finish is None and self._at == len(self._said):
            finish = Finish.LENGTH
        if finish is not None:
            self._end()
        logprobs = None if self._spec.logprobs is None else (_LOGPROB,) * len(ids)
        return Delta(ids, logprobs, finish)

    def _next(self, said: tuple[int, ...]) -> tuple[int, ...]:
        ids = said[self._at : self._at + _CHUNK]
        stops = [place for place, token in enumerate(ids) if token in self._spec.stop_token_ids]
        return ids[: stops[0] + 1] if stops else ids

    async def close(self) -> StreamUsage:
        self._end()
        return StreamUsage() if self._said is None else StreamUsage(len(self._prompt), self._cached, self._at)

    async def force(self, token_ids: Sequence[int]) -> bool:
        return False

    def _end(self) -> None:
        self._engine.running -= self._said is not None and not self._closed
        self._closed = True


@lru_cache(maxsize=4096)
def _solved(prompt: str) -> str | None:
    """Return the answer of the last sum or puzzle in a prompt, ``None`` where there is none that it can do."""
    if puzzles := list(_PUZZLE.finditer(prompt)):
        numbers = [int(each) for each in re.findall(r"\d+", puzzles[-1][1])]
        return _made(numbers, int(puzzles[-1][2])) if len(numbers) <= 4 else None
    if steps := _STEP.findall(prompt):
        return _result_of(
            steps[max(place for place, (word, _) in enumerate(steps) if word == "Start with") :]
        )
    sums = [found for found in _SUM.findall(prompt) if found.count("(") == found.count(")")]
    if not sums or len(sums[-1]) > 200:
        return None
    try:
        return str(_value(ast.parse(sums[-1].strip(), mode="eval").body))
    except (SyntaxError, ValueError):
        return None


def _result_of(steps: Sequence[tuple[str, str]]) -> str | None:
    """Return what a chain of steps comes to, if that is a whole number."""
    total = Fraction(int(steps[0][1]))
    for word, number in steps[1:]:
        value = int(number)
        match word.partition(" ")[0]:
            case "Add":
                total += value
            case "Subtract":
                total -= value
            case "Multiply":
                total *= value
            case _:
                total = total / value if value else total
    return str(total) if total.denominator == 1 else None


def _value(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return number
        case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _OPERATIONS:
            return int(_OPERATIONS[type(kind)](_value(left), _value(right)))
    raise ValueError("no sum of whole numbers")


def _made(numbers: Sequence[int], target: int) -> str | None:
    """Return an expression of all the numbers that equals the target, if there is one."""
    found = _search([(Fraction(number), str(number)) for number in numbers], Fraction(target))
    return found.removeprefix("(").removesuffix(")") if found and found.count("(") == 1 else found


def _search(terms: list[tuple[Fraction, str]], target: Fraction) -> str | None:
    if len(terms) == 1:
        return terms[0][1] if terms[0][0] == target else None
    for one, other in itertools.permutations(range(len(terms)), 2):
        rest = [term for place, term in enumerate(terms) if place not in (one, other)]
        (left, first), (right, second) = terms[one], terms[other]
        made = [(left + right, "+"), (left - right, "-"), (left * right, "*")]
        if right:
            made.append((left / right, "/"))
        for value, sign in made:
            if found := _search([*rest, (value, f"({first} {sign} {second})")], target):
                return found
    return None
