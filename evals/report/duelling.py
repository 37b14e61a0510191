"""The study of a duel: a small model that thinks longer against a large one that answers at once."""

from __future__ import annotations

from typing import Final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.studies import ArmSpec, Claim, ModelSpec, Study, TaskSpec

__all__ = ["LARGE", "duel_of"]

LARGE: Final = "large at once"
_ALONE, _VOTES, _CHECKED = "small at once", "small, votes", "small, best of n"
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
    tune: int = 0,
) -> Study:
    """Return the study that a duel runs.

    ``small`` and ``large`` are engines (``KIND:WHAT``, or a model for vLLM). The small one answers once, by a vote of
    up to ``samples`` samples, and where the task has a check of its own, by the best of as many; budgets double. The
    claim is that it reaches the large one's accuracy for less: with its check where there is one, else by votes. It is
    counted on ``axis``; without one in TFLOP, or in generated tokens where an engine is hosted and its size unknown.
    """
    if questions < 2 or samples < 2:
        raise ConfigurationError(
            f"a duel of {questions} questions and {samples} samples tells nothing; give 2 or more"
        )
    engines = {"small": _engine(small), "large": _engine(large)}
    budgets = tuple(
        sorted({*(2**step for step in range(samples.bit_length()) if 2**step <= samples), samples})
    )
    arms = [
        ArmSpec(name=LARGE, model="large", strategy="zero-shot"),
        ArmSpec(name=_ALONE, model="small", strategy="zero-shot"),
        ArmSpec(name=_VOTES, model="small", strategy=f"self-consistency({samples})", budgets=budgets),
    ]
    if has_verifier:
        checked = f"best-of-n({samples})"
        arms.append(ArmSpec(name=_CHECKED, model="small", strategy=checked, verifier="task", budgets=budgets))
    hosted = any(engine.partition(":")[0].startswith(_HOSTED) for engine in engines.values())
    counted = axis or (Axis.GENERATED_TOKENS if hosted else Axis.TERAFLOPS)
    return Study(
        title=f"{_name(small)} thinks longer, {_name(large)} answers at once",
        tasks=(TaskSpec(name=task, questions=questions),),
        models={name: ModelSpec(engine=engine) for name, engine in engines.items()},
        arms=tuple(arms),
        tune=tune,
        claim=Claim(
            small=_CHECKED if has_verifier else _VOTES, large=LARGE, axis=counted, kind="iso-accuracy"
        ),
    )


def _engine(text: str) -> str:
    """Return the spec of an engine; a name or a folder without a kind is a model for vLLM."""
    kind, colon, _ = text.partition(":")
    return text if colon and kind.replace("-", "").isalpha() and kind.islower() else f"{_VLLM}{text}"


def _name(text: str) -> str:
    return text.rpartition(":")[2].rstrip("/").rpartition("/")[2] or text
