"""``thinkctl report``, ``compare`` and ``duel``, as a user calls them, on studies of made-up models."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from thinkctl.cli.reporting import compare, duel, report
from thinkctl.errors import ConfigurationError

app = typer.Typer()
for command in (compare, duel, report):
    app.command()(command)

DUEL = "duel --small scripted:small --large scripted:large --task countdown --questions 12 --samples 4 -q".split()


def call(*arguments):
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a duel that was fought."""
    folder = tmp_path_factory.mktemp("duel")
    found = call(*DUEL, "--out", folder)
    assert found.exit_code == 0, found.output
    return folder, found.stdout


def test_a_duel_prints_accuracies_every_axis_and_the_verdict(study):
    folder, out = study
    for words in (
        "large at once",
        "small at once",
        "small, best of n",
        "TFLOP",
        "generated tokens",
        "Claim: ",
    ):
        assert words in out
    assert any(f"\n{verdict}: " in out for verdict in ("Reached", "Not reached", "Inconclusive"))
    assert out.rstrip().endswith(f"Report: {folder / 'report.html'}")
    assert (folder / "report.html").exists()
    assert (folder / "figures" / "forest.csv").exists()


def test_the_same_duel_runs_nothing_again_and_comes_to_the_same(study):
    folder, out = study
    files = {path: path.read_bytes() for path in sorted((folder / "runs").iterdir())}
    told = json.loads(call(*DUEL, "--out", folder, "--json").stdout)
    assert {path: path.read_bytes() for path in sorted((folder / "runs").iterdir())} == files
    assert all(each["words"] in out for each in told["claims"])
    assert {"small at once", "small, best of n"} == {row["arm"] for row in told["contrasts"]}


def test_a_report_prints_where_it_is(study, tmp_path):
    folder, _ = study
    page = tmp_path / "page.html"
    assert call("report", folder, "--out", page, "-q").stdout.strip() == str(page)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "FOLDER", "--out", "page.pdf"), "ends in .html"),
        (("report", "nowhere"), "holds no study"),
        (("compare", "FOLDER", "FOLDER:other"), "has no arm 'other'"),
        (("compare", "FOLDER:small, best of n@3", "FOLDER"), "small, best of n@4"),
        (("compare", "FOLDER:small, best of n", "FOLDER:large at once", "--level", "95"), "level=95"),
        ((*DUEL, "--axis", "money"), "there is no axis 'money'"),
    ],
)
def test_what_cannot_be_done_says_why(study, arguments, words):
    folder, _ = study
    with pytest.raises(ConfigurationError, match=words):
        call(*(str(each).replace("FOLDER", str(folder)) for each in arguments))


def test_a_comparison_says_what_differs(study):
    folder, _ = study
    out = call("compare", f"{folder}:large at once", f"{folder}:small, best of n@4").stdout
    for words in (
        "small, best of n (4 samples) against large at once (1 sample)",
        "difference",
        "won, lost",
        "costs",
    ):
        assert words in out
    assert "gate" not in out


def test_a_gate_ends_with_its_exit_code(study):
    folder, _ = study
    sides = [f"{folder}:small, best of n@{budget}" for budget in (1, 4)]
    (row,) = json.loads(call("compare", *sides, "--json").stdout)["rows"]
    lost = abs(row["points"]["value"])
    worse = sides if row["points"]["value"] < 0 else sides[::-1]
    for first, second, margin, code, gate in (
        (sides[0], sides[0], 0, 0, "passed"),
        (*worse, 100, 0, "passed"),
        (*worse, lost, 4, "inconclusive"),
    ):
        found = call("compare", first, second, "--gate", "--margin", margin)
        assert found.exit_code == code, found.output
        assert f"gate {gate}" in found.stdout
        told = call("compare", first, second, "--gate", "--margin", margin, "--json")
        assert (told.exit_code, json.loads(told.stdout)["gate"]) == (code, gate)
        assert call("compare", first, second, "--margin", margin).exit_code == 0


def test_a_gate_that_fails_ends_with_3(study):
    folder, _ = study
    points = (folder / "points.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in points]
    for row in rows:
        wrong = row["arm"] == "large at once"
        row["right"] = [0.0 if wrong else 1.0] * len(row["right"])
    (folder / "points.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    try:
        found = call(
            "compare", f"{folder}:small, best of n", f"{folder}:large at once", "--gate", "--margin", 5
        )
    finally:
        (folder / "points.jsonl").write_text("\n".join(points) + "\n", encoding="utf-8")
    assert found.exit_code == 3


def test_markdown_is_a_table_that_shows_names_as_they_are(study):
    folder, _ = study
    out = call(
        "compare", f"{folder}:large at once", f"{folder}:small, best of n", "--markdown", "--gate"
    ).stdout
    lines = out.splitlines()
    assert lines[0].startswith("**")
    assert "gate" in lines[0]
    assert lines[2].startswith("| task | compared")
    assert lines[4].startswith("| countdown | small, best of n (4 samples)")
    assert all(line.count("|") == lines[2].count("|") for line in lines[2:5])


def test_names_cannot_break_out_of_a_markdown_table():
    from thinkctl.cli.compared import _escaped

    assert _escaped("a|b\n<img> [x](y) `c`") == r"a\|b \<img\> \[x\](y) \`c\`"
