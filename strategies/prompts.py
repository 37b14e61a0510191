"""How a problem is put to the model, and what it is told about an answer."""

from __future__ import annotations

from typing import Final

from thinkctl.answers import form_of
from thinkctl.selectors import score_of
from thinkctl.types import Message, Problem, Sample

__all__ = [
    "UNCHECKED",
    "answer_at_once",
    "asked",
    "program_first",
    "reason_first",
    "revise",
    "what_failed",
    "what_scored",
]

UNCHECKED: Final = (
    "Check your answer step by step. If you find a mistake, correct it; else repeat the answer."
)
_LONGEST_FEEDBACK: Final = 2_000
"""Characters of a check's report that are shown to the model: from its end, where errors are named."""
_FAILED: Final = "A check of your answer failed. It says:\n\n{feedback}\n\nFind the mistake and correct it."
_NO_REPORT: Final = "A check of your answer failed. Find the mistake and correct it."
_SCORED: Final = "A check rated your answer {score:.2f} of 1.{says}Write a better one."
_PROGRAM: Final = (
    "Write a Python program that computes the answer, in one ```python code block. The program must print the final "
    "answer, and nothing else, or assign it to the variable `answer`. Do not work out the result yourself."
)


def reason_first(problem: Problem) -> tuple[Message, ...]:
    """Return the problem with the sentence that asks for reasoning and then for the answer in its form."""
    return _with_sentence(problem.messages, form_of(problem).instruction)


def answer_at_once(problem: Problem) -> tuple[Message, ...]:
    """Return the problem with the sentence that asks for nothing but the answer in its form."""
    return _with_sentence(problem.messages, form_of(problem).direct)


def asked(problem: Problem, *, think: bool) -> tuple[Message, ...]:
    """Return the problem as it is put to a model that is to think first, or to answer at once."""
    return reason_first(problem) if think else answer_at_once(problem)


def program_first(problem: Problem) -> tuple[Message, ...]:
    """Return the problem with the sentence that asks for a Python program whose output is the answer."""
    return _with_sentence(problem.messages, _PROGRAM)


def what_failed(sample: Sample) -> str | None:
    """Return what the model is told about an answer that failed its check; ``None``: it did not fail one."""
    verdict = sample.verdict
    if verdict is None or verdict.passed is not False:
        return None
    report = verdict.feedback.strip()[-_LONGEST_FEEDBACK:]
    return _FAILED.format(feedback=report) if report else _NO_REPORT


def what_scored(sample: Sample) -> str:
    """Return what the model is told about an answer that may be bettered: what failed, else its score."""
    failed, score = what_failed(sample), score_of(sample)
    if failed is not None or score is None:
        return failed or UNCHECKED
    report = "" if sample.verdict is None else sample.verdict.feedback.strip()[-_LONGEST_FEEDBACK:]
    return _SCORED.format(score=score, says=f" It says:\n\n{report}\n\n" if report else " ")


def revise(problem: Problem, draft: Sample, said: str, *, think: bool = True) -> tuple[Message, ...]:
    """Return the problem, a draft of its answer, what was ``said`` about it, and again how to answer.

    One draft is shown, not all before it, so the prompt does not grow with the revisions.
    """
    form = form_of(problem)
    sentence = form.instruction if think else form.direct
    return (
        *asked(problem, think=think),
        Message(role="assistant", content=draft.text),
        Message(role="user", content=f"{said}\n\n{sentence}" if sentence else said),
    )


def _with_sentence(messages: tuple[Message, ...], sentence: str) -> tuple[Message, ...]:
    """Append a sentence to the last user turn after a blank line; everything else stays as it is.

    A conversation without a user turn gets one.
    """
    if not sentence:
        return messages
    places = [place for place, turn in enumerate(messages) if turn.role == "user"]
    if not places:
        return (*messages, Message(role="user", content=sentence))
    last = places[-1]
    turn = Message(role="user", content=f"{messages[last].content}\n\n{sentence}")
    return (*messages[:last], turn, *messages[last + 1 :])
