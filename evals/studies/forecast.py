"""What a study will take, before anything runs, and the smallest difference that it can tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from thinkctl.evals.statistics.paired import detectable_share
from thinkctl.evals.studies.planning import Plan, Recording
from thinkctl.evals.studies.prices import prices_of
from thinkctl.evals.studies.summarising import read_sessions
from thinkctl.types import Budget, History, Request
from thinkctl.types.budget import DEFAULT_ANSWER_TOKENS

__all__ = ["DISCORDANCE", "Forecast", "Line", "detectable", "forecast", "measured_rates"]

DISCORDANCE: Final = 0.3
"""On so many questions one arm is expected to be right where the other is wrong."""
CHARS_PER_TOKEN: Final = 4.0
"""For prompts: an estimate, before there is a tokenizer."""
USUAL_TOKENS: Final = 256
"""Tokens of a sample where nothing was measured and its limit is higher."""


@final
@dataclass(frozen=True, slots=True)
class Line:
    """What one recording takes. Tokens are generated ones; ``most`` is the worst case, ``None``: nothing bounds it."""

    recording: str
    model: str
    replayed: bool
    runs: int
    done: int
    samples: int
    expected_tokens: float
    most_tokens: int | None
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
        sums[name] = (tokens + float(row["generated_tokens"]), seconds + float(row["seconds"]))
    return {name: tokens / seconds for name, (tokens, seconds) in sums.items() if tokens and seconds > 0}


def forecast(
    plan: Plan,
    *,
    rates: Mapping[str, float] | None = None,
    sample_tokens: float | None = None,
    done: Mapping[str, int] | None = None,
) -> Forecast:
    """Say what a plan takes; what is ``done`` (runs by recording) is left out.

    ``rates`` are generated tokens a second by model. ``sample_tokens`` is the expected length of a sample: without it,
    half of its limit, at most 256. Samples are the most that a strategy may take: a policy saves some of them.
    """
    lines = tuple(
        _line(each, rates or {}, sample_tokens, (done or {}).get(each.name, 0)) for each in plan.recordings
    )
    return Forecast(lines, {each.name: detectable(len(each.problems)) for each in plan.chosen})


def detectable(questions: int) -> float | None:
    """Return the smallest true difference, in points, that a paired comparison of two arms finds four times in five.

    At the level 5 %, two-sided, where the arms disagree on 30 % of the questions; ``None`` where so few questions tell
    nothing. **Source:** see ``thinkctl.evals.statistics.paired.detectable_share``.
    """
    found = detectable_share(questions, DISCORDANCE)
    return None if found is None else 100 * found


def _line(recording: Recording, rates: Mapping[str, float], given: float | None, done: int) -> Line:
    runs = max(0, len(recording) - done)
    first = _first(recording)
    samples = _samples(recording)
    limit = first.sampling.max_tokens if first is not None else None
    each = given if given is not None else min(USUAL_TOKENS, limit / 2 if limit else USUAL_TOKENS)
    wall = recording.wall.tokens
    expected = samples * each if wall is None else min(samples * each, wall)
    most = (
        None if limit is None else samples * (limit + DEFAULT_ANSWER_TOKENS)
    )  # a closed thought is answered
    most = wall if most is None else most if wall is None else min(most, wall)
    model = recording.arm.spec.model
    rate = rates.get(model)
    prompt = _prompt_tokens(first) * samples
    prices = prices_of(recording.study.models[model])
    dollars = None
    if prices is not None and not prices.dollars_per_hour:
        dollars = runs * (
            prompt * float(prices.dollars_per_million_prompt_tokens) / 1e6
            + expected * float(prices.dollars_per_million_generated_tokens) / 1e6
            + samples * float(prices.dollars_per_request)
        )
    return Line(
        recording=recording.name,
        model=model,
        replayed=recording.pool > 0,
        runs=runs,
        done=done,
        samples=runs * samples,
        expected_tokens=runs * expected,
        most_tokens=None if most is None else runs * most,
        prompt_tokens=runs * prompt,
        seconds=None if not rate else runs * expected / rate,
        dollars=dollars,
    )


def _first(recording: Recording) -> Request | None:
    asked = recording.strategy.propose(History(recording.chosen.problems[0], Budget()))
    return asked[0] if asked else None


def _samples(recording: Recording) -> int:
    """Return the most samples that a run takes, as far as its strategy, its budget or its first requests say."""
    if recording.pool:
        return recording.pool
    said = next((one.samples for one in recording.arm.rungs if one.strategy == recording.strategy), None)
    asked = len(recording.strategy.propose(History(recording.chosen.problems[0], Budget())))
    return max(1, said or asked, asked)


def _prompt_tokens(request: Request | None) -> float:
    if request is None:
        return 0.0
    return math.ceil(sum(len(turn.content) for turn in request.messages) / CHARS_PER_TOKEN)
