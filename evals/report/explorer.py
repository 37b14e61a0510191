"""The questions of a study as data for its page: samples, votes, decisions, within a number of bytes.

Everything in it was said by models or written by others. It becomes JSON that a page holds as data and shows as text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from thinkctl.evals.points import Point
from thinkctl.evals.report.seen import seen_runs
from thinkctl.evals.report.source import Results, readable
from thinkctl.types import Note, Run, Sample

__all__ = ["MOST_BYTES", "Question", "explorer_of", "json_for_html"]

MOST_BYTES: Final = 3_600_000
"""Of the questions' data; with figures and tables a page stays below 5 MB."""
_BODY: Final = 3_000
"""Characters of one sample's text that are shown at most."""
_PROMPT: Final = 1_500
_ANSWER: Final = 80
_WHY: Final = 160
_NOTES: Final = 12
"""Decisions of a run that are shown: the first ones, and the last."""
_VOTES: Final = 48
_LEAST_SAMPLES: Final = 4
_FOR_SAMPLES: Final = 0.7
"""The share of a run's bytes that its samples may take without their texts."""
_LEAST_BODY: Final = 120
"""Characters of a text below which it is left out."""
_MESSAGE: Final = 45
"""Bytes of the words that say how much was left out of a text."""
_ESCAPED: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


@final
@dataclass(frozen=True, slots=True)
class Question:
    """A line of the explorer: by arm, the share right and the share abstained at the largest budget."""

    task: str
    name: str
    right: tuple[float | None, ...]
    abstained: tuple[float | None, ...]


def explorer_of(results: Results, most: int = MOST_BYTES) -> tuple[list[str], list[Question], dict[str, Any]]:
    """Return the arms, a line for each question, and the data behind the lines: at most about ``most`` bytes.

    Texts of samples are shown as far as there is room: of each question first those of the sample that gave the
    answer, then of one sample of each other answer, then the rest in launch order.
    """
    arms = list(dict.fromkeys(point.arm for point in results.points))
    last = _largest(results.points)
    questions = _questions(last, arms)
    room = most / max(1, sum(len(point.question_ids) for point in last.values()))
    arms_here = Counter(task for task, _ in last)  # they share the bytes of the problem
    details: dict[str, dict[str, Any]] = {}
    for (task, arm), point in last.items():
        grades = results.grades(task, arm)
        wanted = set(point.question_ids)
        for run in seen_runs(results, task, arm):
            name = run.history.problem.id
            if name not in wanted:
                continue
            wanted.remove(name)  # of several runs of a question the first is shown
            entry = details.setdefault(f"{task}\n{name}", {"prompt": _prompt(run, room), "arms": {}})
            entry["arms"][str(arms.index(arm))] = _run(
                run, grades.get(name, ()), room - _bytes(entry["prompt"]) / arms_here[task]
            )
    listed = [details.get(f"{each.task}\n{each.name}", {}) for each in questions]
    return arms, questions, {"arms": [readable(arm) for arm in arms], "questions": listed}


