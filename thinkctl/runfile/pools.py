"""Pools: samples that others recorded, several per question, without a run around them.

One JSON object a line: ``{"id", "question"?, "gold", "samples": [{"answer", "tokens" or "chars", ...}]}``.
What is correct is kept apart from what was said, so that no strategy, policy or selector comes near it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast, final

from thinkctl.errors import RunFileError
from thinkctl.runfile.reading import opened
from thinkctl.types import Problem

__all__ = ["CHARS_PER_TOKEN", "Pool", "Recorded", "RecordedSample", "read_pool"]

CHARS_PER_TOKEN: Final = 4
"""By which tokens are estimated where only characters were recorded."""


@final
@dataclass(frozen=True, slots=True)
class RecordedSample:
    """One recorded sample. ``answer`` is ``None`` if it abstains; ``text`` is ``None`` if only that is known.

    ``estimated`` says that ``tokens`` was not counted. ``score`` is a verifier's, in its own range.
    """

    answer: str | None
    tokens: int
    estimated: bool = False
    score: float | None = None
    seconds: float = 0.0
    truncated: bool = False
    text: str | None = None


@final
@dataclass(frozen=True, slots=True)
class Recorded:
    """The recorded samples of one problem, in the order recorded. ``question`` may be unknown."""

    id: str
    question: str
    samples: tuple[RecordedSample, ...]

    def problem(self, form: str = "boxed") -> Problem:
        """Return the problem as a replay engine knows it; its id stands in for an unknown question."""
        return Problem.model_validate({"messages": self.question or self.id, "form": form, "id": self.id})


@final
@dataclass(frozen=True, slots=True)
class Pool:
    """Recorded problems; apart from them, by problem id, the reference answers, and who is right."""

    recorded: tuple[Recorded, ...]
    gold: Mapping[str, str] = field(default_factory=dict[str, str])
    correct: Mapping[str, tuple[bool, ...]] = field(default_factory=dict[str, tuple[bool, ...]])

    def __iter__(self) -> Iterator[Recorded]:
        return iter(self.recorded)

    def __len__(self) -> int:
        return len(self.recorded)


def read_pool(path: str | Path) -> Pool:
    """Read a pool, ``.jsonl`` or ``.jsonl.gz``. Raises ``RunFileError`` with the line that is wrong.

    A sample abstains whose answer is missing, null, empty, NaN or "invalid". A number's text has no ``.0``.
    Tokens are ``tokens``, else an estimate: ``est_tokens``, else a quarter of ``chars``; at least 1.
    ``correct`` has an entry for the problems in which every sample says whether it is.
    """
    path = Path(path)
    recorded: dict[str, Recorded] = {}
    gold: dict[str, str] = {}
    correct: dict[str, tuple[bool, ...]] = {}
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line.decode("utf-8"))
                problem = _problem(entry)
                if problem.id in recorded:
                    raise ValueError(f"the id {problem.id!r} was there before")
                recorded[problem.id] = problem
                if (answer := _answer(entry.get("gold"), "gold")) is not None:
                    gold[problem.id] = answer
                judged = tuple(sample.get("correct") for sample in entry["samples"])
                if all(isinstance(each, bool) for each in judged):
                    correct[problem.id] = judged
            except (ValueError, OverflowError, RecursionError) as error:
                raise RunFileError(
                    f"{path}: line {number} is not a pool's problem: {error}; mend it"
                ) from None
    if not recorded:
        raise RunFileError(f"{path}: it holds no problem; give a pool or a run file")
    return Pool(tuple(recorded.values()), gold, correct)


def _problem(entry: Any) -> Recorded:
    name, question, samples = (
        _get(entry, "id", str),
        _get(entry, "question", str, ""),
        _get(entry, "samples", list),
    )
    if not name:
        raise ValueError("its id is empty")
    done: list[RecordedSample] = []
    try:
        done.extend(_sample(sample) for sample in samples)
    except ValueError as error:
        raise ValueError(f"samples[{len(done)}]: {error}") from None
    return Recorded(name, question, tuple(done))


def _sample(entry: Any) -> RecordedSample:
    tokens, estimated = _tokens(entry)
    score, seconds = _get(entry, "score", float, None), _get(entry, "seconds", float, 0.0)
    return RecordedSample(
        answer=_answer(_get(entry, "answer", object, None), "answer"),
        tokens=tokens,
        estimated=estimated,
        score=score,
        seconds=seconds,
        truncated=_get(entry, "truncated", bool, default=False),
        text=_get(entry, "text", str, None),
    )


def _tokens(entry: Any) -> tuple[int, bool]:
    """Return the number of tokens, and whether it is an estimate."""
    if (exact := _get(entry, "tokens", int, None)) is not None:
        if exact < 0:
            raise ValueError(f"tokens: expected a count, got {exact}")
        return max(1, exact), False
    guess = _get(entry, "est_tokens", int, None)
    if guess is None:
        guess = math.ceil(_get(entry, "chars", int) / CHARS_PER_TOKEN)
    return max(1, guess), True


_NEEDED: Final = object()


def _get(entry: Any, name: str, kind: type, default: Any = _NEEDED) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, got {type(entry).__name__}")
    value = cast("dict[str, Any]", entry).get(name)
    if value is None:
        if default is _NEEDED:
            raise ValueError(f"the field {name!r} is missing")
        return default
    if kind is float and type(value) is int:
        value = float(value)
    if kind is not object and type(value) is not kind:
        raise ValueError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def _answer(value: object, name: str) -> str | None:
    if isinstance(value, float):
        value = None if not math.isfinite(value) else int(value) if value.is_integer() else value
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise ValueError(f"{name}: expected a text or a number, got {type(value).__name__}")
    text = str(value).strip()
    return None if text.lower() in {"", "invalid"} else text
