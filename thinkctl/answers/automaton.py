"""A regular expression as a machine: does it match, may it still, and what is the shortest way to its end.

It is simulated and never built out, so that time is linear in the text whatever the expression: Python's ``re`` can be
made to search for ever, and building all states of a machine ahead can take time exponential in the counts of its
repetitions. Digits, word characters and blanks are ASCII's, as in the grammars of engines.
"""

from __future__ import annotations

import functools
import heapq
import importlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError

__all__ = ["Automaton", "States", "automaton", "without_anchors"]

States = frozenset[int]
"""Where a machine may be after some text; empty where it cannot match any more."""
Ranges = tuple[tuple[int, int], ...]
"""Characters by their code points, from the first to the last of each range, in order."""

_LONGEST: Final = 200_000
"""Characters of an expression: what describes a schema is longer than the schema."""
_MOST_NODES: Final = 100_000
_MOST_KEPT: Final = 50_000
_LONGEST_END: Final = 4_000
_LAST: Final = 0x10FFFF
_SEEN: Final = range(0x21, 0x7F)
_ANY: Final[Ranges] = ((0, 9), (11, _LAST))
_CATEGORIES: Final[dict[str, Ranges]] = {
    "DIGIT": ((48, 57),),
    "SPACE": ((9, 13), (32, 32)),
    "WORD": ((48, 57), (65, 90), (95, 95), (97, 122)),
}


def without_anchors(pattern: str) -> str:
    r"""Return a pattern without the ``^`` or ``\\A`` it begins and the ``$`` or ``\\Z`` it ends with."""
    pattern = pattern.removeprefix("^").removeprefix(r"\A")
    rest = pattern.removesuffix("$")
    backslashes = len(rest) - len(rest.rstrip("\\"))
    return (rest if backslashes % 2 == 0 else pattern).removesuffix(r"\Z")


