"""The study of a duel: a small model that thinks longer against a large one that answers at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.studies import ArmSpec, Claim, ModelSpec, Study, TaskSpec
from thinkctl.types import Sampling

__all__ = ["ALONE", "LARGE", "MOST_TOKENS", "duel_of"]

LARGE: Final = "large at once"
ALONE: Final = "small at once"
MOST_TOKENS: Final = 1024
"""Of one sample of a duel."""
_VOTES, _CHECKED = "small, votes", "small, best of n"
_PASSES: Final = "threshold(1.0)"
_VLLM: Final = "vllm:"
_HOSTED: Final = "openai"


def duel_of(
    small: str,
    large: str,
    task: str,
    *,
    questions: int,
    samples: int,
    has_verifier: bool,
    axis: Axis | None = None,
    think: bool | None = None,
    max_tokens: int | None = MOST_TOKENS,
    tune: int = 0,
) -> Study:
    """Return the study that a duel runs.

    ``small`` and ``large`` are engines (``KIND:WHAT``, or a model for vLLM). The large one answers at once, greedily.
    The small one answers at once, and with up to ``samples`` samples: the best of them where the task has a check of
    its own (it stops at the first that passes), else by a vote; budgets double. ``think`` asks those samples to reason
    first; without it they do where they vote, and not where a check decides: there the answer is the work itself,
    code, a query, an expression. ``max_tokens`` bounds each sample of both.

    The claim is that the small one reaches the large one's accuracy for less. It is counted on ``axis``; without one in
    TFLOP, or in generated tokens where an engine is hosted and its size unknown. Raises ``ConfigurationError`` for
    fewer than two questions or samples.
    """
    if questions < 2 or samples < 2:
        raise ConfigurationError(
            f"a duel of {questions} questions and {samples} samples tells nothing; give 2 or more"
        )
    engines = {"small": _engine(small), "large": _engine(large)}
    name = _CHECKED if has_verifier else _VOTES
    longer = ArmSpec(
        name=name,
        model="small",
        strategy=f"{'best-of-n' if has_verifier else 'self-consistency'}({samples})",
        policy=_PASSES if has_verifier else None,
        verifier="task" if has_verifier else None,
        think=not has_verifier if think is None else think,
        sampling=Sampling(max_tokens=max_tokens),
        budgets=_doubling(samples),
    )
    greedy = Sampling(temperature=0, max_tokens=max_tokens)
    return Study(
        title=f"{_name(small)} thinks longer, {_name(large)} answers at once",
        tasks=(TaskSpec(name=task, questions=questions),),
        models={name: ModelSpec(engine=engine) for name, engine in engines.items()},
        arms=(
            ArmSpec(name=ALONE, model="small", strategy="zero-shot", sampling=greedy),
            longer,
            ArmSpec(name=LARGE, model="large", strategy="zero-shot", sampling=greedy),
        ),
        tune=tune,
        claims=(Claim(small=name, large=LARGE, axis=axis or _usual(engines.values()), kind="iso-accuracy"),),
    )


def _doubling(samples: int) -> tuple[int, ...]:
    steps = (2**step for step in range(samples.bit_length()))
    return tuple(sorted({*(step for step in steps if step <= samples), samples}))


def _usual(engines: Iterable[str]) -> Axis:
    hosted = any(engine.partition(":")[0].startswith(_HOSTED) for engine in engines)
    return Axis.GENERATED_TOKENS if hosted else Axis.TERAFLOPS


def _engine(text: str) -> str:
    """Return the spec of an engine; a name or a folder without a kind is a model for vLLM."""
    kind, colon, _ = text.partition(":")
    return text if colon and kind.replace("-", "").isalpha() and kind.islower() else f"{_VLLM}{text}"


def _name(text: str) -> str:
    return text.rpartition(":")[2].rstrip("/").rpartition("/")[2] or text
