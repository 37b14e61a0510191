"""When a run file was begun stands in its header; copying a file's runs does not make it younger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from thinkctl.runfile import Header, RunFile, merge, read, read_header, write
from thinkctl.testing import history_of
from thinkctl.types import ModelCard, Receipt, Run, StopReason

THEN = "2026-01-02T03:04:05+00:00"


def run_of(text: str) -> Run:
    history = history_of(text)
    return Run(history, history.answers[0], 1.0, StopReason.DONE, "all asked", Receipt())


def test_a_file_that_is_begun_says_when_to_the_second_in_utc(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with RunFile.open(tmp_path / "runs.jsonl") as file:
        created = file.header.created
    assert created is not None
    assert created.endswith("+00:00")
    assert len(created) == len(THEN)
    assert before <= datetime.fromisoformat(created) <= before + timedelta(minutes=5)


def test_the_moment_can_be_given_and_stays_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    RunFile.open(path, created=THEN).close()
    with RunFile.open(path) as file:
        file.append(run_of("4"))
    assert read_header(path).created == THEN


def test_packing_a_file_with_its_header_fields_keeps_when_it_was_begun(tmp_path: Path) -> None:
    plain, packed = tmp_path / "runs.jsonl", tmp_path / "runs.jsonl.gz"
    with RunFile.open(plain, created=THEN, study="tune") as file:
        file.append(run_of("4"))
    write(packed, read(plain), **read_header(plain).fields)
    assert read_header(packed).fields == {"created": THEN, "study": "tune"}


def test_writing_a_file_at_once_looks_at_no_clock(tmp_path: Path) -> None:
    write(tmp_path / "runs.jsonl", [run_of("4")])
    assert read_header(tmp_path / "runs.jsonl").created is None


@pytest.mark.parametrize("value", [None, 7, "", "yesterday", ["2026-01-02"]])
def test_what_is_no_date_is_not_known(value: object) -> None:
    assert Header(fields={"created": value}).created is None


def test_files_begun_at_different_times_merge_to_the_earliest_and_are_not_listed_for_it(
    tmp_path: Path,
) -> None:
    one, two, out = (tmp_path / name for name in ("one.jsonl", "two.jsonl", "out.jsonl"))
    write(one, [run_of("4")], created="2026-01-02T01:00:00+02:00", study="tune")
    write(two, [run_of("5")], created="2026-01-02T00:00:00", study="tune")
    merge([two, one], out)
    assert read_header(out).fields == {"created": "2026-01-02T01:00:00+02:00", "study": "tune"}


def test_a_merged_file_has_no_date_where_one_of_its_parts_has_none(tmp_path: Path) -> None:
    one, two, out = (tmp_path / name for name in ("one.jsonl", "two.jsonl", "out.jsonl"))
    write(one, [run_of("4")], created=THEN, part=1)
    write(two, [run_of("5")], part=2)
    merge([one, two], out)
    header = read_header(out)
    assert header.created is None
    assert header.fields["merged"][0] == {"version": header.version, "created": THEN, "part": 1}


def test_a_file_of_before_there_was_a_date_is_read_and_opened(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    write(path, [run_of("4")], card=ModelCard(name="small"))
    assert "created" not in json.loads(path.read_text("ascii").splitlines()[0])
    with RunFile.open(path, card=ModelCard(name="small")) as file:
        assert file.header.created is None
        assert len(list(file)) == 1
