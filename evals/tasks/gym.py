"""Problems of reasoning-gym: any of its generators, scored by its own verifiers; right means a score of 1.0.

Its scoring gives credit for form, which is not being right; and for some generators it evaluates the answer as an
expression. So the library runs in a sandbox (bubblewrap), in processes that can be killed, and is never imported here.
There a set has the same order every time, so a seed's problems are the same on every machine.

Source: Stojanovski et al. 2025 (arXiv:2505.24760).
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib.metadata
import importlib.util
import json
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, cast

from thinkctl.answers.pool import Pool
from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.evals.tasks.questions import check_form
from thinkctl.evals.tasks.spec import known, slug
from thinkctl.evals.tasks.task import Grader, Task
from thinkctl.types import Problem, Sampling
from thinkctl.verifiers.sandbox.jail import Limits, bubblewrap, command, folders_of

__all__ = ["generators", "reasoning_gym"]

_PACKAGE: Final = "reasoning-gym"
_WORKER: Final = Path(__file__).with_name("gym_worker.py")
_WORKERS: Final = 2
_LIMITS: Final = Limits(
    memory=4 << 30, cpu_seconds=86_400, processes=64, file_bytes=1 << 26, disk_bytes=1 << 26, files=256
)
_MAKE_SECONDS: Final = 300.0
_SCORE_SECONDS: Final = 10.0
_LONGEST: Final = 20_000
"""Characters of an answer that is looked at; none is so long."""
_MOST: Final = 20_000
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9][\w.-]*)")
_DRESS: Final = " \t\n`*$\"'"


def reasoning_gym(what: str, *, size: int = 100, seed: int = 0, form: str = "", **config: Any) -> Task:
    """Return ``size`` problems of a generator, such as ``reasoning-gym:leg_counting?max_animals=5``.

    Other options are those of the generator's configuration, numbers and lists written as in JSON. The answer form is
    ``text``, and ``code`` (one fenced block) where answers have several lines. An answer whose scoring takes longer
    than 10 seconds is wrong.

    Raises ``MissingExtra`` without reasoning-gym, ``ConfigurationError`` without bubblewrap, and for a generator or an
    option that there is not.
    """
    check_form(form)
    if not 1 <= size <= _MOST:
        raise ConfigurationError(f"size={size!r}: give a number of problems from 1 to {_MOST}")
    every = generators()
    if what not in every:
        raise ConfigurationError(f"reasoning-gym has no generator {what!r}; {known(every, what)}")
    for key in config:
        if key not in every[what]:
            raise ConfigurationError(f"{what} has no option {key!r}; {known(every[what], key)}")
    options = {key: _read(value) for key, value in config.items()}
    asked = json.dumps({**options, "size": size, "seed": seed})
    made = _ask("make", {"name": what, "config": asked}, _MAKE_SECONDS)
    if "error" in made:
        raise ConfigurationError(f"reasoning-gym cannot make {what} of {asked}: {made['error']}")
    answers: list[str | None] = made["answers"]
    chosen = form or ("code" if any("\n" in answer.strip() for answer in answers if answer) else "text")
    name = slug("rg", what, f"seed{seed}", *(f"{key}{value}" for key, value in options.items()))
    problems = tuple(
        Problem.model_validate({"id": f"{name}-{place}", "form": chosen, "messages": question})
        for place, question in enumerate(made["questions"])
    )
    return Task(
        name,
        f"reasoning-gym, {what}",
        f"open-thought/reasoning-gym {importlib.metadata.version(_PACKAGE)}, {what} (arXiv:2505.24760)",
        "Apache-2.0",
        problems,
        _grader(what, asked, {problem.id: place for place, problem in enumerate(problems)}),
        version=f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}",
        contamination="made when asked for: problems of this kind are common, but these stand nowhere",
        metric="share with the full score of the generator's own verifier",
        hidden="the entry with its answer; partial credit is not right",
        sampling=Sampling(max_tokens=1024),
    )


def _grader(what: str, asked: str, places: Mapping[str, int]) -> Grader:
    """Return what scores an answer by the generator's own verifier; ``places`` are those of its problems, by id."""

    async def grade(problem: Problem, text: str) -> bool:
        if len(text) > _LONGEST:
            return False
        spellings = list(dict.fromkeys([text, text.strip(_DRESS), text.strip(_DRESS + ".")]))
        score = {
            "name": what,
            "config": asked,
            "place": places[problem.id],
            "question": problem.text,
            "answers": spellings,
        }
        found = await asyncio.wrap_future(
            _threads(os.getpid()).submit(_reply, "score", score, _SCORE_SECONDS)
        )
        if "error" in found:
            raise ConfigurationError(f"{problem.id} cannot be scored: {found['error']}")
        return float(found.get("score", 0.0)) >= 1.0

    return grade


@functools.cache
def generators() -> Mapping[str, Sequence[str]]:
    """Return all generators with the names of their options. Raises as ``reasoning_gym``."""
    if importlib.util.find_spec("reasoning_gym") is None:
        raise MissingExtra("tasks of reasoning-gym need a library; pip install 'thinkctl[gym]'")
    bubblewrap()
    found = _ask("known", {}, _MAKE_SECONDS)
    if "known" not in found:
        raise ConfigurationError(f"reasoning-gym cannot be loaded in the sandbox: {found.get('error')}")
    return cast("Mapping[str, Sequence[str]]", found["known"])


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _ask(do: str, asked: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    return _threads(os.getpid()).submit(_reply, do, asked, seconds).result()


def _reply(do: str, asked: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return what a worker says; scoring that fails or takes too long is no score."""
    reply = _pool(os.getpid()).ask({"do": do, "asked": json.dumps(asked)}, seconds)
    if isinstance(reply.value, str):
        return cast("dict[str, Any]", json.loads(reply.value))
    return {} if do == "score" else {"error": reply.failure}


@functools.cache
def _pool(_process_id: int) -> Pool:
    pool = Pool(_WORKERS, _command)
    atexit.register(pool.close)
    return pool


@functools.cache
def _threads(
    _process_id: int,
) -> ThreadPoolExecutor:  # the kernel ends a worker with the thread that started it
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="thinkctl-gym")


def _command() -> list[str]:
    inner = ("-W", "ignore", "-c", _WORKER.read_text(encoding="utf-8"))
    return command(bubblewrap(), _LIMITS, inner=inner, folders=folders_of(_packages()))


@functools.cache
def _packages() -> tuple[str, ...]:
    """Return reasoning-gym and all that it requires, as far as that is installed."""
    found: dict[str, None] = {}
    waiting = [_PACKAGE]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # for another system
            continue
        found[name] = None
        needed = [line for line in requires if "extra ==" not in line]
        waiting += [match[1].lower() for line in needed if (match := _REQUIREMENT.match(line))]
    return tuple(sorted(found))