def json_for_html(value: Mapping[str, Any]) -> str:
    """Return JSON in ASCII that no HTML parser can mistake for markup, wherever a script element holds it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_ESCAPED)


def _largest(points: Sequence[Point]) -> dict[tuple[str, str], Point]:
    """Return the point of the largest budget of each task and arm."""
    found: dict[tuple[str, str], Point] = {}
    for point in points:
        key = (point.task, point.arm)
        if key not in found or point.budget >= found[key].budget:
            found[key] = point
    return found


def _questions(last: Mapping[tuple[str, str], Point], arms: Sequence[str]) -> list[Question]:
    found: dict[tuple[str, str], dict[str, tuple[float, float]]] = {}
    for (task, arm), point in last.items():
        for place, name in enumerate(point.question_ids):
            told = float(point.right[place]), float(point.abstained[place])
            found.setdefault((task, name), {})[arm] = told
    return [
        Question(
            task,
            name,
            tuple(by_arm[arm][0] if arm in by_arm else None for arm in arms),
            tuple(by_arm[arm][1] if arm in by_arm else None for arm in arms),
        )
        for (task, name), by_arm in found.items()
    ]


def _prompt(run: Run, room: float) -> str:
    words = "\n\n".join(str(message.content) for message in run.history.problem.messages)
    return readable(words, int(min(_PROMPT, max(_LEAST_BODY, room / 3))))


def _run(run: Run, grades: Sequence[bool], room: float) -> dict[str, Any]:
    """Return a run as data of about ``room`` bytes.

    A sample is its answer's place in ``votes`` (-1: none), tokens, finish, whether it is right (-1: not graded), and
    its text where there is room.
    """
    counted = Counter(answer.key for answer in run.history.answers)
    texts = {sample.answer.key: sample.answer.text for sample in reversed(run.samples) if sample.answer}
    keys = list(dict.fromkeys(sample.answer.key for sample in run.samples if sample.answer is not None))
    places = {key: place for place, key in enumerate(keys)}
    told: dict[str, Any] = {
        "answer": None if run.answer is None else readable(run.answer.text, _ANSWER),
        "from": None if run.answer is None else run.answer.sample,
        "confidence": None if run.confidence is None else round(run.confidence, 3),
        "stop": run.stop.value,
        "why": readable(run.why, _WHY),
        "tokens": run.receipt.generated_tokens,
        "verifier": run.receipt.verifier_tokens,
        "wasted": run.receipt.wasted_tokens,
        "votes": [[readable(texts[key], _ANSWER), counted.get(key, 0)] for key in keys[:_VOTES]],
        "left_out": 0,
        "samples": [_sample(sample, places, grades) for sample in run.samples],
        "notes": [_note(note) for note in _ends(run.notes)],
    }
    while len(told["samples"]) > _LEAST_SAMPLES and _bytes(told) > _FOR_SAMPLES * room:
        told["samples"] = told["samples"][: len(told["samples"]) // 2]
    told["left_out"] = len(run.samples) - len(told["samples"])
    shown = run.samples[: len(told["samples"])]
    for index, text in _bodies(run, shown, room - _bytes(told)).items():
        told["samples"][index].append(text)
    return told


def _sample(sample: Sample, places: Mapping[str, int], grades: Sequence[bool]) -> list[Any]:
    return [
        -1 if sample.answer is None else places[sample.answer.key],
        sample.usage.generated_tokens,
        "" if sample.finish is None else sample.finish.value,
        int(grades[sample.index]) if sample.index < len(grades) else -1,
    ]


def _bytes(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))


def _bodies(run: Run, shown: Sequence[Sample], room: float) -> dict[int, str]:
    """Return texts of samples by index as long as there is room: the answer's, one of each other answer, the rest."""
    seen: set[str | None] = set()
    first: list[Sample] = []
    rest: list[Sample] = []
    answered = None if run.answer is None else run.answer.sample
    for sample in sorted(shown, key=lambda each: each.index != answered):
        key = None if sample.answer is None else sample.answer.key
        (rest if key in seen else first).append(sample)
        seen.add(key)
    found: dict[int, str] = {}
    for sample in [*first, *rest]:
        most = int(min(_BODY, room - _MESSAGE))
        if most < min(_LEAST_BODY, len(sample.text)):
            break
        text = readable(sample.text, most)
        size = _bytes(text) + 1
        if size > room:  # signs beyond ASCII take more bytes than one
            text = readable(sample.text, int(most * room / size) - _MESSAGE)
            size = _bytes(text) + 1
        if size > room:
            break
        room -= size
        found[sample.index] = text
    return found


def _ends(notes: Sequence[Note]) -> Sequence[Note]:
    return notes if len(notes) <= _NOTES else (*notes[: _NOTES - 1], notes[-1])


def _note(note: Note) -> list[Any]:
    decision = note.decision
    did = [
        name
        for name, happened in (
            ("stop", decision.stop),
            ("cut", decision.cut),
            ("conclude", decision.conclude),
            ("probe", decision.probe),
        )
        if happened
    ]
    sure = None if decision.confidence is None else round(decision.confidence, 3)
    return [
        round(note.elapsed, 2),
        note.settled,
        ", ".join(did) or "go on",
        sure,
        readable(decision.why, _WHY),
    ]
