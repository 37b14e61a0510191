"""Grades of answers, each made once and kept by what was graded."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, final

from thinkctl.evals.studies.planning import Chosen
from thinkctl.types import Problem

__all__ = ["Grades", "grade_key", "read_grades"]

_NAME: Final = "grades.jsonl"
_AT_ONCE: Final = max(2, os.cpu_count() or 2)


@final
class Grades:
    """What the graders of a study's tasks said; new grades are appended to ``grades.jsonl`` in its folder.

    A grade belongs to the task, its checksum, the question and the answer's text. A torn last line is graded again.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._known: dict[str, bool] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)
        if self._path.exists():
            self._read()

    def _read(self) -> None:
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
                self._known[str(row["key"])] = bool(row["right"])
            except (ValueError, KeyError, TypeError):
                continue  # torn: it is graded again

    def known(self, chosen: Chosen, problem: Problem, text: str | None) -> bool | None:
        """Return a grade that was made before; no answer is wrong, ``None`` is not graded yet."""
        return False if text is None else self._known.get(_key(chosen, problem, text))

    async def grade(self, chosen: Chosen, problem: Problem, text: str | None) -> bool:
        """Grade an answer, or remember its grade."""
        said = self.known(chosen, problem, text)
        if said is not None or text is None:
            return bool(said)
        async with self._turn:
            said = self.known(chosen, problem, text)
            if said is None:
                said = bool(await chosen.task.grade(problem, text))
                self._keep(_key(chosen, problem, text), said)
        return said

    async def grade_all(self, chosen: Chosen, answered: Iterable[tuple[Problem, str]]) -> None:
        """Grade many answers, several at a time."""
        todo = dict.fromkeys((problem.id, text) for problem, text in answered)
        problems = {problem.id: problem for problem in chosen.problems}
        async with asyncio.TaskGroup() as grading:
            for name, text in todo:
                if self.known(chosen, problems[name], text) is None:
                    grading.create_task(self.grade(chosen, problems[name], text))

    def _keep(self, key: str, right: bool) -> None:
        self._known[key] = right
        new = not self._path.exists() or not self._path.stat().st_size
        with self._path.open("a+b") as file:
            if not new:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")  # after a line that was torn
            file.write(_line(key, right))

    def tidy(self) -> None:
        """Write all grades in a fixed order."""
        draft = self._path.with_name(f".{_NAME}")
        draft.write_bytes(b"".join(_line(key, right) for key, right in sorted(self._known.items())))
        draft.replace(self._path)


def _line(key: str, right: bool) -> bytes:
    return json.dumps({"key": key, "right": right}).encode() + b"\n"


def _key(chosen: Chosen, problem: Problem, text: str) -> str:
    return grade_key(chosen.spec.name, chosen.checksum, problem.id, text)


def grade_key(task: str, checksum: str, problem_id: str, text: str) -> str:
    """Return what a grade is kept by: a hash of all that was graded."""
    said = json.dumps([task, checksum, problem_id, text])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def read_grades(folder: Path) -> dict[str, bool]:
    """Return all grades of a study by their keys."""
    return dict(Grades(folder)._known)
