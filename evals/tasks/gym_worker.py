"""The process that makes and scores problems of reasoning-gym, in a sandbox; started by ``gym``, ended by force.

It is a program of its own: nothing of thinkctl is there. One line of JSON comes in for each question, one goes out.
The library's own scoring evaluates what a model wrote for some generators, so it runs here and nowhere else.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
import random
import sys
from collections.abc import Callable
from typing import Any, Final

NONSENSE: Final = "certainly not an answer"


@functools.lru_cache(maxsize=8)
def dataset(name: str, config: str) -> Any:
    """Return a generator with its configuration, a JSON object."""
    return importlib.import_module("reasoning_gym").create_dataset(name, **json.loads(config))


@functools.lru_cache(maxsize=4_096)
def entry(name: str, config: str, place: int) -> Any:
    """Return one of its problems; a generator that draws without its seed draws the same all the same."""
    random.seed(f"{name}:{config}:{place}")
    return dataset(name, config)[place]


def known() -> dict[str, list[str]]:
    """Return the parameters of each generator."""
    found = importlib.import_module("reasoning_gym.factory").DATASETS
    return {name: [field.name for field in dataclasses.fields(config)] for name, (_, config) in found.items()}


def make(name: str, config: str) -> dict[str, Any]:
    """Return all problems of a generator."""
    problems = [entry(name, config, place) for place in range(len(dataset(name, config)))]
    return {
        "questions": [str(problem["question"]) for problem in problems],
        "answers": [None if problem["answer"] is None else str(problem["answer"]) for problem in problems],
    }


def score(name: str, config: str, place: int, question: str, answers: list[str]) -> dict[str, Any]:
    """Return the best score of some spellings of an answer; an error where the problem is not the one that was put.

    A verifier that gives nonsense the full score is not believed: then only the reference itself is right.
    """
    problem = entry(name, config, place)
    if str(problem["question"]) != question:
        return {"error": "the generator made another problem this time"}
    if scored(name, config, place, NONSENSE) >= 1:
        return {"score": float(str(problem["answer"]).strip() in answers)}
    return {"score": apart(lambda: max(scored(name, config, place, answer) for answer in answers))}


def apart(work: Callable[[], float]) -> float:
    """Return what a fork of this process computes: an answer that is evaluated can change that fork alone."""
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(tells, repr(float(work())).encode("ascii"))
        finally:
            os._exit(0)
    os.close(tells)
    with os.fdopen(told, "rb") as file:
        text = file.read()
    os.waitpid(child, 0)
    return float(text or b"0")


def scored(name: str, config: str, place: int, answer: str) -> float:
    """Return the library's score of an answer, 0 where it cannot read it."""
    try:
        return float(dataset(name, config).score_answer(answer=answer, entry=entry(name, config, place)))
    except Exception:  # noqa: BLE001  scorers raise anything on what they cannot read
        return 0.0


def answered(question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question."""
    asked = json.loads(question["asked"])
    try:
        if question["do"] == "known":
            return {"known": known()}
        if question["do"] == "make":
            return make(**asked)
        return score(**asked)
    except Exception as error:  # noqa: BLE001  configurations are checked by assertions and anything else
        return {"error": f"{type(error).__name__}: {str(error)[:300]}"}


def main() -> None:
    """Answer questions until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    importlib.import_module("reasoning_gym")
    print(json.dumps({"value": "ready"}), file=replies, flush=True)
    for line in sys.stdin:
        reply = json.dumps(answered(json.loads(line)))
        print(json.dumps({"value": reply}), file=replies, flush=True)


if __name__ == "__main__":
    main()