@final
class Automaton:
    """Reads text character by character.

    Raises ``ConfigurationError`` for an expression that is wrong or too large, or has look-around, references or
    anchors.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._silent: list[list[int]] = []
        self._moves: list[tuple[Ranges, int] | None] = []
        self._kept: dict[tuple[States, str], States] = {}
        self._final = self._node()
        first = self._node()
        self._add(_parsed(pattern), first, self._final)
        self._distance = self._distances()
        self.start: States = self._reached([first])

    def after(self, states: States, text: str) -> States:
        """Return where the machine may be after ``text``."""
        for character in text:
            if not states:
                break
            found = self._kept.get((states, character))
            states = self._step(states, character) if found is None else found
        return states

    def is_end(self, states: States) -> bool:
        """Say whether the text so far is matched."""
        return self._final in states

    def matches(self, text: str) -> bool:
        """Say whether all of ``text`` is matched."""
        return self.is_end(self.after(self.start, text))

    def accepts_start(self, text: str) -> bool:
        """Say whether ``text`` is matched or something after it could make it so."""
        return bool(self.after(self.start, text))

    def completed(self, text: str) -> str | None:
        """Return the shortest matched text that begins with ``text``; of several the first by their characters.

        Printable characters come before others. ``None`` if there is none that adds at most 4000 characters.
        """
        states = self.after(self.start, text)
        if not states or min(self._distance[state] for state in states) > _LONGEST_END:
            return None
        return text + "".join(self._shortest(states))

    def _shortest(self, states: States) -> Iterator[str]:
        while (left := min(self._distance[state] for state in states)) > 0:
            moves = (self._moves[state] for state in states if self._distance[state] == left)
            character = min(
                (_first(move[0]) for move in moves if move), key=lambda one: (ord(one) not in _SEEN, one)
            )
            yield character
            states = self._step(states, character)

    def _step(self, states: States, character: str) -> States:
        code = ord(character)
        moves = (self._moves[state] for state in states)
        after = self._reached(move[1] for move in moves if move and _holds(move[0], code))
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[states, character] = after
        return after

    def _reached(self, nodes: Iterable[int]) -> States:
        """Return the nodes that read a character, and the end, of those reached without reading; no dead ones."""
        seen, todo = set[int](), list(nodes)
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo += self._silent[node]
        return frozenset(
            node for node in seen if node in self._distance and (self._moves[node] or node == self._final)
        )

    def _distances(self) -> dict[int, int]:
        """Return the fewest characters from each node to the end, for nodes from which there is a way."""
        before: dict[int, list[tuple[int, int]]] = {}
        for node, targets in enumerate(self._silent):
            for target in targets:
                before.setdefault(target, []).append((node, 0))
        for node, move in enumerate(self._moves):
            if move is not None and move[0]:
                before.setdefault(move[1], []).append((node, 1))
        distance: dict[int, int] = {}
        todo = [(0, self._final)]
        while todo:
            far, node = heapq.heappop(todo)
            if node in distance:
                continue
            distance[node] = far
            for earlier, step in before.get(node, ()):
                heapq.heappush(todo, (far + step, earlier))
        return distance

    # -- from the expression to nodes -----------------------------------------------------------------------

    def _node(self) -> int:
        if len(self._moves) >= _MOST_NODES:
            raise ConfigurationError(
                f"the pattern {self.pattern[:80]!r} is too large: what it repeats, counted out, has more than "
                f"{_MOST_NODES} places; give smaller counts or bounds"
            )
        self._silent.append([])
        self._moves.append(None)
        return len(self._moves) - 1

    def _add(self, parts: Iterable[tuple[Any, Any]], first: int, last: int) -> None:
        """Put what reads a sequence between two nodes."""
        here = first
        for operation, argument in parts:
            here = self._add_one(str(operation), argument, here)
        self._silent[here].append(last)

    def _add_one(self, operation: str, argument: Any, first: int) -> int:
        last = self._node()
        match operation:
            case "BRANCH":
                for branch in argument[1]:
                    begin = self._node()
                    self._silent[first].append(begin)
                    self._add(branch, begin, last)
            case "SUBPATTERN" if not argument[1] and not argument[2]:
                self._add(argument[3], first, last)
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, repeated = argument
                self._repeat(repeated, (least, most), first, last)
            case _:
                self._moves[first_free := self._node()] = (self._ranges(operation, argument), last)
                self._silent[first].append(first_free)
        return last

    def _repeat(
        self, parts: Sequence[tuple[Any, Any]], times: tuple[int, Any], first: int, last: int
    ) -> None:
        least, most = times
        endless = str(most) == "MAXREPEAT"
        here = first
        for _ in range(least):
            here = self._once(parts, here)
        if endless:
            loop = self._node()
            self._silent[here].append(loop)
            self._silent[loop].append(last)
            self._silent[self._once(parts, loop)].append(loop)
            return
        for _ in range(int(most) - least):
            self._silent[here].append(last)
            here = self._once(parts, here)
        self._silent[here].append(last)

    def _once(self, parts: Sequence[tuple[Any, Any]], first: int) -> int:
        last = self._node()
        begin = self._node()
        self._silent[first].append(begin)
        self._add(parts, begin, last)
        return last

    def _ranges(self, operation: str, argument: Any) -> Ranges:
        match operation:
            case "LITERAL":
                return ((argument, argument),)
            case "NOT_LITERAL":
                return _others(((argument, argument),))
            case "ANY":
                return _ANY
            case "IN":
                return self._listed(argument)
            case "RANGE":
                return (argument,)
            case "CATEGORY":
                kind, _, name = str(argument).removeprefix("CATEGORY_").rpartition("_")
                return _others(_CATEGORIES[name]) if kind == "NOT" else _CATEGORIES[name]
            case _:
                raise ConfigurationError(
                    f"the pattern {self.pattern[:80]!r} has {operation.lower().replace('_', ' ')}, to which no "
                    "answer can be held; use no look-around, references, flags or inner anchors"
                )

    def _listed(self, items: Sequence[tuple[Any, Any]]) -> Ranges:
        negated = str(items[0][0]) == "NEGATE"
        found = [one for name, item in items[negated:] for one in self._ranges(str(name), item)]
        joined = _joined(found)
        return _others(joined) if negated else joined


@functools.lru_cache(maxsize=64)
def automaton(pattern: str) -> Automaton:
    """Return the machine of a pattern, made once."""
    return Automaton(pattern)


def _parsed(pattern: str) -> Sequence[tuple[Any, Any]]:
    if len(pattern) > _LONGEST:
        raise ConfigurationError(
            f"the pattern {pattern[:80]!r} has {len(pattern)} characters; give a smaller type"
        )
    parser: Any = importlib.import_module("re._parser")  # the same in every Python since 3.11; a test looks
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of sets that other libraries read in another way
            parsed: Sequence[tuple[Any, Any]] = parser.parse(pattern)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise ConfigurationError(f"the pattern {pattern[:80]!r} is wrong: {error}") from None
    return parsed


def _joined(ranges: Sequence[tuple[int, int]]) -> Ranges:
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def _others(ranges: Ranges) -> Ranges:
    edges = [-1, *(edge for one in ranges for edge in one), _LAST + 1]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return tuple((low + 1, high - 1) for low, high in gaps if low + 1 < high)


def _holds(ranges: Ranges, code: int) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _first(ranges: Ranges) -> str:
    """Return the first printable character, else the first of all."""
    seen = [max(low, _SEEN.start) for low, high in ranges if low < _SEEN.stop and high >= _SEEN.start]
    return chr(min(seen) if seen else ranges[0][0])
