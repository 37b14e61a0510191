"""A study that is killed at any moment, again and again, ends with the records of one that nobody disturbed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.evals.studies.test_running import summary, timeless
from thinkctl.evals.studies.sessions import Lost, lost

ROOT = Path(__file__).resolve().parents[3]
KILLS = 20


def test_after_twenty_kills_the_records_and_the_summary_are_those_of_an_undisturbed_run(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.evals.studies.killed", str(tmp_path), str(KILLS), "7"],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["whole"], told["last"]) == (0, 0), done.stderr
    assert len(set(told["seen"])) >= 5, f"the kills fell on too few moments: {told}"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert timeless(whole) == timeless(killed)
    assert sum(map(len, timeless(whole).values())) == 4 * (1 + 36)
    assert summary(whole) == summary(killed)
    for name in ("study.json", "study.toml", "grades.jsonl", "models.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    assert not list((killed / "runs").glob("*.jsonl"))
    assert lost(whole) == Lost(0, 0, 0)
    assert lost(killed).killed >= 1  # told beside the records, never in them
    assert "run again from the beginning; at least" in lost(killed).in_words()
