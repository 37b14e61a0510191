"""From the tokens of an answer to its elements: brackets matched, fractions, roots and scripts with their arguments.

There is no recursion: a stack of open brackets is reduced from the inside out, so depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from thinkctl.answers.arguments import bind
from thinkctl.answers.nodes import Node
from thinkctl.answers.numerals import literal_value, spelling
from thinkctl.answers.tokens import Token
from thinkctl.answers.values import spell, value_of

__all__ = ["elements"]

# (3,4] is an interval, so round and square brackets close each other.
_CLOSED_BY = {"(": (")", "]"), "[": (")", "]"), "{": ("}",), r"\{": (r"\}",), r"\langle": (r"\rangle",)}


@final
@dataclass(slots=True)
class _Bracket:
    """An open bracket, or the whole answer (``opener`` is empty), while it is being filled."""

    opener: str
    spaced: bool = False
    is_argument: bool = False
    nodes: list[Node] = field(default_factory=list[Node])
    done: list[tuple[Node, ...]] = field(default_factory=list[tuple[Node, ...]])
    separators: list[str] = field(default_factory=list[str])

    def separate(self, separator: str) -> None:
        self.done.append(bind(self.nodes))
        self.separators.append(separator)
        self.nodes = []

    def elements(self) -> list[tuple[Node, ...]]:
        return [*self.done, bind(self.nodes)]

    def loose(self) -> list[Node]:
        """Give the content of a bracket that was never closed, led by the bracket itself."""
        nodes = [Node("symbol", self.opener, spaced=self.spaced)]
        for element, separator in zip(self.done, self.separators, strict=True):
            nodes += [*element, Node("symbol", separator)]
        return nodes + self.nodes


def elements(tokens: Iterable[Token]) -> list[tuple[Node, ...]]:
    """Give the elements that top-level commas separate; nearly always one."""
    stack = [_Bracket("")]
    for token in tokens:
        top = stack[-1]
        if token.kind == "open":
            stack.append(_Bracket(token.text, token.spaced, _is_argument(top.nodes)))
        elif token.kind == "close" and _closes(top, token.text):
            stack.pop()
            stack[-1].nodes.append(_closed(top, token.text))
        elif token.kind == "separator" and _separates(top, token.text):
            top.separate(token.text)
        elif token.text != r"\\":  # outside a matrix only a line break
            top.nodes.append(_leaf(token))
    for unclosed in stack[1:]:
        stack[0].nodes += unclosed.loose()
    return stack[0].elements()


def _is_argument(before: Sequence[Node]) -> bool:
    """Say whether braces that open now belong to a command or script: ``x_{1,2}`` holds no set."""
    return bool(before) and (before[-1].kind in {"command", "braces"} or before[-1].text in {"^", "_"})


def _closes(bracket: _Bracket, closer: str) -> bool:
    return closer in _CLOSED_BY.get(bracket.opener, (bracket.opener,))


def _separates(bracket: _Bracket, separator: str) -> bool:
    return separator == "," or bracket.opener.startswith(r"\begin")


def _leaf(token: Token) -> Node:
    if token.kind == "number":
        value, text = literal_value(token.text), spelling(token.text)
        return Node("number", text, value, token.spaced, raw=token.text)
    if token.kind == "word" or token.kind == "command":
        return Node(token.kind, token.text, spaced=token.spaced)
    return Node("symbol", token.text, spaced=token.spaced)


def _closed(bracket: _Bracket, closer: str) -> Node:
    parts = bracket.elements()
    if bracket.opener.startswith(r"\begin"):
        return Node("group", _matrix(bracket, parts), spaced=bracket.spaced)
    if bracket.opener == r"\{" or (bracket.opener == "{" and len(parts) > 1 and not bracket.is_argument):
        return _set(parts, bracket)
    if bracket.opener == "{":
        return _braces(parts, bracket)
    if (bracket.opener, closer) == ("(", ")") and len(parts) == 1:
        return _parenthesised(parts[0], bracket)
    inner = ", ".join(map(spell, parts))
    return Node("group", f"{bracket.opener}{inner}{closer}", spaced=bracket.spaced)


def _braces(parts: Sequence[tuple[Node, ...]], bracket: _Bracket) -> Node:
    if len(parts) == 1:
        return Node("braces", spell(parts[0]), value_of(parts[0]), bracket.spaced, parts=parts[0])
    comma = Node("symbol", ",")
    flat = [node for part in parts for node in (*part, comma)][:-1]
    return Node("braces", ", ".join(map(spell, parts)), spaced=bracket.spaced, parts=tuple(flat))


def _parenthesised(part: tuple[Node, ...], bracket: _Bracket) -> Node:
    """Make ``((x))`` and ``(x)`` the same bracket around one element."""
    if len(part) == 1 and part[0].kind == "group" and part[0].parts:
        return replace(part[0], spaced=bracket.spaced)
    return Node("group", f"({spell(part)})", value_of(part), bracket.spaced, parts=part)


def _set(parts: Sequence[tuple[Node, ...]], bracket: _Bracket) -> Node:
    """Order the members of a set and drop repeated ones: a set has neither order nor repetition."""
    members = sorted(set(map(spell, parts)))
    return Node("group", f"\\{{{', '.join(members)}\\}}", spaced=bracket.spaced)


def _matrix(bracket: _Bracket, parts: Sequence[tuple[Node, ...]]) -> str:
    cells = "".join(spell(part) + mark for part, mark in zip(parts, [*bracket.separators, ""], strict=True))
    return bracket.opener + cells + bracket.opener.replace("begin", "end", 1)
