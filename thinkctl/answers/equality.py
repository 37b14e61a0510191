r"""Whether two answers say the same: exact rules first, a computer algebra system last, and never without a limit.

The ladder of :func:`equal`; the first rung that knows decides:

1. ``text``: both are written alike.
2. ``key``: both have one key (:mod:`thinkctl.answers.keys`), or keys that name different numbers, words or dates.
3. ``structure``: tuples, intervals, sets, matrices, relations and equations, compared part by part.
4. ``algebra``: expressions and relations, by sample points and math-verify, in a process that is killed when its time
   is over. math-verify is asymmetric; it is asked both ways, and one yes between expressions of one kind is enough.

Where no rung can tell, ``equal`` is ``None``, and ``rung`` says why: ``empty``, ``unparsable``, ``too large``,
``timed out``, ``crashed`` or ``needs thinkctl[math]``.

Nothing that a model wrote is parsed by sympy, or evaluated, in the caller's process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import final

from thinkctl.answers.keys import math_key
from thinkctl.answers.pool import NEEDS, Reply, available, shared
from thinkctl.answers.shapes import compare, rebuilt, shape
from thinkctl.answers.symbols import refusal, writing

__all__ = ["SECONDS", "Equality", "canonical", "canonical_async", "classes", "equal", "equal_async"]

SECONDS = 2.0
"""Seconds of work after which a question of algebra is given up, if the caller says nothing else."""

_KNOWN = frozenset({"number", "words", "letter"})


@final
@dataclass(frozen=True, slots=True)
class Equality:
    """Whether two answers are equal, ``None`` if that is unknown, and the rung of the ladder that decided.

    It is true only if they are known to be equal.
    """

    equal: bool | None
    rung: str

    def __bool__(self) -> bool:
        return self.equal is True


def equal(one: str, other: str, *, seconds: float = SECONDS) -> Equality:
    """Say whether two answers are equal. Symmetric, total, and thread-safe.

    ``seconds`` is what a worker may work on it. Two questions are worked on at a time, others wait for their turn;
    the first question of a program waits about a second more, until a worker has started, and so does the first
    one after a worker had to be killed. Without math-verify the last rung is missing, and nothing is raised.
    """
    known = _cheap(one, other)
    return known if isinstance(known, Equality) else _asked(*known, seconds)


async def equal_async(one: str, other: str, *, seconds: float = SECONDS) -> Equality:
    """Say the same as :func:`equal` without blocking the event loop. Cancelling it leaves the worker to its limit."""
    known = _cheap(one, other)
    if isinstance(known, Equality):
        return known
    return await asyncio.get_running_loop().run_in_executor(_threads(os.getpid()), _asked, *known, seconds)


@cache
def _threads(_process_id: int) -> ThreadPoolExecutor:  # threads do not survive a fork
    return ThreadPoolExecutor(2, thread_name_prefix="thinkctl-equality")


def _cheap(one: str, other: str) -> Equality | tuple[str, str]:
    """Decide without algebra, or give the two writings that algebra must compare."""
    one, other = one.strip(), other.strip()
    if not one or not other:
        return Equality(None, "empty")
    if one == other:
        return Equality(True, "text")
    left, right = writing(one), writing(other)
    if not left or not right:
        return Equality(None, "empty")
    if left == right or math_key(one) == math_key(other):
        return Equality(True, "key")
    refused = [why for why in (refusal(one, left), refusal(other, right)) if why]
    if refused:
        return Equality(None, min(refused, key=("too large", "unparsable").index))
    shapes = shape(left), shape(right)
    verdict = compare(*shapes, lambda _one, _other: None)
    if verdict is None:
        return min(left, right), max(left, right)
    known = {found.kind for found in shapes} <= _KNOWN
    return Equality(verdict, "key" if known else "structure")


def _asked(one: str, other: str, seconds: float) -> Equality:
    reply = _ask({"one": one, "other": other}, seconds)
    if reply.failure:
        return Equality(None, reply.failure)
    if not isinstance(reply.value, bool):
        return Equality(None, "unparsable")
    return Equality(reply.value, "algebra")


def _ask(question: Mapping[str, str], seconds: float) -> Reply:
    return shared().ask(question, seconds) if available() else Reply(failure=NEEDS)


def canonical(text: str, *, seconds: float = SECONDS) -> str:
    r"""Give one writing for equal answers, as far as a canonical form is known; votes can be counted on it.

    Numbers, dates, words, sets and intervals need no algebra. Expressions are written by sympy (``1/\sqrt{3}`` and
    ``\sqrt{3}/3`` are both ``\frac{\sqrt{3}}{3}``), polynomials expanded, equations of polynomials with all on one
    side. An answer that algebra cannot read in ``seconds`` for each expression, keeps its normalised writing. No
    form is canonical for all of mathematics: :func:`classes` finds more that is equal, at the price of comparing
    pairs. At most :data:`thinkctl.answers.keys.LONGEST` characters.
    """
    written = writing(text.strip())
    if not written or refusal(text, written):
        return written
    found = shape(written)
    return math_key(rebuilt(found, lambda leaf: _written(leaf, seconds)).text)


async def canonical_async(text: str, *, seconds: float = SECONDS) -> str:
    """Give :func:`canonical` without blocking the event loop. Cancelling it leaves the worker to its limit."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads(os.getpid()), lambda: canonical(text, seconds=seconds))


def _written(leaf: str, seconds: float) -> str:
    reply = _ask({"write": leaf}, seconds)
    return writing(reply.value) if isinstance(reply.value, str) else leaf


def classes(answers: Sequence[str], *, seconds: float = SECONDS) -> tuple[int, ...]:
    """Give each answer the number of its class: equal answers share one. Classes are numbered as they first appear.

    The partition is the transitive closure of :func:`equal` and does not depend on the order of the answers, unless
    a pair takes about as long as ``seconds`` allows. What cannot be compared is equal only to what has its key.
    For ``d`` answers with different keys, up to ``d * (d - 1) / 2`` pairs are compared.
    """
    keys = [writing(answer.strip()) for answer in answers]
    texts: dict[str, str] = {}
    for key, answer in zip(keys, answers, strict=True):
        texts[key] = min(texts.get(key, answer), answer)
    leader = {key: key for key in texts}
    for one, other in combinations(sorted(texts), 2):
        first, second = leader[one], leader[other]
        if first != second and equal(texts[one], texts[other], seconds=seconds):
            for key, led_by in leader.items():
                leader[key] = min(first, second) if led_by in {first, second} else led_by
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(leader[key], len(numbers)) for key in keys)
