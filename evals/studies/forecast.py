"""What a study will take, before anything runs, and the smallest difference that it can tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from thinkctl.evals.statistics.paired import detectable_share
from thinkctl.evals.studies.arms import INDEPENDENT, asks_for
from thinkctl.evals.studies.planning import Plan, Recording
from thinkctl.evals.studies.prices import prices_of
from thinkctl.evals.studies.records import Recorded
from thinkctl.evals.studies.sessions import read_sessions
from thinkctl.types import Budget, History, Request
from thinkctl.types.budget import DEFAULT_ANSWER_TOKENS

__all__ = [
    "DISCORDANCE",
    "Forecast",
    "Line",
    "detectable",
    "forecast",
    "measured_rates",
    "tokens_of_a_run",
]

DISCORDANCE: Final = 0.3
"""On so many questions one arm is expected to be right where the other is wrong."""
CHARS_PER_TOKEN: Final = 4.0
"""For prompts: an estimate, before there is a tokenizer."""
USUAL_TOKENS: Final = 256
"""Tokens of a sample where nothing was measured and its limit is higher."""


@final
@dataclass(frozen=True, slots=True)
class Line:
    """What one recording still takes. Tokens are generated ones; ``most_tokens`` is the worst case (``None``: none).

    ``is_upper``: what is expected is all that its budget allows, since it cannot be known how early a run ends (its
    check passes, its policy stops it). ``measured``: its length is that of runs that are recorded.
    """

    recording: str
    model: str
    replayed: bool
    runs: int
    done: int
    samples: int
    expected_tokens: float
    most_tokens: int | None
    is_upper: bool
    measured: bool
    prompt_tokens: float
    seconds: float | None
    dollars: float | None


@final
@dataclass(frozen=True, slots=True)
class Forecast:
    """The lines of a study, and by task the smallest difference in accuracy (points) that it can tell from none."""

    lines: tuple[Line, ...]
    detectable: Mapping[str, float | None]

    @property
    def expected_tokens(self) -> float:
        return sum(line.expected_tokens for line in self.lines)

    @property
    def most_tokens(self) -> int | None:
        known = [line.most_tokens for line in self.lines]
        return None if None in known else sum(each or 0 for each in known)

    @property
    def seconds(self) -> float | None:
        known = [line.seconds for line in self.lines]
        return None if None in known else sum(each or 0.0 for each in known)


def measured_rates(folder: Path) -> dict[str, float]:
    """Return generated tokens a second by model, as they were measured when the study ran before."""
    sums: dict[str, tuple[float, float]] = {}
    for row in read_sessions(folder):
        name = str(row["models"][0])
        tokens, seconds = sums.get(name, (0.0, 0.0))
        generated = float(row["generated_tokens"]) + float(row.get("lost_tokens", 0))
        sums[name] = (tokens + generated, seconds + float(row["seconds"]))
    return {name: tokens / seconds for name, (tokens, seconds) in sums.items() if tokens and seconds > 0}


def forecast(
    plan: Plan,
    *,
    rates: Mapping[str, float] | None = None,
    sample_tokens: float | None = None,
    recorded: Mapping[str, Recorded] | None = None,
) -> Forecast:
    """Say what a plan takes; what is ``recorded`` (by recording) is left out.

    ``rates`` are generated tokens a second by model. ``sample_tokens`` is the expected length of a sample. Without it
    a recording goes on as its recorded runs did; one that has none takes samples as long as those that are recorded of
    its model on its task, else of its model, else half of their limit, at most 256 tokens. The number of samples is the
    most that a strategy may take; one with a limit in tokens is expected to use all of it.
    """
    known = recorded or {}
    lengths = _lengths(plan, known)
    lines = tuple(
        _line(each, rates or {}, sample_tokens, known.get(each.name, Recorded()), lengths)
        for each in plan.recordings
    )
    return Forecast(lines, {each.name: detectable(len(each.problems)) for each in plan.chosen})


def detectable(questions: int) -> float | None:
    """Return the smallest true difference, in points, that a paired comparison of two arms finds four times in five.

    At the level 5 %, two-sided, where the arms disagree on 30 % of the questions; ``None`` where so few questions tell
    nothing. **Source:** see ``thinkctl.evals.statistics.paired.detectable_share``.
    """
    found = detectable_share(questions, DISCORDANCE)
    return None if found is None else 100 * found


Lengths = Mapping[tuple[str, str | None], float]
"""Measured tokens of a sample by model and task, and by model alone (``None``)."""


def _lengths(plan: Plan, known: Mapping[str, Recorded]) -> Lengths:
    sums: dict[tuple[str, str | None], tuple[int, int]] = {}
    for each in plan.recordings:
        found = known.get(each.name, Recorded())
        for task in (each.chosen.name, None):
            key = (each.arm.spec.model, task)
            tokens, samples = sums.get(key, (0, 0))
            sums[key] = (tokens + found.tokens, samples + found.samples)
    return {key: tokens / samples for key, (tokens, samples) in sums.items() if samples}


@final
@dataclass(frozen=True, slots=True)
class _Run:
    """What one run is expected to take."""

    samples: float
    tokens: float
    prompt_tokens: float
    is_upper: bool
    measured: bool


def _line(
    recording: Recording,
    rates: Mapping[str, float],
    given: float | None,
    known: Recorded,
    lengths: Lengths,
) -> Line:
    runs = max(0, len(recording) - known.runs)
    first = _first(recording)
    one = _as_before(known) if known.runs and given is None else _guessed(recording, first, given, lengths)
    most, rate = _most(recording, first), rates.get(recording.arm.spec.model)
    tokens = runs * one.tokens
    return Line(
        recording=recording.name,
        model=recording.arm.spec.model,
        replayed=recording.pool > 0,
        runs=runs,
        done=known.runs,
        samples=round(runs * one.samples),
        expected_tokens=tokens,
        most_tokens=None if most is None else runs * most,
        is_upper=one.is_upper,
        measured=one.measured,
        prompt_tokens=runs * one.prompt_tokens,
        seconds=tokens / rate if rate else None if runs else 0.0,
        dollars=_dollars(recording, runs, one),
    )


def _as_before(known: Recorded) -> _Run:
    runs = known.runs
    return _Run(known.samples / runs, known.tokens / runs, known.prompt_tokens / runs, False, True)


def _guessed(recording: Recording, first: Request | None, given: float | None, lengths: Lengths) -> _Run:
    model = recording.arm.spec.model
    measured = lengths.get((model, recording.chosen.name), lengths.get((model, None)))
    limit = first.sampling.max_tokens if first is not None else None
    usual = min(USUAL_TOKENS, limit / 2 if limit else USUAL_TOKENS)
    length = given if given is not None else usual if measured is None else measured
    if measured is not None and given is None and limit is not None:
        length = min(length, limit + DEFAULT_ANSWER_TOKENS)
    samples, wall = float(_samples(recording)), recording.wall.tokens
    tokens = samples * length
    if wall is not None and (tokens > wall or _fills_its_wall(recording)):
        tokens, samples = float(wall), max(1, math.ceil(wall / length))
    is_upper = not recording.pool and (samples > 1 or _fills_its_wall(recording))
    is_measured = given is None and measured is not None
    return _Run(samples, tokens, samples * _prompt_tokens(first), is_upper, is_measured)


def _fills_its_wall(recording: Recording) -> bool:
    """Whether it asks again as long as its budget in tokens lasts, unless a check or a policy ends it."""
    asks_on = asks_for(recording.strategy) != 1 and not isinstance(recording.strategy, INDEPENDENT)
    return not recording.pool and recording.arm.limit == "tokens" and asks_on


def tokens_of_a_run(recording: Recording) -> float:
    """Return how many tokens a run is expected to generate, where none is recorded."""
    return _guessed(recording, _first(recording), None, {}).tokens


def _most(recording: Recording, first: Request | None) -> int | None:
    """Return the most tokens that a run may generate; ``None`` where nothing bounds it."""
    wall, limit = recording.wall.tokens, first.sampling.max_tokens if first is not None else None
    if limit is None or _fills_its_wall(recording):
        return wall
    most = _samples(recording) * (limit + DEFAULT_ANSWER_TOKENS)  # a closed thought is answered
    return most if wall is None else min(most, wall)


def _dollars(recording: Recording, runs: int, one: _Run) -> float | None:
    prices = prices_of(recording.study.models[recording.arm.spec.model])
    if prices is None or prices.dollars_per_hour:
        return None
    return runs * (
        one.prompt_tokens * float(prices.dollars_per_million_prompt_tokens) / 1e6
        + one.tokens * float(prices.dollars_per_million_generated_tokens) / 1e6
        + one.samples * float(prices.dollars_per_request)
    )


def _first(recording: Recording) -> Request | None:
    asked = recording.strategy.propose(History(recording.chosen.problems[0], Budget()))
    return asked[0] if asked else None


def _samples(recording: Recording) -> int:
    """Return the most samples that a run takes, as far as its strategy, its budget or its first requests say."""
    if recording.pool:
        return recording.pool
    ran = (recording.strategy, recording.wall)
    said = next((one.samples for one in recording.arm.rungs if (one.strategy, one.wall) == ran), None)
    asked = len(recording.strategy.propose(History(recording.chosen.problems[0], Budget())))
    return max(1, said or asked, asked)


def _prompt_tokens(request: Request | None) -> float:
    if request is None:
        return 0.0
    return math.ceil(sum(len(turn.content) for turn in request.messages) / CHARS_PER_TOKEN)
