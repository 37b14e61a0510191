"""Small runs, for tests of the files that keep them."""

from __future__ import annotations

from thinkctl.testing import history_of
from thinkctl.types import ModelCard, Problem, Receipt, Run, StopReason

CARD = ModelCard(name="small", parameters=500_000_000)


def run_of(*answers: str | None, question: str = "What is 2 + 2?") -> Run:
    history = history_of(*answers, problem=Problem.model_validate({"messages": question}))
    return Run(history, history.answers[0], 0.5, StopReason.DONE, "", Receipt(), {"name": "self-consistency"})


RUNS = [run_of("4", "5"), run_of("4", None, "4"), run_of("7")]
