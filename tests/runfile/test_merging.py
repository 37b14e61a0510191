"""Run files are merged: every run once, in order, and only those of one model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runfile.recorded import CARD, RUNS
from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.runfile import merge, read, read_header, write
from thinkctl.types import ModelCard


def test_merging_keeps_the_order_and_drops_what_is_identical(tmp_path: Path) -> None:
    one, two, out = tmp_path / "one.jsonl", tmp_path / "two.jsonl.gz", tmp_path / "out.jsonl"
    write(one, [RUNS[0], RUNS[1], RUNS[0]], card=CARD)
    write(two, [RUNS[1], RUNS[2]])
    assert merge([one, two], out) == 3
    assert list(read(out)) == RUNS
    assert read_header(out).card == CARD


def test_a_file_can_be_merged_into_itself(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    write(one, RUNS[:1])
    write(two, RUNS[1:])
    merge([one, two], one)
    assert list(read(one)) == RUNS


def test_merging_keeps_the_fields_of_later_versions(tmp_path: Path) -> None:
    one, out = tmp_path / "one.jsonl", tmp_path / "out.jsonl"
    write(one, RUNS[:1])
    header, line = one.read_text().splitlines()
    one.write_text(header + "\n" + line[:-1] + ',"joules":3.5}')
    merge([one, one], out)
    assert [json.loads(each).get("joules") for each in out.read_text().splitlines()] == [None, 3.5]
    assert list(read(out)) == RUNS[:1]


def test_header_fields_that_differ_are_listed_by_file(tmp_path: Path) -> None:
    one, two, out = (tmp_path / name for name in ("one.jsonl", "two.jsonl", "out.jsonl"))
    write(one, RUNS[:1], study="tune", part=1)
    write(two, RUNS[1:], study="tune", part=2)
    merge([one, two], out)
    fields = read_header(out).fields
    version = read_header(out).version
    assert fields["study"] == "tune"
    assert "part" not in fields
    assert fields["merged"] == [{"version": version, "study": "tune", "part": part} for part in (1, 2)]


def test_runs_of_different_models_are_not_merged(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    write(one, RUNS, card=CARD)
    write(two, RUNS, card=ModelCard(name="large"))
    with pytest.raises(ConfigurationError, match="merge each model's apart"):
        merge([one, two], tmp_path / "out.jsonl")


def test_files_of_another_schema_or_none_are_not_merged(tmp_path: Path) -> None:
    one, two, out = (tmp_path / name for name in ("one.jsonl", "two.jsonl", "out.jsonl"))
    write(one, RUNS)
    two.write_text('{"thinkctl": "run-file", "schema": 2, "version": "9"}\n')
    with pytest.raises(RunFileError, match="schema 2"):
        merge([one, two], out)
    with pytest.raises(ConfigurationError, match="nothing to merge"):
        merge([], out)
    assert not out.exists()
