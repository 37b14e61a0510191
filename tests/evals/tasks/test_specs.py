"""A task is written as name?key=value: one small grammar for all, and errors that say what there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks import names, task
from thinkctl.evals.tasks.spec import Spec, arguments, parse, slug

KEYS = st.from_regex(r"[A-Za-z]\w{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("gsm8k", Spec("gsm8k")),
        ("countdown?numbers=4", Spec("countdown", "", {"numbers": "4"})),
        ("generated:words?level=3&seed=1", Spec("generated", "words", {"level": "3", "seed": "1"})),
        ("file:/a b/c.jsonl?name=x%26y%3Dz", Spec("file", "/a b/c.jsonl", {"name": "x&y=z"})),
        ("file:a:b.csv", Spec("file", "a:b.csv")),
        ("x?y=", Spec("x", "", {"y": ""})),
        ("x?y=a=b", Spec("x", "", {"y": "a=b"})),
    ],
)
def test_a_task_is_a_name_what_of_it_and_options(text: str, spec: Spec) -> None:
    assert parse(text) == spec


@given(st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True), st.dictionaries(KEYS, st.integers()))
def test_what_is_written_is_what_is_read(name: str, options: dict[str, int]) -> None:
    written = name + ("?" if options else "") + "&".join(f"{key}={value}" for key, value in options.items())
    assert parse(written) == Spec(name, "", {key: str(value) for key, value in options.items()})


@given(st.text(max_size=60))
def test_any_text_is_a_task_or_an_error_that_says_so(text: str) -> None:
    try:
        found = parse(text)
    except ConfigurationError:
        return
    assert text.strip().startswith(found.name)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "is no task; write name, or name"),
        ("../etc/passwd", "is no task; write name, or name"),
        ("gsm8k?", "'' in the task 'gsm8k.' is no key=value"),
        ("gsm8k?level", "'level' in the task .* is no key=value"),
        ("gsm8k?a=1&a=2", "'a' is written twice"),
        ("gsm8k?level=3", "task 'gsm8k' has no option 'level'; known: none"),
        ("countdown?number=4", "has no option 'number'; did you mean 'numbers'. known: numbers"),
        ("countdown?numbers=four", "countdown: numbers='four' is wrong; give a whole number"),
        ("countdown:four", "takes nothing after a colon; leave 'four' out"),
        ("generated:words?what=x", "has no option 'what'; known: level, seed, size"),
        ("generated:nonsense", "there is no generator 'nonsense'; known: arithmetic, "),
        ("nonsense", "task 'nonsense' is not known; known: aime2024"),
        ("x?" + "y" * 5_000 + "=1", "at most 4000 characters"),
    ],
)
def test_what_is_wrong_is_said_with_what_there_is(text: str, error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        task(text)


def test_texts_become_what_a_parameter_says() -> None:
    def make(
        *, number: int, share: float = 0.0, on: bool = False, folder: Path | None = None, name: str = ""
    ) -> None:
        raise AssertionError

    given = {"number": "3", "share": "0.5", "on": "true", "folder": "/x", "name": "7"}
    assert arguments(make, Spec("x", "", given), {}) == {
        "number": 3,
        "share": 0.5,
        "on": True,
        "folder": Path("/x"),
        "name": "7",
    }
    assert arguments(make, Spec("x"), {"number": 4, "folder": None}) == {"number": 4, "folder": None}
    for key, value, wanted in (
        ("number", "3.5", "a whole number"),
        ("share", "much", "a number"),
        ("on", "2", "true"),
    ):
        with pytest.raises(ConfigurationError, match=f"x: {key}='{value}' is wrong; give {wanted}"):
            arguments(make, Spec("x", "", {key: value}), {})


@given(st.lists(st.text(max_size=30), max_size=4))
def test_a_slug_is_safe_in_the_name_of_a_file(parts: list[str]) -> None:
    made = slug(*parts)
    assert made
    assert not set(made) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
    assert not made.startswith(".")


THEIRS = """
from thinkctl.evals.tasks import Task
from thinkctl.types import Problem

def mine(*, size: int = 2) -> Task:
    async def grade(problem: Problem, text: str) -> bool:
        return text == problem.id
    problems = tuple(Problem.model_validate({"messages": "?", "id": str(place)}) for place in range(size))
    return Task("mine", "a", "b", "c", problems, grade)

nothing = 3
"""


def test_another_package_brings_a_task_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_tasks.py").write_text(THEIRS, encoding="utf-8")
    told = tmp_path / "their_tasks-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: their-tasks\nVersion: 1.0\n", encoding="utf-8"
    )
    points = ["mine = their_tasks:mine", "nothing = their_tasks:nothing", "gone = their_tasks:gone"]
    points += ["gsm8k = their_tasks:mine"]
    (told / "entry_points.txt").write_text("[thinkctl.tasks]\n" + "\n".join(points), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "mine" in names()
    assert len(task("mine?size=5").problems) == 5
    assert len(task("gsm8k").problems) > 1_000, "our names cannot be taken over"
    with pytest.raises(ConfigurationError, match=r"task 'nothing' \(their_tasks:nothing\) is no function"):
        task("nothing")
    with pytest.raises(ConfigurationError, match=r"task 'gone' .* cannot be loaded"):
        task("gone")
    with pytest.raises(ConfigurationError, match="task 'mine' has no option 'seed'; known: size"):
        task("mine?seed=1")
