"""What tests of code verifiers share: whether there is a sandbox here, and a sample with code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from thinkctl import Problem, Sample
from thinkctl.testing import history_of, sample_of
from thinkctl.types import History
from thinkctl.verifiers import Sandbox
from thinkctl.verifiers.sandbox.jail import bubblewrap_trouble

TROUBLE = bubblewrap_trouble()
needs_bubblewrap = pytest.mark.skipif(TROUBLE is not None, reason=str(TROUBLE))
ROOMY = Sandbox(seconds=60)
"""For what must end by itself, also on a busy machine."""
BRIEF = Sandbox(seconds=1)
"""For what never ends by itself."""


def problem(form: str = "code", **given: Any) -> Problem:
    return Problem.model_validate({"messages": "Write f.", "form": form, "given": given})


def wrote(code: str | None, asked: Problem) -> tuple[History, Sample]:
    """Return the history of one sample that wrote this code, and the sample."""
    fenced = sample_of(code, problem=asked)
    sample = (
        fenced if code is None else replace(fenced, text=f"Let me see.\n```python\n{code}\n```\nThat is it.")
    )
    return replace(history_of(sample), problem=asked), sample
