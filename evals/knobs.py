"""Which parameter of a stopping policy decides how careful it is, and what values are worth trying.

Grids are fixed, most careful first: values that were chosen after a look at the recordings would void the
guarantee of a calibration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, cast, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import StoppingPolicy
from thinkctl.types import name_of

__all__ = ["KNOBS", "Family", "Knob", "knob_for", "turned", "value_at"]

Value = int | float


@final
@dataclass(frozen=True, slots=True)
class Family:
    """The knob of a kind of policy: a parameter and its grid, most careful first."""

    parameter: str
    grid: tuple[Value, ...]

    @property
    def careful_is_high(self) -> bool:
        """Whether higher values are more careful."""
        return self.grid[0] > self.grid[-1]


@final
@dataclass(frozen=True, slots=True)
class Knob:
    """The parameter to calibrate and the values to try, most careful first.

    ``path`` is the parameter's name; of a part within others with the way to it: ``policies.0.threshold``.
    """

    path: str
    grid: tuple[Value, ...]


_PROBABILITIES: Final = (
    0.999999, 0.99999, 0.9999, 0.9998, 0.9995, 0.999, 0.998, 0.997, 0.995, 0.99, 0.985, 0.98, 0.97, 0.96, 0.95,
    0.93, 0.9, 0.87, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55,
)  # fmt: skip
_RISKS: Final = (
    0.0001,
    0.0002,
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.03,
    0.05,
    0.07,
    0.1,
    0.15,
    0.2,
    0.3,
    0.4,
)
_SCORES: Final = (1.0, *_PROBABILITIES, 0.5, 0.4, 0.3, 0.2, 0.1)
_TOKENS: Final = tuple(round(131_072 / 2 ** (step / 2)) for step in range(23))
_WORTHS: Final = tuple(float(f"{digit}e{power}") for power in range(8, 1, -1) for digit in (5, 2, 1))
_VARIANCES: Final = tuple(float(f"{digit}e{power}") for power in range(-8, 0) for digit in (1, 2, 5))

KNOBS: Final[Mapping[str, Family | None]] = {
    "adaptive-consistency": Family("confidence", _PROBABILITIES),
    "answer-confidence": Family("threshold", _PROBABILITIES),
    "answer-stable": Family("k", tuple(range(16, 1, -1))),
    "cannot-be-overtaken": None,
    "cges": Family("posterior", _PROBABILITIES),
    "confidence-consensus": Family("share", (1.0, *_PROBABILITIES)),
    "e-value": Family("delta", _RISKS),
    "entropy-after-thinking": Family("delta", _VARIANCES),
    "expected-improvement": Family("worth_tokens", _WORTHS),
    "low-confidence": Family("eta", (99.9, 99.5, 99, 98, 97, 95, 93, 90, 85, 80, 70, 60, 50, 40, 30, 20, 10)),
    "margin": Family("votes", tuple(range(20, 0, -1))),
    "sprt": Family("alpha", _RISKS),
    "thinking-cap": Family("tokens", _TOKENS),
    "threshold": Family("score", _SCORES),
    "value-of-computation": Family("worth_tokens", _WORTHS),
    "window": Family("size", tuple(range(20, 1, -1))),
}
"""The knob of each kind of policy by its name; ``None``: it has none, since it never changes an answer."""


def knob_for(policy: StoppingPolicy, path: str | None = None, grid: Sequence[Value] | None = None) -> Knob:
    """Return what to calibrate of a policy, and the values to try.

    Without a ``path`` it is the one parameter that is known to be a knob, of the policy or of a policy within it;
    without a ``grid`` the known one of that parameter. A grid of one's own is tried in the order given.

    Raises:
        ConfigurationError: where it is not clear which parameter is meant, or which values are more careful; where
            a known knob's grid runs from careless to careful; and for a value that the policy does not take.
    """
    if path is None:
        path = _only(policy)
    family = _family(policy, path)
    if grid is None:
        if family is None:
            raise ConfigurationError(
                f"nothing is known of {name_of(policy)}'s {path}; give a grid of values, the most careful first"
            )
        grid = family.grid
    values = tuple(grid)
    if not values or len(set(values)) != len(values):
        raise ConfigurationError(
            f"the grid {list(values)!r} is empty or repeats a value; give each value once"
        )
    if family is not None and not _is_ordered(values, family):
        first = "highest" if family.careful_is_high else "lowest"
        raise ConfigurationError(
            f"the grid of {path} must begin with the most careful value, which is the {first}; "
            f"got {', '.join(map(str, values))}"
        )
    for value in values:
        turned(policy, path, value)
    return Knob(path, values)


def turned(policy: StoppingPolicy, path: str, value: Value) -> StoppingPolicy:
    """Return a policy with the parameter at ``path`` set to ``value``."""
    return cast("StoppingPolicy", _turned(policy, path.split("."), value, path))


def value_at(policy: StoppingPolicy, path: str) -> Any:
    """Return the parameter at ``path``."""
    found: Any = policy
    for step in path.split("."):
        found = _member(found, step, path)
    return found


def _turned(part: Any, steps: Sequence[str], value: Value, path: str) -> Any:
    inner = _member(part, steps[0], path)
    new = value if len(steps) == 1 else _turned(inner, steps[1:], value, path)
    if isinstance(part, tuple):
        place = int(steps[0])
        return (*part[:place], new, *part[place + 1 :])
    return dataclasses.replace(part, **{steps[0]: new})


def _member(part: Any, step: str, path: str) -> Any:
    if isinstance(part, tuple) and step.isdigit() and int(step) < len(part):
        return part[int(step)]
    if dataclasses.is_dataclass(part) and any(step == field.name for field in dataclasses.fields(part)):
        return getattr(part, step)
    what = f"{len(part)} parts" if isinstance(part, tuple) else name_of(part)
    raise ConfigurationError(f"knob {path!r}: {what} has no {step!r}; write the way to a parameter")


def _only(policy: StoppingPolicy) -> str:
    """Return the way to the only known knob."""
    found = dict(_known(policy, ()))
    knobs = [path for path, family in found.items() if family is not None]
    if len(knobs) == 1:
        return knobs[0]
    if knobs:
        raise ConfigurationError(
            f"{name_of(policy)} has several thresholds: {', '.join(knobs)}; choose one with knob="
        )
    if found:
        raise ConfigurationError(
            f"{name_of(policy)} has no threshold to calibrate: it never changes the answer, so its risk is 0"
        )
    raise ConfigurationError(
        f"nothing is known of {name_of(policy)}'s parameters; name one with knob= and give a grid of values, "
        "the most careful first"
    )


def _known(part: Any, way: tuple[str, ...]) -> Iterator[tuple[str, Family | None]]:
    """Iterate over the known knobs within a part, each with the way to it."""
    if isinstance(part, tuple):
        for place, inner in enumerate(part):
            yield from _known(inner, (*way, str(place)))
        return
    if not dataclasses.is_dataclass(part) or not isinstance(part, StoppingPolicy):
        return
    name = name_of(part)
    if name in KNOBS:
        family = KNOBS[name]
        yield ".".join((*way, family.parameter if family is not None else "")), family
    for field in dataclasses.fields(cast("Any", part)):
        yield from _known(getattr(part, field.name), (*way, field.name))


def _family(policy: StoppingPolicy, path: str) -> Family | None:
    """Return what is known of the parameter at a path; ``None`` for a parameter that is no known knob."""
    value_at(policy, path)
    way, _, parameter = path.rpartition(".")
    family = KNOBS.get(name_of(value_at(policy, way) if way else policy))
    return family if family is not None and family.parameter == parameter else None


def _is_ordered(values: Sequence[Value], family: Family) -> bool:
    return all((one > other) is family.careful_is_high for one, other in pairwise(values))
