"""A pool of samples at every budget: what fewer of them, or a policy, would have come to, and what that would cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Final, final

import numpy as np

from thinkctl.evals.axes import Axis
from thinkctl.evals.cold import cold, following
from thinkctl.evals.costs import VALUE_BYTES, kv_bytes_per_token, operations, prices_in
from thinkctl.evals.loading import table_of_runs
from thinkctl.evals.outcomes import Case, outcomes_of
from thinkctl.evals.studies.arms import Arm, Rung
from thinkctl.evals.table import Bools, Floats, Ints, VoteTable
from thinkctl.hindsight import Hindsight, hindsight
from thinkctl.pricing import price
from thinkctl.types import Answer, Budget, ModelCard, Prices, Run, Sample, Usage
from thinkctl.types.usage import Role

__all__ = ["Pool", "Replayed"]

_ADDED: Final = (
    Axis.GENERATED_TOKENS,
    Axis.ALL_TOKENS,
    Axis.REQUESTS,
    Axis.DOLLARS,
    Axis.TERAFLOPS,
    Axis.KV_BYTES,
)
"""Axes on which a pool knows what each sample adds. It knows no seconds and no joules."""


@final
@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of each row of a pool, as means over orders; ``seen`` in the recorded order."""

    right: Floats
    abstained: Floats
    oracle: Floats
    costs: Mapping[Axis, Floats]
    confidence: Floats
    samples: Floats
    seen: tuple[Hindsight, ...]


