"""How a problem is put to the model."""

from __future__ import annotations

from thinkctl.answers import form
from thinkctl.types import Message, Problem

__all__ = ["answer_at_once", "reason_first"]


def reason_first(problem: Problem) -> tuple[Message, ...]:
    """Return the problem with the sentence that asks for reasoning and then for the answer in its form."""
    return _with_sentence(problem.messages, form(problem.form).instruction)


def answer_at_once(problem: Problem) -> tuple[Message, ...]:
    """Return the problem with the sentence that asks for nothing but the answer in its form."""
    return _with_sentence(problem.messages, form(problem.form).direct)


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
