"""What ``thinkctl.evals`` offers, and that nothing is loaded for nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import thinkctl.evals


@pytest.mark.parametrize("name", thinkctl.evals.__all__)
def test_every_name_is_there(name):
    assert getattr(thinkctl.evals, name).__module__.startswith("thinkctl.evals.")
    assert name in dir(thinkctl.evals)


def test_what_is_not_there_says_so():
    with pytest.raises(AttributeError, match="has no attribute 'calibrat'"):
        thinkctl.evals.calibrat  # noqa: B018


def test_numpy_is_loaded_with_the_first_name_that_needs_it():
    loaded = "print('numpy' in sys.modules)"
    code = f"import sys, thinkctl.evals; {loaded}; thinkctl.evals.calibrate; {loaded}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]