@final
class Pool:
    """The runs of a pool, with what each sample is worth and costs.

    ``grade`` says whether an answer to a question (by id) is right, ``abstained`` whether a text declines to answer.
    ``cards`` are by model name.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        grade: Callable[[str, Answer], bool],
        cards: Mapping[str, ModelCard],
        value_bytes: Mapping[str, int],
        abstained: Callable[[str | None], bool] | None = None,
    ) -> None:
        self.runs = tuple(runs)
        self._grade, self._abstained = grade, abstained
        self._cards, self._value_bytes = cards, value_bytes

    @cached_property
    def table(self) -> VoteTable:
        """Votes in the recorded order, each value graded."""
        return self._judged(self._grade)

    @cached_property
    def declining(self) -> VoteTable | None:
        """The same, where "right" are answers that decline to answer; ``None`` where no sample gave one."""
        given = [sample.answer for run in self.runs for sample in run.samples if sample.answer is not None]
        says = self._abstained
        if says is None or not any(says(answer.text) for answer in given):
            return None
        return self._judged(lambda _, answer: says(answer.text))

    def _judged(self, judge: Callable[[str, Answer], bool]) -> VoteTable:
        table = table_of_runs(self.runs, "pool")
        right: list[tuple[bool, ...] | None] = []
        for row, run in enumerate(self.runs):
            first: dict[str, Answer] = {}
            for sample in _finished(run):
                if sample.answer is not None:
                    first.setdefault(sample.answer.key, sample.answer)
            name = run.history.problem.id
            right.append(tuple(judge(name, first[key]) for key in table.names[row]))
        return replace(table, right=tuple(right))

    @cached_property
    def hits(self) -> Bools:
        """Whether each sample (second axis) of each row is right."""
        found = np.zeros(self.table.keys.shape, dtype=np.bool_)
        for row, run in enumerate(self.runs):
            for place, sample in enumerate(_finished(run)):
                found[row, place] = sample.answer is not None and self._grade(
                    run.history.problem.id, sample.answer
                )
        return found

    @cached_property
    def added(self) -> Mapping[Axis, Floats]:
        """What each sample (second axis) of each row adds, with its part of what the verifier used.

        It finds in the cache what the samples' prompts have in common: that is paid once (``once``).
        """
        found = {axis: np.zeros(self.table.keys.shape, dtype=np.float64) for axis in _ADDED}
        for row, run in enumerate(self.runs):
            samples = _finished(run)
            for axis, value in self._share_of_verifier(run, max(1, len(samples))).items():
                found[axis][row, : len(samples)] += value
            for place, (sample, used) in enumerate(zip(samples, self._following[row], strict=True)):
                for axis, value in self._cost(run, sample, used).items():
                    found[axis][row, place] += value
        return found

    @cached_property
    def _following(self) -> Sequence[Sequence[Usage]]:
        return [following(_finished(run)) for run in self.runs]

    @cached_property
    def once(self) -> Mapping[Axis, Floats]:
        """What each row costs besides, whichever samples are taken: the prompt that they share, computed and held."""
        found = {axis: np.zeros(len(self.runs), dtype=np.float64) for axis in _ADDED}
        for row, run in enumerate(self.runs):
            samples = _finished(run)
            if not samples:
                continue
            found[Axis.KV_BYTES][row] = self._bytes(samples[0]) * len(samples[0].prompt_ids)
            for sample, alone, after in zip(samples, cold(samples), self._following[row], strict=True):
                if alone != after:
                    before, then = self._cost(run, sample, alone), self._cost(run, sample, after)
                    for axis in (Axis.DOLLARS, Axis.TERAFLOPS):
                        found[axis][row] += before[axis] - then[axis]
        return found

    def at(self, arm: Arm, rung: Rung, orders: int) -> Replayed:
        """Replay the pool at a budget, in the recorded order and in so many shuffled ones.

        Where all samples are taken whatever comes, the recorded order alone says it.
        """
        budget = Budget() if rung.samples is not None else Budget(tokens=rung.budget)
        case = Case(arm.policy, rung.samples, budget, arm.selector)
        whole = arm.policy is None and rung.samples is not None and rung.samples >= self.table.width
        sums: dict[str, Floats] = {}
        numbers = [None, *range(0 if whole else orders)]
        for number in numbers:
            for name, values in self._in_order(case, number).items():
                sums[name] = sums.get(name, 0.0) + values
        sums = {name: total / len(numbers) for name, total in sums.items()}  # all ones are 1, not 1 + 2e-16
        seen = tuple(self._seen(run, arm, rung, budget) for run in self.runs)
        return Replayed(
            right=sums["right"],
            abstained=sums["abstained"],
            oracle=sums["oracle"],
            costs={axis: sums[axis] for axis in _ADDED if not np.isnan(sums[axis]).all()},
            confidence=np.array([_share_of_votes(each) for each in seen]),
            samples=sums["samples"],
            seen=seen,
        )

    def _in_order(self, case: Case, number: int | None) -> dict[str, Floats]:
        """Return by name what comes of one order: the recorded one, or the shuffle of this number."""
        permutations = None if number is None else 1
        seed = number or 0
        (found,) = outcomes_of(self.table, [case], permutations=permutations, seed=seed)
        order = next(self.table.orders(permutations, seed=seed))
        taken = found.samples.astype(np.int64)
        known = found.right if found.right is not None else np.full(len(self.runs), np.nan)
        result = {"right": known, "abstained": found.unanswered, "samples": found.samples}
        if self.declining is not None:
            (declined,) = outcomes_of(self.declining, [case], permutations=permutations, seed=seed)
            if declined.right is not None:
                result["abstained"] = result["abstained"] + declined.right
        result["oracle"] = (_sums(self.hits.astype(np.float64), order, taken) > 0).astype(np.float64)
        for axis, values in self.added.items():
            result[axis] = _sums(values, order, taken)
            result[axis] += self.once[axis] * (taken > 0)
        return result

    @staticmethod
    def _seen(run: Run, arm: Arm, rung: Rung, budget: Budget) -> Hindsight:
        samples = _finished(run)[: rung.samples]
        return hindsight(arm.policy, replace(run.history, samples=samples), arm.selector, budget=budget)

    def _cost(self, run: Run, sample: Sample, usage: Usage) -> dict[Axis, float]:
        return {
            **self._tokens(usage),
            Axis.DOLLARS: _dollars(usage, prices_in(run, sample.model)),
            Axis.TERAFLOPS: operations(usage, self._cards.get(sample.model)) / 1e12,
            Axis.KV_BYTES: self._bytes(sample) * len(sample.token_ids),
        }

    def _share_of_verifier(self, run: Run, samples: int) -> dict[Axis, float]:
        total: dict[Axis, float] = dict.fromkeys((axis for axis in _ADDED if axis is not Axis.KV_BYTES), 0.0)
        for line in run.receipt.lines:
            if line.role is not Role.VERIFIER:
                continue
            for axis, value in self._tokens(line.usage).items():
                total[axis] += value
            total[Axis.DOLLARS] += float("nan") if line.dollars is None else float(line.dollars)
            total[Axis.TERAFLOPS] += operations(line.usage, self._cards.get(line.model)) / 1e12
        return {axis: value / samples for axis, value in total.items()}

    @staticmethod
    def _tokens(usage: Usage) -> dict[Axis, float]:
        return {
            Axis.GENERATED_TOKENS: float(usage.generated_tokens),
            Axis.ALL_TOKENS: float(usage.generated_tokens + usage.prompt_tokens),
            Axis.REQUESTS: float(usage.requests),
        }

    def _bytes(self, sample: Sample) -> float:
        model = sample.model
        return kv_bytes_per_token(self._cards.get(model), self._value_bytes.get(model, VALUE_BYTES))


def _finished(run: Run) -> tuple[Sample, ...]:
    return tuple(sample for sample in run.samples if sample.finished)


def _dollars(usage: Usage, prices: Prices | None) -> float:
    """Return dollars for tokens and requests; NaN where time is paid for, which a replay does not know."""
    if prices is None or prices.dollars_per_hour:
        return float("nan")
    return float(price(usage, prices) or Decimal(0))


def _sums(values: Floats, order: Ints, taken: Ints) -> Floats:
    """Add up, row by row, the first ``taken`` values in an order."""
    summed = np.zeros((values.shape[0], values.shape[1] + 1))
    summed[:, 1:] = np.take_along_axis(values, order, axis=1).cumsum(axis=1)
    return np.asarray(summed[np.arange(len(values)), taken], dtype=np.float64)


def _share_of_votes(seen: Hindsight) -> float:
    answers = seen.history.answers
    if seen.answer is None or not answers:
        return float("nan")
    return sum(answer.key == seen.answer.key for answer in answers) / len(answers)
