"""Runs and samples as tables of others."""

from __future__ import annotations

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.evals.exchange import (
    RUN_COLUMNS,
    SAMPLE_COLUMNS,
    rows_of_runs,
    rows_of_samples,
    write_csv,
    write_jsonl,
    write_parquet,
)

TEXT = {"text": str}


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_have_the_columns_that_are_promised(recorded, run_of):
    path = recorded(run_of("one?", "it is 4", "it is 5"), run_of("two?"))
    runs, samples = list(rows_of_runs([path], {})), list(rows_of_samples([path], {}))
    assert (len(runs), len(samples)) == (2, 2)
    for columns, rows in ((RUN_COLUMNS, runs), (SAMPLE_COLUMNS, samples)):
        for row in rows:
            assert row.keys() == columns.keys()
            assert all(value is None or type(value) is columns[name] for name, value in row.items())


def test_each_sample_is_graded_by_its_own_answer(recorded, run_of):
    run = run_of("one?", "it is 4", "it is 5", "it is 4.0")
    rows = list(rows_of_samples([recorded(run)], {run.history.problem.id: "4"}))
    assert [row["right"] for row in rows] == [True, False, True]
    assert [row["sample"] for row in rows] == [0, 1, 2]
    assert [row["answer"] for row in rows] == ["4", "5", "4.0"]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("-17", "-17"),
        ("+1.5e3", "+1.5e3"),
        ("a=1", "a=1"),
        ('two\nlines, and a " quote', 'two\nlines, and a " quote'),
        ("nothing\0here", "nothing\N{REPLACEMENT CHARACTER}here"),
    ],
)
def test_no_cell_of_a_csv_is_a_formula(tmp_path, text, cell):
    path = tmp_path / "a.csv"
    assert write_csv(path, [{"text": text}], TEXT) == 1
    assert read_csv(path) == [{"text": cell}]


@given(st.text())
def test_whatever_a_model_says_a_spreadsheet_does_not_run_it(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write_csv(path, [{"text": text}], TEXT)
    (row,) = read_csv(path)
    cell = row["text"].strip()
    assert cell[:1] not in tuple("=@") or not cell
    if cell[:1] in tuple("+-") and cell:
        float(cell)


def test_what_is_unknown_is_empty_or_null(tmp_path):
    row = {"a": None, "b": True, "c": float("nan"), "d": 0}
    columns = {"a": str, "b": bool, "c": float, "d": int}
    write_csv(tmp_path / "a.csv", [row], columns)
    write_jsonl(tmp_path / "a.jsonl", [row], columns)
    assert read_csv(tmp_path / "a.csv") == [{"a": "", "b": "true", "c": "nan", "d": "0"}]
    assert json.loads((tmp_path / "a.jsonl").read_text()) == {"a": None, "b": True, "c": None, "d": 0}


def test_parquet_has_types_and_nulls(tmp_path, recorded, run_of):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    count = write_parquet(path, rows_of_samples([recorded(run_of("one?", "it is 4"))], {}), SAMPLE_COLUMNS)
    table = parquet.read_table(path)
    assert (count, table.num_rows) == (1, 1)
    assert {
        name: str(table.schema.field(name).type) for name in ("sample", "concluded", "score", "text")
    } == {
        "sample": "int64",
        "concluded": "bool",
        "score": "double",
        "text": "string",
    }
    (row,) = table.to_pylist()
    assert (row["answer"], row["right"], row["score"]) == ("4", None, None)


def test_half_a_character_is_no_reason_to_fail(tmp_path):
    for write, name in ((write_csv, "csv"), (write_jsonl, "jsonl")):
        assert write(tmp_path / f"a.{name}", [{"text": "\ud800"}], TEXT) == 1
    pytest.importorskip("pyarrow")
    assert write_parquet(tmp_path / "a.parquet", [{"text": "\ud800"}], TEXT) == 1


def test_a_file_is_replaced_only_when_all_is_written(tmp_path):
    def rows():
        yield {"text": "a"}
        raise KeyboardInterrupt

    path = tmp_path / "a.csv"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        write_csv(path, rows(), TEXT)
    assert path.read_text(encoding="utf-8") == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
    with pytest.raises(ConfigurationError, match="there is no folder"):
        write_csv(tmp_path / "no" / "a.csv", [], TEXT)
