"""Probe recordings: one thought a question, and what the model would have answered at places within it.

One JSON object a line: ``{"id", "question"?, "gold"?, "labels", "trace_tokens", "probes": [{"tokens", "probs":
{label: probability}, "pred"?}]}``. A probe after ``tokens`` of the thought gives the probability of each answer;
the last one, after the whole thought, is the answer of full thinking. ``thinkctl.hindsight`` then says what any
policy would have made of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast, final

from thinkctl.answers import form
from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.runfile.reading import opened
from thinkctl.types import Answer, Finish, History, Probe, Problem, Request, Sample, TokenLogprob, Usage

__all__ = ["ProbePool", "is_probe_pool", "read_probe_pool"]

_CHOICE: Final = "choice"


@final
@dataclass(frozen=True, slots=True)
class ProbePool:
    """Recorded histories of one probed sample each; apart from them, by problem id, the reference answers."""

    histories: tuple[History, ...]
    gold: Mapping[str, str] = field(default_factory=dict[str, str])

    def __iter__(self) -> Iterator[History]:
        return iter(self.histories)

    def __len__(self) -> int:
        return len(self.histories)


def is_probe_pool(path: str | Path) -> bool:
    """Whether a file's first line is a problem with probes. Raises ``RunFileError`` if it cannot be read."""
    with opened(Path(path)) as file:
        line = file.readline()
    try:
        entry = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and "probes" in entry


def read_probe_pool(
    path: str | Path, *, probe_tokens: int = 0, first: int = 1, form_name: str = _CHOICE
) -> ProbePool:
    """Read a probe recording, ``.jsonl`` or ``.jsonl.gz``.

    Each history has one finished sample without token ids: its thinking tokens, the probes within its thought,
    and the answer of the probe after it. Probabilities are taken relative to the labels' together, the mass that
    the model left to other tokens is not known to a policy; each is the probability of a probe's only token, with
    all labels as alternatives.

    Args:
        path: The file.
        probe_tokens: What each probe, and each answer, is billed for in generated tokens. Published figures of such
            recordings do not count them (0); a label costs 1. Prompts are not recorded, so not billed.
        first: Probes after fewer tokens are left out. The one before any thought is no evidence of thinking:
            its answer may be certain, and no live policy asks there.
        form_name: The answer form by which answers are compared.

    Raises:
        RunFileError: with the line that is wrong.
        ConfigurationError: for a negative count.
    """
    if probe_tokens < 0 or first < 0:
        raise ConfigurationError(
            f"probe_tokens={probe_tokens!r} and first={first!r} are counts; give 0 or more"
        )
    path = Path(path)
    histories: dict[str, History] = {}
    gold: dict[str, str] = {}
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line.decode("utf-8"))
                history = _history(entry, probe_tokens, first, form_name)
                name = history.problem.id
                if name in histories:
                    raise ValueError(f"the id {name!r} was there before")
                if (answer := entry.get("gold")) is not None:
                    gold[name] = _text(answer, "gold")
            except (ValueError, OverflowError, RecursionError) as error:
                raise RunFileError(
                    f"{path}: line {number} is not a probed problem: {error}; mend it"
                ) from None
            histories[name] = history
    if not histories:
        raise RunFileError(f"{path}: it holds no probed problem; give a recording of probes")
    return ProbePool(tuple(histories.values()), gold)


def _history(entry: Any, probe_tokens: int, first: int, form_name: str) -> History:
    row = _object(entry)
    name = _text(row.get("id"), "id")
    question = row.get("question") or name
    problem = Problem.model_validate({"messages": _text(question, "question"), "form": form_name, "id": name})
    length = _count(row.get("trace_tokens"), "trace_tokens")
    probes = _probes(row.get("probes"), length, probe_tokens, form_name)
    kept = tuple(probe for probe in probes if probe.at >= first)
    sample = Sample(
        index=0,
        request=Request(problem.messages),
        finish=Finish.STOP,
        answer=probes[-1].answer,
        probes=kept,
        usage=sum(
            (probe.usage for probe in kept),
            Usage(requests=1, thinking_tokens=length, answer_tokens=probe_tokens),
        ),
    )
    return History(problem, samples=(sample,))


def _probes(entries: Any, length: int, probe_tokens: int, form_name: str) -> list[Probe]:
    if not isinstance(entries, list) or not entries:
        raise ValueError("probes: expected a list of at least one probe")
    probes: list[Probe] = []
    for place, entry in enumerate(entries):
        try:
            probe = _probe(_object(entry), probe_tokens, form_name)
            if probes and probe.at <= probes[-1].at:
                raise ValueError(f"it comes after {probe.at} tokens, the one before after {probes[-1].at}")
        except ValueError as error:
            raise ValueError(f"probes[{place}]: {error}") from None
        probes.append(probe)
    if probes[-1].at != length:
        raise ValueError(
            f"the last probe comes after {probes[-1].at} of {length} tokens, so the full answer is not known"
        )
    return probes


def _probe(entry: Mapping[str, Any], probe_tokens: int, form_name: str) -> Probe:
    at = _count(entry.get("tokens"), "tokens")
    chances = {label: _chance(value, label) for label, value in _object(entry.get("probs"), "probs").items()}
    mass = math.fsum(chances.values())
    if not mass:
        raise ValueError("probs: no label has a probability above 0")
    said = _text(entry.get("pred") or max(chances, key=chances.__getitem__), "pred")
    if said not in chances:
        raise ValueError(f"pred: {said!r} is none of the labels {', '.join(chances)}")
    if not chances[said]:
        raise ValueError(f"pred: {said!r} has probability 0")
    top = sorted((chance / mass for chance in chances.values() if chance), reverse=True)
    logprob = TokenLogprob(math.log(chances[said] / mass), tuple(map(math.log, top)))
    answer = Answer(said, form(form_name).key(said), 0, concluded=True)
    usage = Usage(requests=1, probe_tokens=probe_tokens) if probe_tokens else Usage()
    return Probe(at, said, answer, (logprob,), usage)


def _object(value: Any, name: str = "") -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name + ': ' if name else ''}expected an object, got {type(value).__name__}")
    return cast("dict[str, Any]", value)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name}: expected a text, got {value!r}")
    return value.strip()


def _count(value: Any, name: str) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name}: expected a count of tokens, got {value!r}")
    return value


def _chance(value: Any, label: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"probs: {label} has {value!r}, which is no probability")
    return float(value)
