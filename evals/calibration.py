"""A stopping threshold with a guarantee: Learn-then-Test on recorded runs.

``calibrate`` asks, on recordings, how much a policy would have lost at each of its thresholds, beginning with the
most careful one, and returns the policy with the last threshold whose risk is bounded. What the guarantee says:
over calibration sets of independent questions, the probability that the returned policy's true risk is above
``epsilon`` is at most ``delta``. It is about questions like those (exchangeable with them), answered by the same
model in the same way; not about one set that was looked at before, nor about other questions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias, cast, final

import numpy as np
import numpy.typing as npt

from thinkctl import registry
from thinkctl.errors import ConfigurationError
from thinkctl.evals.bounds import check_level, clopper_pearson, hoeffding_bentkus, questions_needed
from thinkctl.evals.gold import is_right
from thinkctl.evals.knobs import Knob, knob_for, turned
from thinkctl.hindsight import Hindsight, hindsight
from thinkctl.protocols import Selector, StoppingPolicy
from thinkctl.selectors import Majority
from thinkctl.types import Answer, Budget, History, Run, StopReason, name_of, needs_of

__all__ = ["LOSSES", "Calibration", "LossTable", "Step", "calibrate"]

Floats: TypeAlias = npt.NDArray[np.float64]
Recorded: TypeAlias = Run | History
Right: TypeAlias = Callable[[History, Answer], bool]
"""Says whether an answer to the problem of a history is right."""
Gold: TypeAlias = Mapping[str, str] | Right
"""Reference answers by problem id, or who says what is right."""
Loss: TypeAlias = Callable[[Hindsight, Any], bool | float]
"""What ending like this would have lost on a recording, in [0, 1]; the recording is the run as it was given."""

LOSSES: Final[Mapping[str, str]] = {
    "harm": "stopped on a wrong answer where full thinking is right",
    "wrong": "the answer is wrong",
    "changed": "the answer is another than that of full thinking",
}
"""The named losses, each 0 or 1 for a question. ``changed`` needs no reference answers."""

_MANY: Final = 5
"""So many ids are named in an error."""
_DID_NOTHING: Final = (
    "record what it reads, give more samples, or a grid that goes further (every=1 reads probes at any place)"
)
_NOT_PROBED: Final = (
    "recordings were not probed to the end of every thought: what a policy would have seen later is not in them; "
    "record with a threshold that nothing reaches"
)


@final
@dataclass(frozen=True, slots=True)
class Step:
    """What a threshold did on ``n`` questions.

    ``losses`` is the sum of the questions' losses, each in [0, 1], and ``bound`` the upper bound of their mean.
    ``tokens`` are all that were generated, probes included where the recording bills them. ``accuracy`` is
    in [0, 1], ``None`` without reference answers. ``shortened`` is the number of questions on which less was thought,
    ``unknown`` that of closed thoughts whose answer the recording does not tell: they abstain.
    """

    value: float
    n: int
    losses: float
    bound: float
    passed: bool
    tokens: float
    accuracy: float | None
    shortened: float
    unknown: int

    @property
    def rate(self) -> float:
        """The mean loss of a question."""
        return self.losses / self.n if self.n else math.nan


@final
@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibrated policy and how it was found.

    ``policy`` is ``None``, full thinking, where no threshold passed (not ``feasible``). ``losses`` and ``bound`` are
    those of the chosen threshold, or of the most careful one where none passed. ``needed`` is the fewest
    questions that could pass, with no loss at all; ``needed_at_rate`` an estimate of how many would, at the rate
    that the most careful threshold showed (``None``: no number of questions would). ``walk`` has every threshold
    that was tested, the last one failed unless it is the end of the grid. Accuracies and tokens are of the
    calibration questions themselves: measure the policy on others before you quote them.
    """

    policy: StoppingPolicy | None
    knob: str
    threshold: float | None
    loss: str
    method: Literal["clopper-pearson", "hoeffding-bentkus"]
    epsilon: float
    delta: float
    n: int
    losses: float
    bound: float
    needed: int
    needed_at_rate: int | None
    tokens: float
    full_tokens: float
    accuracy: float | None
    full_accuracy: float | None
    walk: tuple[Step, ...]
    cautions: tuple[str, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether a threshold passed."""
        return self.policy is not None

    @property
    def saved(self) -> float:
        """The share of full thinking's tokens that is saved on the calibration questions."""
        return 1 - self.tokens / self.full_tokens if self.full_tokens else 0.0

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        counted = f"{self.losses:g} of {self.n:,} questions, bound {self.bound:.2%}"
        if self.feasible:
            return (
                f"{self.loss} is at most {self.epsilon:.1%} with confidence {1 - self.delta:.0%} ({counted}), "
                f"and {self.saved:.0%} of the tokens are saved"
            )
        return f"not feasible, think fully: {counted} with the most careful threshold; {self._wanted}"

    @property
    def _wanted(self) -> str:
        if self.loss == "wrong" and self.full_accuracy is not None and 1 - self.full_accuracy > self.epsilon:
            return f"full thinking itself is wrong on {1 - self.full_accuracy:.1%}"
        if self.losses == 0:
            return f"without a loss it takes {self.needed:,} questions"
        least = f"without a loss {self.needed:,} questions would do"
        if self.needed_at_rate is None:
            return (
                f"{least}, but losses this frequent are above {self.epsilon:.1%} with any number of questions"
            )
        return f"{least}, at the observed rate it takes about {self.needed_at_rate:,}"


def calibrate(
    policy: StoppingPolicy,
    runs: Iterable[Recorded],
    loss: str | Loss = "harm",
    epsilon: float = 0.05,
    delta: float = 0.1,
    *,
    gold: Gold | None = None,
    knob: str | None = None,
    grid: Sequence[float] | None = None,
    selector: Selector | None = None,
    budget: Budget | None = None,
    repeats: Literal["refuse", "mean"] = "refuse",
) -> Calibration:
    """Return a policy with the most economical threshold whose risk is at most ``epsilon``, with confidence.

    Thresholds are tested from the most careful one on, each on the questions' losses by an exact upper bound at
    level ``1 - delta``; the walk ends at the first whose bound is above ``epsilon``. So the losses need not rise with
    the threshold, and the guarantee holds for however many thresholds. See ``LossTable`` for the other arguments.

    Source: Learn-then-Test with fixed-sequence testing, Angelopoulos et al. 2021 (arXiv:2110.01052), section 3;
    for thoughts, Conformal Thinking (arXiv:2602.03814). Deviation: exact binomial bounds for 0/1 losses.
    """
    table = LossTable(
        policy, runs, loss, gold=gold, knob=knob, grid=grid, selector=selector, budget=budget, repeats=repeats
    )
    return table.calibrate(epsilon, delta)


@final
class LossTable:
    """What each threshold of a policy would have lost on each question.

    A threshold's column is replayed when it is first asked for. One table serves many calibrations: on halves
    of the questions, at other risks.

    Args:
        policy: Any policy with one parameter that says how careful it is.
        runs: Recorded runs or histories. Record them with all the samples, and thoughts as long, as full thinking is
            to have. A policy that reads probes needs them recorded to the thoughts' ends: let it watch
            (``Controller(..., shadows=[...])``) with a threshold that nothing reaches.
        loss: A name of ``LOSSES``, or a function of what a policy made of a recording and of the recording. One that
            returns bools is bounded exactly (Clopper-Pearson), floats in [0, 1] by Hoeffding-Bentkus.
        gold: Reference answers by problem id, or a function that says what is right.
        knob: The parameter, such as ``threshold`` or, within a combination, ``policies.0.threshold``; may be left
            out where it is known and the only one.
        grid: Values to try, most careful first, chosen without a look at these runs; known knobs have one.
        selector: Which answer wins; that of each run where none is given, the majority for histories.
        budget: A smaller budget, also for full thinking: tokens and requests.
        repeats: What to do with several runs of one question, which are not independent: ``"refuse"`` them, or take
            the ``"mean"`` of their losses as the question's, bounded by Hoeffding-Bentkus.

    Raises:
        ConfigurationError: for what cannot be calibrated, with what to do; also where the recordings lack every
            signal that the policy reads, since a policy that never acts loses nothing at any threshold.
    """

    def __init__(
        self,
        policy: StoppingPolicy,
        runs: Iterable[Recorded],
        loss: str | Loss = "harm",
        *,
        gold: Gold | None = None,
        knob: str | None = None,
        grid: Sequence[float] | None = None,
        selector: Selector | None = None,
        budget: Budget | None = None,
        repeats: Literal["refuse", "mean"] = "refuse",
    ) -> None:
        self._policy: Final = policy
        self._knob: Final[Knob] = knob_for(policy, knob, grid)
        self._runs: Final = tuple(runs)
        self._histories: Final = tuple(one.history if isinstance(one, Run) else one for one in self._runs)
        self._budget: Final = budget
        self._rows: Final = _rows(self._histories, repeats)
        self._right: Final = _judge(gold, self._histories, needed=loss in ("harm", "wrong"))
        self._loss: Final = loss
        self._kind: bool | None = True if isinstance(loss, str) else None
        if isinstance(loss, str) and loss not in LOSSES:
            raise ConfigurationError(f"there is no loss {loss!r}; known: {', '.join(LOSSES)}, or a function")
        _check_signals(policy, self._histories)
        self._selectors: Final = tuple(selector or _selector_of(one) for one in self._runs)
        self._full: Final = tuple(
            hindsight(None, history, chosen, budget=budget)
            for history, chosen in zip(self._histories, self._selectors, strict=True)
        )
        self._columns: Final[dict[int, _Column]] = {}
        self._baseline: Final = self._gathered(self._full, [0.0] * len(self._runs))

    @property
    def ids(self) -> tuple[str, ...]:
        """The questions, in the order of the rows."""
        return tuple(dict.fromkeys(history.problem.id for history in self._histories))

    @property
    def knob(self) -> Knob:
        """The parameter and its values, most careful first."""
        return self._knob

    @property
    def method(self) -> Literal["clopper-pearson", "hoeffding-bentkus"]:
        """How mean losses are bounded."""
        if self._kind is None:
            self._column(0)
        exact = self._kind and len(self.ids) == len(self._runs)
        return "clopper-pearson" if exact else "hoeffding-bentkus"

    def losses(self, place: int) -> Floats:
        """Return the losses of the grid's value at ``place``, one for each question, in [0, 1]."""
        return self._column(place).losses.copy()

    def step(self, place: int, epsilon: float, delta: float, questions: Sequence[int] | None = None) -> Step:
        """Return what the grid's value at ``place`` did on some questions (rows; all of them by default).

        On questions that were not calibrated on, this is an honest measurement of one chosen threshold.
        """
        rows = self._some(questions)
        column = self._column(place)
        n, losses = len(rows), float(column.losses[rows].sum())
        bound = self._bound(losses, n, delta)
        return Step(
            value=self._knob.grid[place],
            n=n,
            losses=losses,
            bound=bound,
            passed=bound <= epsilon,
            tokens=float(column.tokens[rows].sum()),
            accuracy=_mean(column.right[rows]),
            shortened=float(column.shortened[rows].sum()),
            unknown=int(column.unknown[rows].sum()),
        )

    def calibrate(
        self, epsilon: float = 0.05, delta: float = 0.1, questions: Sequence[int] | None = None
    ) -> Calibration:
        """Walk from careful to careless on these questions (rows; all by default); see ``calibrate``."""
        check_level("epsilon", epsilon)
        check_level("delta", delta)
        rows = self._some(questions)
        if not len(rows):
            raise ConfigurationError("there is no question to calibrate on; give recorded runs")
        walk: list[Step] = []
        for place in range(len(self._knob.grid)):
            walk.append(self.step(place, epsilon, delta, questions))
            if not walk[-1].passed:
                break
        passed = [step for step in walk if step.passed]
        if walk[-1].passed and not any(step.shortened for step in walk):
            raise ConfigurationError(
                f"{name_of(self._policy)} did nothing to these recordings at any threshold, so they tell nothing of "
                f"its risk; {_DID_NOTHING}"
            )
        shown = passed[-1] if passed else walk[0]
        chosen = passed[-1].value if passed else None
        full_tokens = float(self._baseline.tokens[rows].sum())
        full_accuracy = _mean(self._baseline.right[rows])
        exact = self.method == "clopper-pearson"
        return Calibration(
            policy=None if chosen is None else turned(self._policy, self._knob.path, chosen),
            knob=self._knob.path,
            threshold=chosen,
            loss=self._loss if isinstance(self._loss, str) else getattr(self._loss, "__name__", "loss"),
            method=self.method,
            epsilon=epsilon,
            delta=delta,
            n=shown.n,
            losses=shown.losses,
            bound=shown.bound,
            needed=questions_needed(epsilon, delta, binary=exact) or 0,
            needed_at_rate=questions_needed(epsilon, delta, walk[0].rate, binary=exact),
            tokens=shown.tokens if passed else full_tokens,
            full_tokens=full_tokens,
            accuracy=shown.accuracy if passed else full_accuracy,
            full_accuracy=full_accuracy,
            walk=tuple(walk),
            cautions=self._cautions(shown),
        )

    def _some(self, questions: Sequence[int] | None) -> npt.NDArray[np.int64]:
        count = len(self.ids)
        if questions is None:
            return np.arange(count)
        rows = np.asarray(questions, dtype=np.int64)
        if len(set(rows.tolist())) != len(rows) or (len(rows) and not 0 <= rows.min() <= rows.max() < count):
            raise ConfigurationError(f"questions are rows from 0 to {count - 1}, each once")
        return rows

    def _bound(self, losses: float, n: int, delta: float) -> float:
        if self.method == "clopper-pearson":
            return clopper_pearson(round(losses), n, delta)
        return hoeffding_bentkus(losses, n, delta)

    def _column(self, place: int) -> _Column:
        if place not in self._columns:
            policy = turned(self._policy, self._knob.path, self._knob.grid[place])
            seen = [
                hindsight(policy, history, chosen, budget=self._budget)
                for history, chosen in zip(self._histories, self._selectors, strict=True)
            ]
            self._columns[place] = self._gathered(seen, list(map(self._lost, seen, range(len(seen)))))
        return self._columns[place]

    def _lost(self, seen: Hindsight, at: int) -> float:
        full = self._full[at]
        match self._loss:
            case "changed":
                return float(_key(seen.answer) != _key(full.answer))
            case "wrong":
                return float(not self._is_right(seen))
            case "harm":
                return float(self._is_right(full) and not self._is_right(seen))
            case loss:
                return self._checked(cast("Loss", loss)(seen, self._runs[at]))

    def _checked(self, value: Any) -> float:
        """Return the loss that somebody's function gave, and see that all of them are of one kind."""
        is_bool = isinstance(value, bool | np.bool_)
        if not is_bool and not isinstance(value, int | float | np.number):
            raise ConfigurationError(
                f"the loss returned {value!r}; return a bool, or a float between 0 and 1"
            )
        if self._kind is None:
            self._kind = is_bool
        if is_bool is not self._kind or not 0 <= value <= 1:
            wanted = "a bool, as before" if self._kind else "a float between 0 and 1"
            raise ConfigurationError(f"the loss returned {value!r}; return {wanted}")
        return float(value)

    def _is_right(self, seen: Hindsight) -> bool:
        return seen.answer is not None and self._right is not None and self._right(seen.history, seen.answer)

    def _gathered(self, seen: Sequence[Hindsight], losses: Sequence[float]) -> _Column:
        """Return the means over the runs of each question."""
        known = self._right is not None
        right = [float(self._is_right(one)) if known else math.nan for one in seen]
        shorter = [float(_thought(one) < _thought(full)) for one, full in zip(seen, self._full, strict=True)]
        tokens = [float(one.usage.generated_tokens) for one in seen]
        return _Column(
            self._means(losses),
            self._means(tokens),
            self._means(right),
            self._means(shorter),
            self._means([float(one.unknown) for one in seen]),
        )

    def _means(self, values: Sequence[float]) -> Floats:
        sums = np.bincount(self._rows, weights=np.asarray(values, dtype=np.float64))
        return cast("Floats", sums / np.bincount(self._rows))

    def _cautions(self, shown: Step) -> tuple[str, ...]:
        """Say what about the recordings makes the guarantee one of something else than it seems."""
        ended = sum(isinstance(one, Run) and one.stop is StopReason.POLICY for one in self._runs)
        walled = sum(
            isinstance(one, Run) and one.stop not in (StopReason.POLICY, StopReason.DONE)
            for one in self._runs
        )
        said = [
            (ended, "runs had been stopped by a policy: full thinking is what that one left of them"),
            (
                walled,
                "runs had been ended by a wall or a failure: full thinking is what there was until then",
            ),
        ]
        if needs_of(self._policy).probes:
            untold = sum(not _is_probed_to_the_end(history) for history in self._histories)
            said.append((untold, _NOT_PROBED))
            said += _off_grid(self._policy, self._histories)
        said.append((shown.unknown, "closed thoughts have no recorded answer and count as abstaining"))
        return tuple(f"{number:,} {what}" for number, what in said if number)


@final
@dataclass(frozen=True, slots=True)
class _Column:
    losses: Floats
    tokens: Floats
    right: Floats
    shortened: Floats
    unknown: Floats


# -- what is recorded ------------------------------------------------------------------------------------------


def _rows(histories: Sequence[History], repeats: str) -> npt.NDArray[np.int64]:
    """Return the row of each run: that of its question."""
    if repeats not in ("refuse", "mean"):
        raise ConfigurationError(f"repeats={repeats!r}; say 'refuse' or 'mean'")
    if not histories:
        raise ConfigurationError("there is no recording to calibrate on; give recorded runs")
    rows: dict[str, int] = {}
    found = [rows.setdefault(history.problem.id, len(rows)) for history in histories]
    if repeats == "refuse" and len(rows) < len(found):
        again = next(name for name in rows if sum(name == one.problem.id for one in histories) > 1)
        raise ConfigurationError(
            f"{len(found)} runs are of {len(rows)} questions ({again!r} for one has several); runs of one question "
            "are not independent: give one of each, or repeats='mean'"
        )
    empty = [one.problem.id for one in histories if not any(sample.finished for sample in one.samples)]
    if empty:
        raise ConfigurationError(
            f"{len(empty)} recordings have no finished sample ({_some_of(empty)}); leave them out"
        )
    return np.asarray(found, dtype=np.int64)


def _judge(gold: Gold | None, histories: Sequence[History], *, needed: bool) -> Right | None:
    """Return who says what is right; ``None`` where nobody knows."""
    if gold is None:
        if needed:
            raise ConfigurationError(
                "this loss needs reference answers: give gold, or loss='changed', which needs none"
            )
        return None
    if not isinstance(gold, Mapping):
        return gold
    missing = [one.problem.id for one in histories if one.problem.id not in gold]
    if missing:
        raise ConfigurationError(
            f"{len(missing)} of {len(histories)} recordings have no reference answer ({_some_of(missing)}); "
            "add them, or leave these recordings out"
        )

    def right(history: History, answer: Answer) -> bool:
        return is_right(answer.text, gold[history.problem.id], history.problem.form)

    return right


def _check_signals(policy: StoppingPolicy, histories: Sequence[History]) -> None:
    """Refuse recordings in which nothing can make a policy act: they would prove every threshold safe."""
    needs = needs_of(policy)
    samples = [sample for history in histories for sample in history.samples]
    lacking = [
        (what, how)
        for wanted, present, what, how in (
            (
                needs.probes,
                any(one.probes for one in samples),
                "probes",
                "let the policy watch (shadows=[...])",
            ),
            (
                needs.logprobs is not None,
                any(segment.logprobs for one in samples for segment in one.segments),
                "log-probabilities",
                "sample with logprobs",
            ),
            (needs.scores, any(one.verdict for one in samples), "verdicts", "run the verifier"),
        )
        if wanted and not present
    ]
    if lacking:
        what, how = lacking[0]
        raise ConfigurationError(
            f"{name_of(policy)} reads {what}, and the recordings have none; {how} while they are recorded"
        )


def _is_probed_to_the_end(history: History) -> bool:
    """Whether after the last probe of each thought comes no more than twice the widest gap between them."""
    for sample in history.samples:
        places = [0, *(probe.at for probe in sample.probes)]
        widest = max((one - before for before, one in pairwise(places)), default=0)
        if len(places) > 1 and sample.thinking_tokens - places[-1] > 2 * widest:
            return False
    return True


def _off_grid(policy: StoppingPolicy, histories: Sequence[History]) -> list[tuple[int, str]]:
    """Say where the policy reads, or would make, probes at other places than they were recorded at."""
    places = [[probe.at for probe in sample.probes] for history in histories for sample in history.samples]
    gaps = [one - before for each in places for before, one in pairwise([0, *each])]
    said: list[tuple[int, str]] = []
    for every in sorted(set(_grids_of(policy))):
        missed = sum(at % every != 0 for each in places for at in each)
        what = f"recorded probes are not at multiples of every={every} and are not read; every=1 reads all"
        said.append((missed, what))
        usual = round(float(np.median(gaps))) if gaps else 1
        if every == 1 and usual > 1:
            said.append(
                (usual, "tokens is how far apart the recorded probes are: give a live run every= that")
            )
    return said


def _grids_of(part: Any) -> Iterator[int]:
    """Iterate over the distances between probes that a policy and the policies within it ask for."""
    if isinstance(part, tuple):
        for inner in cast("tuple[Any, ...]", part):
            yield from _grids_of(inner)
    elif isinstance(part, StoppingPolicy) and dataclasses.is_dataclass(part):
        every = getattr(part, "every", None)
        if isinstance(every, int) and not getattr(part, "marks", ()):
            yield every
        for field in dataclasses.fields(cast("Any", part)):
            yield from _grids_of(getattr(part, field.name))


def _selector_of(recorded: Recorded) -> Selector:
    if isinstance(recorded, History) or recorded.selector is None:
        return Majority()
    return registry.selector(recorded.selector)


def _thought(seen: Hindsight) -> int:
    used = seen.usage
    return used.thinking_tokens + used.answer_tokens


def _key(answer: Answer | None) -> str | None:
    return None if answer is None else answer.key


def _mean(values: Floats) -> float | None:
    return None if not len(values) or bool(np.isnan(values).any()) else float(values.mean())


def _some_of(names: Sequence[str]) -> str:
    return f"{', '.join(map(repr, names[:_MANY]))}{', ...' if len(names) > _MANY else ''}"
