"""What each threshold of a policy would have lost on each recorded question."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast, final

import numpy as np
import numpy.typing as npt

from thinkctl import registry
from thinkctl.errors import ConfigurationError
from thinkctl.evals.bounds import clopper_pearson, hoeffding_bentkus
from thinkctl.evals.gold import is_right
from thinkctl.evals.knobs import Knob, knob_for, turned
from thinkctl.evals.signals import cautions_of, check_signals
from thinkctl.hindsight import Hindsight, hindsight
from thinkctl.protocols import Selector, StoppingPolicy
from thinkctl.selectors import Majority
from thinkctl.types import Answer, Budget, History, Run

__all__ = ["LOSSES", "Gold", "Loss", "LossTable", "Method", "Questions", "Recorded", "Repeats", "Step"]

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]
Questions: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]
"""Rows of questions, each once."""
Method: TypeAlias = Literal["clopper-pearson", "hoeffding-bentkus"]
Repeats: TypeAlias = Literal["refuse", "mean"]
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


@final
@dataclass(frozen=True, slots=True)
class Step:
    """What the threshold ``value`` did on ``n`` questions; ``nan`` stands for full thinking.

    ``losses`` is the sum of the questions' losses, each in [0, 1], and ``bound`` the upper bound of their mean.
    ``tokens`` are all that were generated, probes included where the recording bills them. ``accuracy`` is
    in [0, 1], ``None`` without reference answers. ``shortened`` is the number of questions on which less was thought,
    ``unknown`` that of closed thoughts whose answer the recording does not tell: they abstain.
    """

    value: float
    n: int
    losses: float
    bound: float
    tokens: float
    accuracy: float | None
    shortened: float
    unknown: int

    @property
    def rate(self) -> float:
        """The mean loss of a question."""
        return self.losses / self.n if self.n else math.nan


@final
class LossTable:
    """What each threshold of a policy would have lost on each question.

    A threshold is replayed when it is first asked for. One table serves many calibrations: on halves of the
    questions, at other risks. ``policy`` and ``knob`` are what is calibrated, ``ids`` the questions in the order of the
    rows, ``cautions`` what the recordings lack.

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
        repeats: Repeats = "refuse",
    ) -> None:
        self.policy: Final = policy
        self.knob: Final[Knob] = knob_for(policy, knob, grid)
        self._runs: Final = tuple(runs)
        self._histories: Final = tuple(one.history if isinstance(one, Run) else one for one in self._runs)
        self._budget: Final = budget
        self.ids: Final = tuple(dict.fromkeys(history.problem.id for history in self._histories))
        self._rows: Final = _rows(self._histories, repeats)
        self._right: Final = _judge(gold, self._histories, needed=loss in ("harm", "wrong"))
        self._loss: Final = loss
        self._kind: bool | None = True if isinstance(loss, str) else None
        if isinstance(loss, str) and loss not in LOSSES:
            raise ConfigurationError(f"there is no loss {loss!r}; known: {', '.join(LOSSES)}, or a function")
        check_signals(policy, self._histories)
        self._selectors: Final = tuple(selector or _selector_of(one) for one in self._runs)
        self._full: Final = tuple(
            hindsight(None, history, chosen, budget=budget)
            for history, chosen in zip(self._histories, self._selectors, strict=True)
        )
        self._columns: Final[dict[int, _Column]] = {}
        full_usage = [one.usage for one in self._full]
        self._thought: Final = [used.thinking_tokens + used.answer_tokens for used in full_usage]
        self._baseline: Final = self._gathered(self._full)
        careful = self._seen(0)
        self._columns[0] = self._gathered(careful)
        self.cautions: Final = cautions_of(policy, self._runs, careful)

    @property
    def loss(self) -> str:
        """The name of the loss; of a function that of the function."""
        return self._loss if isinstance(self._loss, str) else getattr(self._loss, "__name__", "loss")

    @property
    def method(self) -> Method:
        """How mean losses are bounded."""
        exact = self._kind and len(self.ids) == len(self._runs)
        return "clopper-pearson" if exact else "hoeffding-bentkus"

    def losses(self, place: int) -> Floats:
        """Return the losses of the grid's value at ``place``, one for each question, in [0, 1]."""
        return self._column(place).losses.copy()

    def measure(self, place: int | None, delta: float = 0.1, questions: Questions | None = None) -> Step:
        """Return what the grid's value at ``place`` did on some questions (rows; all of them by default).

        ``None`` is full thinking. On questions that were not calibrated on, this is an honest measurement of one
        chosen threshold, with a bound that holds with confidence ``1 - delta``.
        """
        rows = self._some(questions)
        column = self._baseline if place is None else self._column(place)
        n, losses = len(rows), float(column.losses[rows].sum())
        exact = self.method == "clopper-pearson"
        return Step(
            value=math.nan if place is None else self.knob.grid[place],
            n=n,
            losses=losses,
            bound=clopper_pearson(round(losses), n, delta) if exact else hoeffding_bentkus(losses, n, delta),
            tokens=float(column.tokens[rows].sum()),
            accuracy=_mean(column.right[rows]),
            shortened=float(column.shortened[rows].sum()),
            unknown=int(column.unknown[rows].sum()),
        )

    def _some(self, questions: Questions | None) -> npt.NDArray[np.int64]:
        count = len(self.ids)
        if questions is None:
            return np.arange(count)
        rows = np.asarray(questions, dtype=np.int64)
        if len(set(rows.tolist())) != len(rows) or (len(rows) and not 0 <= rows.min() <= rows.max() < count):
            raise ConfigurationError(f"questions are rows from 0 to {count - 1}, each once")
        return rows

    def _column(self, place: int) -> _Column:
        if place not in self._columns:
            self._columns[place] = self._gathered(self._seen(place))
        return self._columns[place]

    def _seen(self, place: int) -> tuple[Hindsight, ...]:
        policy = turned(self.policy, self.knob.path, self.knob.grid[place])
        return tuple(
            hindsight(policy, history, chosen, budget=self._budget)
            for history, chosen in zip(self._histories, self._selectors, strict=True)
        )

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

    def _gathered(self, seen: Sequence[Hindsight]) -> _Column:
        """Return the means over the runs of each question."""
        known = self._right is not None
        used = [one.usage for one in seen]
        thought = [usage.thinking_tokens + usage.answer_tokens for usage in used]
        return _Column(
            losses=self._means([self._lost(one, at) for at, one in enumerate(seen)]),
            tokens=self._means([usage.generated_tokens for usage in used]),
            right=self._means([self._is_right(one) if known else math.nan for one in seen]),
            shortened=self._means([one < full for one, full in zip(thought, self._thought, strict=True)]),
            unknown=self._means([one.unknown for one in seen]),
        )

    def _means(self, values: Sequence[float]) -> Floats:
        sums = np.bincount(self._rows, weights=np.asarray(values, dtype=np.float64))
        return sums / np.bincount(self._rows)


@final
@dataclass(frozen=True, slots=True)
class _Column:
    losses: Floats
    tokens: Floats
    right: Floats
    shortened: Floats
    unknown: Floats


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


def _selector_of(recorded: Recorded) -> Selector:
    if isinstance(recorded, History) or recorded.selector is None:
        return Majority()
    return registry.selector(recorded.selector)


def _key(answer: Answer | None) -> str | None:
    return None if answer is None else answer.key


def _mean(values: Floats) -> float | None:
    return None if not len(values) or bool(np.isnan(values).any()) else float(values.mean())


def _some_of(names: Sequence[str]) -> str:
    return f"{', '.join(map(repr, names[:_MANY]))}{', ...' if len(names) > _MANY else ''}"
