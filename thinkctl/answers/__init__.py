"""Answers: from generated text to an answer, and from an answer to the key on which votes are counted.

A :class:`Form` says which kind of answer is expected. Its ``extract`` finds the answer in a text or abstains,
its ``key`` maps every spelling of one value to one string, its ``closed`` says when a forced answer is
finished.

Equality that needs algebra is decided apart from that, by :func:`equal`, :func:`canonical` and :func:`classes`: a
computer algebra system, in processes that can be killed, compares what exact rules leave open.
"""

from thinkctl.answers.equality import Equality, canonical, canonical_async, classes, equal, equal_async
from thinkctl.answers.forms import FORMS, Form, form, form_of

__all__ = [
    "FORMS",
    "Equality",
    "Form",
    "canonical",
    "canonical_async",
    "classes",
    "equal",
    "equal_async",
    "form",
    "form_of",
]
