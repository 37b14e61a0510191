"""``thinkctl models`` as a user meets it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from thinkctl.cli.models import app
from thinkctl.models import catalogue


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_list_shows_every_model_with_its_aliases_and_where_it_lies(pulled):
    folder = pulled("small")
    ran = run("list")
    assert ran.exit_code == 0
    head, *lines = ran.stdout.splitlines()
    assert head.split() == ["NAME", "ALIASES", "PARAMETERS", "DOWNLOAD", "LICENCE", "HERE"]
    assert [line.split()[0] for line in lines] == list(catalogue())
    assert [line.split()[-1] for line in lines] == ["-", str(folder), "-"]
    assert lines[1].split()[1:7] == ["small", "494", "M", "491", "MB", "Apache-2.0"]


def test_list_as_json_can_be_read_by_a_program(pulled):
    folder = pulled("small")
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert set(rows) == set(catalogue())
    small = rows["qwen2.5-coder-0.5b-instruct"]
    assert small["folder"] == str(folder)
    assert (small["parameters"], small["context"], small["role"]) == (494_032_768, 32_768, "small")
    assert rows["smollm2-135m-instruct"]["folder"] is None


def test_pull_prints_the_folder_and_nothing_else_on_stdout(pulled):
    folder = pulled("test")
    assert run("pull", "test").stdout == f"{folder}\n"
    assert json.loads(run("pull", "test", "--json").stdout)["folder"] == str(folder)


def test_path_prints_the_folder(pulled):
    assert run("path", "large").exit_code == 2
    folder = pulled("large")
    assert run("path", "large").stdout == f"{folder}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["pull", "smal"], 2, "error: no model is called 'smal'. Did you mean 'small'"),
        (["path", "smal"], 2, "error: no model is called 'smal'. Did you mean 'small'"),
        (
            ["path", "small"],
            2,
            "error: qwen2.5-coder-0.5b-instruct is not on this machine (not pulled yet): thinkctl",
        ),
        (["path", "./nowhere"], 2, "error: nowhere: there is no such folder"),
    ],
)
def test_a_mistake_is_answered_in_one_line_with_exit_code_2(arguments, code, said, cache):
    ran = run(*arguments)
    assert (ran.exit_code, ran.stdout) == (code, "")
    assert ran.stderr.startswith(said)
    assert ran.stderr.count("\n") == 1


def test_a_pull_that_cannot_succeed_ends_with_exit_code_1(index):
    ran = run("pull", "test")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[0] == "smollm2-135m-instruct: fetching"
    assert ran.stderr.splitlines()[-1].startswith(
        "error: smollm2-135m-instruct cannot be had from here. Tried:"
    )
