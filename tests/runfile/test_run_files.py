"""Run files survive crashes, neighbours and later versions; what is broken is an error that says where."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runfile.recorded import CARD, RUNS, run_of
from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.runfile import Header, RunFile, TornLine, is_run_file, read, read_header, write
from thinkctl.types import ModelCard


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.jsonl"


# ---------------------------------------------------------------------------------------- reading and writing


@pytest.mark.parametrize("name", ["runs.jsonl", "runs.jsonl.gz"])
def test_a_file_holds_the_runs_that_were_written_in_their_order(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, RUNS, card=CARD)
    assert list(read(tmp_path / name)) == RUNS
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_compressed_file_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl.gz", RUNS)
    write(tmp_path / "b.jsonl.gz", RUNS)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_every_line_is_an_object_in_plain_ascii_and_the_first_is_the_header(path: Path) -> None:
    write(path, [run_of("é")], card=CARD, study="tune")
    header, run = (json.loads(line) for line in path.read_text("ascii").splitlines())
    assert list(header)[:2] == ["thinkctl", "schema"]
    assert (header["thinkctl"], header["schema"], header["study"]) == ("run-file", 1, "tune")
    assert run["answer"]["text"] == "é"


def test_the_header_tells_the_card_and_the_writers_own_fields(path: Path) -> None:
    write(path, [], card=CARD, study="tune", part=[1, 2])
    header = read_header(path)
    assert header == Header(1, header.version, CARD, {"study": "tune", "part": [1, 2]})
    assert header.version


@pytest.mark.parametrize("fields", [{"schema": 2}, {"when": object()}, {"share": float("nan")}])
def test_header_fields_must_be_plain_and_not_ours(fields: dict[str, Any], path: Path) -> None:
    with pytest.raises(ConfigurationError, match="header fields"):
        write(path, [], **fields)


def test_a_file_that_was_there_stays_as_it_was_when_writing_fails(path: Path) -> None:
    write(path, RUNS[:1])
    with pytest.raises(RunFileError):
        write(path, [RUNS[1], replace(RUNS[2], strategy={"n": {1, 2}})])
    assert list(read(path)) == RUNS[:1]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_can_be_rewritten_from_itself(path: Path) -> None:
    write(path, RUNS)
    write(path, (run for run in read(path) if run != RUNS[1]))
    assert list(read(path)) == [RUNS[0], RUNS[2]]


# -------------------------------------------------------------------------------------------------- appending


def test_appended_runs_are_there_at_once_and_after_the_next_opening(path: Path) -> None:
    with RunFile.open(path, card=CARD, study="tune") as file:
        for count, run in enumerate(RUNS, 1):
            file.append(run)
            assert list(file) == RUNS[:count]
    with RunFile.open(path, card=CARD) as file:
        assert file.header.fields["study"] == "tune"
        file.append(RUNS[0])
    assert list(read(path)) == [*RUNS, RUNS[0]]


def test_a_file_without_runs_is_a_run_file(path: Path) -> None:
    RunFile.open(path).close()
    assert is_run_file(path)
    assert list(read(path)) == []


def test_a_closed_file_takes_no_run_and_may_be_closed_again(path: Path) -> None:
    file = RunFile.open(path)
    file.close()
    file.close()
    with pytest.raises(RunFileError, match="is closed"):
        file.append(RUNS[0])


def test_runs_of_another_model_are_not_appended(path: Path) -> None:
    RunFile.open(path, card=CARD).close()
    with pytest.raises(ConfigurationError, match="another model card"):
        RunFile.open(path, card=ModelCard(name="large"))
    RunFile.open(path).close()


def test_a_compressed_file_is_not_appended_to(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="compress later"):
        RunFile.open(path.with_suffix(".gz"))


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"thinkctl": "run-fi', b'{"thinkctl": "run-file", "schema": 1, "ver']
)
def test_a_header_that_was_torn_is_written_anew(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.warns(TornLine, match="the header"):
        assert list(read(path)) == []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with RunFile.open(path) as file:
            file.append(RUNS[0])
    assert [warning.category for warning in caught] == ([TornLine] if content else [])
    assert list(read(path)) == RUNS[:1]


@pytest.mark.parametrize(
    "content", [b"hello", b"hello\n", b"42", b'{"a": 1}\n', b'{"thinkctl": "runs"', b"\xff\n"]
)
def test_a_file_that_is_not_ours_is_never_touched(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(RunFileError, match="line 1 is not a run file's header"):
        RunFile.open(path)
    with pytest.raises(RunFileError, match="line 1 is not a run file's header"):
        list(read(path))
    assert path.read_bytes() == content


def test_a_line_torn_at_any_byte_is_skipped_by_readers_and_cut_off_by_the_next_writer(path: Path) -> None:
    short = replace(RUNS[1], history=replace(RUNS[1].history, samples=()))
    write(path, RUNS[:1])
    whole = path.read_bytes()
    write(path, [RUNS[0], short])
    longer = path.read_bytes()
    for size in range(len(whole) + 1, len(longer) - 1):
        path.write_bytes(longer[:size])
        with pytest.warns(TornLine, match=rf"line 3 \({size - len(whole)} bytes\)"):
            assert list(read(path)) == RUNS[:1]
        with pytest.warns(TornLine, match="cut off"), RunFile.open(path) as file:
            file.append(RUNS[2])
        assert list(read(path)) == [RUNS[0], RUNS[2]]
        assert path.read_bytes()[: len(whole)] == whole


def test_a_whole_last_line_without_its_newline_is_kept(path: Path) -> None:
    write(path, RUNS[:2])
    path.write_bytes(path.read_bytes()[:-1])
    assert list(read(path)) == RUNS[:2]
    with RunFile.open(path) as file:
        file.append(RUNS[2])
    assert list(read(path)) == RUNS


@pytest.mark.parametrize("end", [b"\0\0\0\0", b"\0\0\0\n", b'{"history": \n', b"\xff\xfe\n", b"[" * 100_000])
def test_garbage_at_the_very_end_is_a_torn_line(end: bytes, path: Path) -> None:
    write(path, RUNS)
    path.write_bytes(path.read_bytes() + end)
    with pytest.warns(TornLine):
        assert list(read(path)) == RUNS
    with pytest.warns(TornLine):
        RunFile.open(path).close()
    assert list(read(path)) == RUNS


def test_a_line_that_another_writer_left_torn_is_mended_before_the_next_is_appended(path: Path) -> None:
    with RunFile.open(path) as file:
        file.append(RUNS[0])
        with path.open("ab") as other:
            other.write(b'{"history":{"pro')
        with pytest.warns(TornLine):
            file.append(RUNS[1])
    assert list(read(path)) == RUNS[:2]


@pytest.mark.parametrize("size", [10, 1 << 16, (1 << 16) + 1, 1 << 18])
def test_a_last_line_of_any_length_is_found(size: int, path: Path) -> None:
    long = replace(RUNS[0], why="x" * size)
    write(path, [RUNS[1], long])
    path.write_bytes(path.read_bytes()[:-1])
    with RunFile.open(path) as file:
        file.append(RUNS[2])
    assert list(read(path)) == [RUNS[1], long, RUNS[2]]


def test_a_full_disk_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunFile.open(path) as file:
        file.append(RUNS[0])
        before = path.read_bytes()
        really = os.write
        calls: list[int] = []

        def half(descriptor: int, data: bytes) -> int:
            if calls:
                raise OSError(28, "No space left on device")
            calls.append(len(data))
            return really(descriptor, data[: len(data) // 2])

        with monkeypatch.context() as patch:
            patch.setattr("thinkctl.runfile.writing.os.write", half)
            with pytest.raises(OSError, match="No space"):
                file.append(RUNS[1])
        assert path.read_bytes() == before
        file.append(RUNS[2])
    assert list(read(path)) == [RUNS[0], RUNS[2]]


def append_some(path: Path, name: str, number: int) -> None:
    with RunFile.open(path) as file:
        for place in range(number):
            file.append(run_of("4", question=f"{name} {place}" + "?" * 20_000))


def test_processes_that_append_to_one_file_tear_no_line_and_lose_none(path: Path) -> None:
    workers = [multiprocessing.Process(target=append_some, args=(path, name, 40)) for name in "abc"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork beside threads
        for worker in workers:
            worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    questions = [run.history.problem.text.rstrip("?") for run in read(path)]
    for name in "abc":
        assert [each for each in questions if each.startswith(name)] == [f"{name} {n}" for n in range(40)]
    assert len(questions) == 120


# --------------------------------------------------------------------------------------------- what is broken


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"history": {"problem"', "Expecting ':'"),
        (b"", "Expecting value"),
        (b"[]", "expected an object, got a list of 0"),
        (b'{"why": ""}', "the field 'history' is missing"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff", "utf-8"),
        (b"1" * 5000, "digit"),
    ],
)
def test_a_broken_line_in_the_middle_is_an_error_that_says_where_and_what_now(
    line: bytes, why: str, path: Path
) -> None:
    write(path, RUNS)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], line, *lines[2:]]))
    runs = read(path)
    assert next(runs) == RUNS[0]
    with pytest.raises(RunFileError) as error:
        next(runs)
    assert str(error.value).startswith(f"{path}: line 3 is not a run: ")
    assert why in str(error.value)
    assert "restore the file" in str(error.value)


def test_a_last_line_that_is_whole_but_no_run_is_an_error_and_is_not_cut_off(path: Path) -> None:
    write(path, RUNS)
    broken = path.read_bytes() + b'{"why": ""}\n'
    path.write_bytes(broken)
    with pytest.raises(RunFileError, match="line 5 is not a run: the field 'history' is missing"):
        list(read(path))
    RunFile.open(path).close()
    assert path.read_bytes() == broken


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ('{"thinkctl": "run-file", "schema": 2, "version": "9.1"}', "written by thinkctl 9.1 with schema 2"),
        ('{"thinkctl": "run-file", "schema": 0}', "schema 0 is not a positive integer"),
        ('{"thinkctl": "run-file", "schema": true}', "schema True is not a positive integer"),
        ('{"thinkctl": "run-file"}', "schema None is not a positive integer"),
        ('{"thinkctl": "run-file", "schema": 1, "card": {"name": ""}}', "line 1: card: name: String should"),
    ],
)
def test_a_header_that_cannot_be_understood_is_an_error(header: str, why: str, path: Path) -> None:
    path.write_text(header + "\n")
    for use in (read_header, lambda path: list(read(path)), RunFile.open):
        with pytest.raises(RunFileError) as error:
            use(path)
        assert why in str(error.value)


def test_fields_of_a_later_version_are_ignored(path: Path) -> None:
    write(path, RUNS)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["index"] = {"offset": 3}
    for line in lines[1:]:
        line["joules"] = 3.5
        line["history"]["problem"]["subject"] = "sums"
        line["history"]["samples"][0]["request"] = {
            "sampling": {"temperature": 0.7, "beams": 2},
            "soon": True,
        }
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert list(read(path)) == RUNS


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-9], lambda data: b"no gzip", lambda data: data[:40] + b"?" * 9]
)
def test_a_spoilt_gzip_file_is_an_error(spoil: object, path: Path) -> None:
    path = path.with_suffix(".jsonl.gz")
    write(path, [*RUNS] * 50)
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(RunFileError, match="not a whole gzip file"):
        list(read(path))


def test_a_torn_line_inside_a_whole_gzip_file_is_skipped(path: Path) -> None:
    write(path, RUNS)
    packed = path.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()[:-20]))
    with pytest.warns(TornLine):
        assert list(read(packed)) == RUNS[:2]


def test_a_file_that_is_not_there_is_an_error(path: Path) -> None:
    with pytest.raises(RunFileError, match="cannot be read"):
        list(read(path))
