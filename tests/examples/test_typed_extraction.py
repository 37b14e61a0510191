"""The example of typed extraction: what it votes on, on a script, and that it runs on a real model."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from thinkctl.testing import Script, ScriptedEngine, run

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "typed_extraction.py"


def order(customer: str, pens: int, shipping: str) -> Script:
    said = f'{{"customer": "{customer}", "pens": {pens}, "shipping": "{shipping}"}}'
    return Script(f"{customer} wants {pens} pens.", conclusion=said)


def test_each_field_is_what_most_samples_say() -> None:
    names = runpy.run_path(str(EXAMPLE), run_name="example")
    engine = ScriptedEngine(
        [order("Ann Lee", 3, "courier"), order("Ann", 12, "courier"), order("Ann Lee", 12, "post")]
    )

    async def extract() -> str:
        found = await names["extract"](engine)
        assert found.answer is not None
        return str(found.answer.text)

    assert run(extract()) == '{"customer": "Ann Lee", "pens": 12, "shipping": "courier"}'


@pytest.mark.engine
def test_it_runs_on_a_real_model() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "transformers:smollm2-135m-instruct"],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^order: customer='.*' pens=\d+ shipping='(post|courier)'$", done.stdout, re.MULTILINE)
