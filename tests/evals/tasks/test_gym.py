"""Any generator of reasoning-gym is a task; right is the full score of its own verifier, computed behind walls."""

from __future__ import annotations

import importlib.util
import json
import os
from asyncio import run
from pathlib import Path
from typing import Any

import pytest

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.evals.tasks import Task, gym, task
from thinkctl.verifiers.sandbox.jail import bubblewrap_trouble

installed = pytest.mark.skipif(
    importlib.util.find_spec("reasoning_gym") is None or bubblewrap_trouble() is not None,
    reason="reasoning-gym or bubblewrap is not installed",
)
pytestmark = [installed, pytest.mark.worker]

NO_REFERENCE = {"boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}
"""Many answers are right, and the library writes none down."""


def answers(found: Task, name: str, **config: Any) -> list[tuple[Any, str]]:
    """Return the problems with the library's own answers, which no task holds."""
    asked = json.dumps({**config, "size": len(found.problems), "seed": 0})
    told = gym._ask("make", {"name": name, "config": asked}, 60)["answers"]
    return list(zip(found.problems, told, strict=True))


@pytest.mark.parametrize("name", ["leg_counting", "chain_sum", "sudoku", "word_sorting", "letter_counting"])
def test_the_library_s_own_answer_is_right_and_others_are_not(name: str) -> None:
    found = task(f"reasoning-gym:{name}?size=3")
    pairs = answers(found, name)
    assert run(found.grades(pairs)) == [True] * 3
    assert run(found.grades([(problem, f"{answer} and more") for problem, answer in pairs])) == [False] * 3
    assert run(found.grades([(problem, "") for problem, _ in pairs])) == [False] * 3
    assert all(answer not in problem.model_dump_json()[-200:] or len(answer) < 3 for problem, answer in pairs)


def test_partial_credit_is_not_right_and_a_frame_of_marks_is_no_fault() -> None:
    """A wrong move among right ones, or the answer within other words, has a score above 0 there."""
    found = task("reasoning-gym:word_sorting?size=2")
    (problem, answer), _ = answers(found, "word_sorting")
    graded = run(
        found.grades([(problem, text) for text in (f"**{answer}**", f"`{answer}`.", answer[:-1], answer * 2)])
    )
    assert graded == [True, True, False, False]


def test_options_are_those_of_the_generator() -> None:
    found = task("reasoning-gym:leg_counting?size=2&seed=3&min_animals=2&max_animals=2")
    assert found.name == "rg-leg-counting-seed3-min-animals2-max-animals2"
    assert all(problem.text.count(", ") < 8 for problem in found.problems)
    assert found.problems != task("reasoning-gym:leg_counting?size=2&seed=4").problems
    assert (
        found.problems
        == task("reasoning-gym:leg_counting?size=5&seed=3&min_animals=2&max_animals=2").problems[:2]
    )


def test_answers_of_several_lines_are_asked_for_as_a_block() -> None:
    assert task("reasoning-gym:sudoku?size=1").problems[0].form == "code"
    assert task("reasoning-gym:chain_sum?size=1").problems[0].form == "text"
    assert task("reasoning-gym:chain_sum?size=1&form=number").problems[0].form == "number"


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("leg_count", "has no generator 'leg_count'; did you mean 'leg_counting'"),
        ("leg_counting?animals=3", "leg_counting has no option 'animals'; .*known: max_animals"),
        ("leg_counting?min_animals=0", "cannot make leg_counting of .*AssertionError"),
        ("leg_counting?size=0", "size=0: give a number"),
        ("leg_counting?form=prose", "form='prose' is not known"),
        ("composite", "cannot make composite of .*: Must specify at least one dataset"),
    ],
)
def test_what_there_is_not_is_an_error(spec: str, error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        task(f"reasoning-gym:{spec}")


def test_an_answer_that_is_evaluated_can_do_no_harm(tmp_path: Path) -> None:
    """The library gives answers to some problems to sympy, which evaluates them as Python."""
    found = task("reasoning-gym:countdown?size=2")
    (problem, answer), (second, other) = answers(found, "countdown")
    mark = tmp_path / "was_here"
    hostile = [
        f"__import__('os').system('touch {mark}')",
        f"__import__('pathlib').Path('{mark}').write_text('x')",
        "__import__('reasoning_gym').games.countdown.CountdownDataset.__dict__",
        "__import__('os')._exit(0)",
        "__import__('os').write(1, b'{\"value\": 1}')",
        'exec("import reasoning_gym.games.countdown as c; c.CountdownDataset.score_answer = lambda *a, **k: 1.0")',
    ]
    assert not any(run(found.grades([(problem, text) for text in hostile])))
    assert not mark.exists()
    assert run(found.grades([(problem, answer), (second, other), (second, "1 + 1")])) == [True, True, False]


def test_an_answer_that_takes_for_ever_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gym, "_SCORE_SECONDS", 0.5)
    found = task("reasoning-gym:countdown?size=1")
    ((problem, answer),) = answers(found, "countdown")
    assert run(found.grades([(problem, "9**9**9**9**9"), (problem, "1" * 30_000)])) == [False, False]
    monkeypatch.undo()
    assert run(found.grade(problem, answer))


def test_a_verifier_that_lets_nonsense_pass_is_not_believed() -> None:
    """That of game_of_life_halting gives any text the full score."""
    found = task("reasoning-gym:game_of_life_halting?size=4")
    pairs = answers(found, "game_of_life_halting")
    assert all(run(found.grades(pairs)))
    assert not any(run(found.grades([(problem, "certainly not this") for problem, _ in pairs])))
    assert not any(run(found.grades([(problem, str(answer != "True")) for problem, answer in pairs])))


SOME = [
    "ab",
    "basic_arithmetic",
    "caesar_cipher",
    "countdown",
    "list_functions",
    "maze",
    "n_queens",
    "syllogism",
]


@pytest.mark.parametrize("name", [*SOME, *sorted(NO_REFERENCE)])
def test_a_generator_takes_its_own_answer(name: str) -> None:
    """All of them, and more problems of each: tests/benchmarks/gym_generators.py."""
    found = task(f"reasoning-gym:{name}?size=2")
    pairs = answers(found, name)
    if name in NO_REFERENCE:
        assert [answer for _, answer in pairs] == [None, None]
    else:
        assert run(found.grades(pairs)) == [True, True]


def test_there_are_about_a_hundred_generators() -> None:
    assert len(gym.generators()) > 100


def test_a_generator_that_draws_without_its_seed_makes_the_same_in_another_process() -> None:
    first = task("reasoning-gym:list_functions?size=20").problems
    gym._pool(os.getpid()).close()
    assert task("reasoning-gym:list_functions?size=20").problems == first


def test_without_the_library_or_the_walls_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    gym.generators.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(MissingExtra, match=r"thinkctl\[gym\]"):
            task("reasoning-gym:leg_counting")
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "/nowhere")
        bubblewrap_trouble.cache_clear()
        with pytest.raises(ConfigurationError, match=r"[Ii]nstall bubblewrap"):
            task("reasoning-gym:leg_counting")
    bubblewrap_trouble.cache_clear()
    assert task("reasoning-gym:leg_counting?size=1").problems
