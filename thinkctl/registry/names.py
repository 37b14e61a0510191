"""What parts there are: ours and those of other packages, loaded when they are asked for."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.protocols import Allocation, Selector, StoppingPolicy, Strategy, Verifier
from thinkctl.registry.parameters import default_of, fields_of, is_required, write
from thinkctl.types import name_of

__all__ = ["KINDS", "PROTOCOLS", "WORDS", "Description", "Kind", "describe", "kind_of", "load", "names"]

Kind = Literal["strategies", "stopping", "selectors", "verifiers", "allocations"]
_OURS: Final[Mapping[Kind, Mapping[str, str]]] = {
    "strategies": {
        "adaptive-branching": "thinkctl.strategies:AdaptiveBranching",
        "beam-search": "thinkctl.strategies:BeamSearch",
        "best-of-n": "thinkctl.strategies:BestOfN",
        "cascade": "thinkctl.strategies:Cascade",
        "chain-of-thought": "thinkctl.strategies:ChainOfThought",
        "dvts": "thinkctl.strategies:DVTS",
        "mixture": "thinkctl.strategies:Mixture",
        "portfolio": "thinkctl.strategies:Portfolio",
        "program-of-thought": "thinkctl.strategies:ProgramOfThought",
        "rebase": "thinkctl.strategies:REBASE",
        "self-consistency": "thinkctl.strategies:SelfConsistency",
        "self-correction": "thinkctl.strategies:SelfCorrection",
        "uct": "thinkctl.strategies:UCT",
        "using": "thinkctl.strategies:Using",
        "zero-shot": "thinkctl.strategies:ZeroShot",
    },
    "stopping": {
        "adaptive-consistency": "thinkctl.stopping:AdaptiveConsistency",
        "all-of": "thinkctl.stopping:AllOf",
        "answer-confidence": "thinkctl.stopping:AnswerConfidence",
        "answer-stable": "thinkctl.stopping:AnswerStable",
        "any-of": "thinkctl.stopping:AnyOf",
        "cannot-be-overtaken": "thinkctl.stopping:CannotBeOvertaken",
        "cges": "thinkctl.stopping:CGES",
        "confidence-consensus": "thinkctl.stopping:ConfidenceConsensus",
        "e-value": "thinkctl.stopping:EValue",
        "entropy-after-thinking": "thinkctl.stopping:EntropyAfterThinking",
        "every-tokens": "thinkctl.stopping:EveryTokens",
        "expected-improvement": "thinkctl.stopping:ExpectedImprovement",
        "low-confidence": "thinkctl.stopping:LowConfidence",
        "margin": "thinkctl.stopping:Margin",
        "no-thinking": "thinkctl.stopping:NoThinking",
        "patient": "thinkctl.stopping:Patient",
        "repetition-guard": "thinkctl.stopping:RepetitionGuard",
        "sprt": "thinkctl.stopping:SPRT",
        "thinking-cap": "thinkctl.stopping:ThinkingCap",
        "threshold": "thinkctl.stopping:Threshold",
        "value-of-computation": "thinkctl.stopping:ValueOfComputation",
        "warm-up": "thinkctl.stopping:WarmUp",
        "window": "thinkctl.stopping:Window",
    },
    "selectors": {
        "agreement": "thinkctl.agreement:Agreement",
        "best-score": "thinkctl.selectors:BestScore",
        "borda": "thinkctl.agreement:Borda",
        "fieldwise-majority": "thinkctl.selectors:FieldwiseMajority",
        "last-stage": "thinkctl.strategies:LastStage",
        "latest": "thinkctl.selectors:Latest",
        "majority": "thinkctl.selectors:Majority",
        "majority-of-the-bests": "thinkctl.selectors:MajorityOfTheBests",
        "tool-majority": "thinkctl.selectors:ToolMajority",
        "weighted-chains": "thinkctl.strategies:WeightedChains",
        "weighted-majority": "thinkctl.selectors:WeightedMajority",
    },
    "verifiers": {
        "arithmetic": "thinkctl.verifiers:Arithmetic",
        "duckdb-execution": "thinkctl.verifiers:DuckdbExecution",
        "generated-tests": "thinkctl.verifiers:GeneratedTests",
        "judge": "thinkctl.verifiers:Judge",
        "matches": "thinkctl.verifiers:Matches",
        "outcome-reward-model": "thinkctl.verifiers:OutcomeRewardModel",
        "pairwise-judge": "thinkctl.verifiers:PairwiseJudge",
        "process-reward-model": "thinkctl.verifiers:ProcessRewardModel",
        "program-result": "thinkctl.verifiers:ProgramResult",
        "schema": "thinkctl.verifiers:Schema",
        "self-certainty": "thinkctl.verifiers:SelfCertainty",
        "sql-execution": "thinkctl.verifiers:SqlExecution",
        "unit-tests": "thinkctl.verifiers:UnitTests",
    },
    "allocations": {
        "elimination": "thinkctl.stopping:Elimination",
        "first-come": "thinkctl.stopping:FirstCome",
        "flip-probability": "thinkctl.stopping:FlipProbability",
        "least-confident": "thinkctl.stopping:LeastConfident",
        "uniform": "thinkctl.stopping:Uniform",
    },
}
KINDS: Final = tuple(_OURS)
PROTOCOLS: Final[Mapping[Kind, type]] = {
    "strategies": Strategy,
    "stopping": StoppingPolicy,
    "selectors": Selector,
    "verifiers": Verifier,
    "allocations": Allocation,
}
WORDS: Final[Mapping[Kind, str]] = {
    "strategies": "strategy",
    "stopping": "stopping policy",
    "selectors": "selector",
    "verifiers": "verifier",
    "allocations": "allocation",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """What a list says of a part.

    ``parameters`` maps each parameter to its default as it is written, or to ``None`` where it must be given.
    ``source`` is the distribution that brings it.
    """

    name: str
    summary: str
    parameters: Mapping[str, str | None]
    source: str = "thinkctl"


def names(kind: Kind) -> tuple[str, ...]:
    """Return the known names of a kind, sorted; nothing is loaded."""
    return tuple(sorted({*_OURS[kind], *entry_points(group=_group(kind)).names}))


def describe(kind: Kind) -> tuple[Description, ...]:
    """Describe every part of a kind, in the order of ``names``. A part that cannot be loaded says so."""
    return tuple(_describe(kind, name) for name in names(kind))


def load(kind: Kind, name: str) -> type[Any]:
    """Return the class with this name. Raises ``ConfigurationError`` with the known names if it is none."""
    point = _point(kind, name)
    try:
        part = point.load()
    except MissingExtra:
        raise
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"{WORDS[kind]} {name!r} of {_source(point)} cannot be loaded: {error}"
        ) from error
    if not isinstance(part, type) or name_of(part) != name:
        raise ConfigurationError(
            f"{WORDS[kind]} {name!r} of {_source(point)} is {point.value}, which is no class of that name; "
            "a part's name is its class's, with hyphens"
        )
    return part


def _describe(kind: Kind, name: str) -> Description:
    try:
        cls = load(kind, name)
    except (ConfigurationError, MissingExtra) as error:
        return Description(name, str(error), {}, "")
    summary = (inspect.getdoc(cls) or "").partition("\n")[0]
    fields = fields_of(cls)
    parameters = {field.name: None if is_required(field) else write(default_of(field)) for field in fields}
    return Description(name, summary, parameters, _source(_point(kind, name)))


def _point(kind: Kind, name: str) -> EntryPoint:
    if name in _OURS[kind]:
        return EntryPoint(name, _OURS[kind][name], _group(kind))
    points = {point.value: point for point in entry_points(group=_group(kind), name=name)}
    if len(points) == 1:
        return next(iter(points.values()))
    if points:
        sources = " and ".join(sorted(_source(point) for point in points.values()))
        raise ConfigurationError(f"{WORDS[kind]} {name!r} comes from {sources}; uninstall one of them")
    raise _unknown(WORDS[kind], name, names(kind))


def kind_of(name: str) -> Kind:
    """Return the only kind that has a name. Raises ``ConfigurationError`` if none or several have it."""
    ours: list[Kind] = [kind for kind in KINDS if name in _OURS[kind]]
    kinds: list[Kind] = ours or [kind for kind in KINDS if name in names(kind)]
    if len(kinds) > 1:
        raise ConfigurationError(
            f"{name!r} is the name of a {' and a '.join(WORDS[kind] for kind in kinds)}; give the kind"
        )
    if not kinds:
        raise _unknown("part", name, [known for kind in KINDS for known in names(kind)])
    return kinds[0]


def _unknown(word: str, name: str, known: Sequence[str]) -> ConfigurationError:
    close = difflib.get_close_matches(name.lower(), known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else "."
    return ConfigurationError(f"there is no {word} {name!r}{meant} Known: {', '.join(known) or 'none'}")


def _group(kind: Kind) -> str:
    return f"thinkctl.{kind}"


def _source(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "thinkctl"
