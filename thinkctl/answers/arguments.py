r"""Give commands and scripts their arguments: ``\frac12``, ``\sqrt{2}``, ``x^2``, ``4_5``, ``12\text{ cm}``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from thinkctl.answers.nodes import Node
from thinkctl.answers.numerals import literal_value, spelling
from thinkctl.answers.tokens import WORDS_IN_BRACES
from thinkctl.answers.values import spell, value_of

__all__ = ["bind"]

_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?: [0-9]{3})*")
_THREE_DIGITS = re.compile(r"[0-9]{3}(?:\.[0-9]+)?")
_DEGREE = "\u00b0"


def bind(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Give the nodes of one element with every fraction, root, script and text command reduced to one node."""
    todo = list(reversed(nodes))
    done: list[Node] = []
    while todo:
        node = todo.pop()
        if node.text == r"\frac":
            done.append(_fraction(node, todo))
        elif node.text == r"\sqrt":
            done.append(_root(node, todo))
        elif node.text in {"^", "_"} and todo:
            done.append(_script(node, todo))
        elif node.text in WORDS_IN_BRACES:
            done += _words(todo)
        elif node.kind == "braces":
            done += _bare_braces(node, done)
        else:
            _append(node, done, todo)
    return tuple(done)


def _append(node: Node, done: list[Node], todo: Sequence[Node]) -> None:
    """Append ``node``, joining ``12 345 678`` to one number, but not ``1 101/102``, which is a mixed number."""
    last = done[-1] if done else None
    if (
        last is None
        or (todo and todo[-1].text == "/")
        or (last.kind, node.kind, node.spaced) != ("number", "number", True)
        or not _THOUSANDS.fullmatch(last.raw)
        or not _THREE_DIGITS.fullmatch(node.raw)
    ):
        done.append(node)
        return
    raw = f"{last.raw} {node.raw}"
    digits = raw.replace(" ", "")
    done[-1] = Node("number", spelling(digits), literal_value(digits), last.spaced, raw)


def _bare_braces(node: Node, done: Sequence[Node]) -> tuple[Node, ...]:
    """Keep the braces of an unknown command's argument; drop braces that only group."""
    if done and done[-1].kind in {"command", "argument"}:
        return (Node("argument", f"{{{node.text}}}"),)
    return node.parts


def _words(todo: list[Node]) -> tuple[Node, ...]:
    if not todo or todo[-1].kind != "braces":
        return ()
    braces = todo.pop()
    return tuple(replace(part, kind="unit") if part.kind == "word" else part for part in braces.parts)


def _fraction(node: Node, todo: list[Node]) -> Node:
    top = _digit_or_argument(todo)
    bottom = _digit_or_argument(todo)
    if top is None or bottom is None:
        return replace(node, text=node.text + (f"{{{top.text}}}" if top else ""))
    value = top.value / bottom.value if top.value is not None and bottom.value else None
    return Node("fraction", f"\\frac{{{top.text}}}{{{bottom.text}}}", value, node.spaced)


def _digit_or_argument(todo: list[Node]) -> Node | None:
    r"""Take one argument as LaTeX does: braces, or a single digit of a number (``\frac12`` is one half)."""
    if todo and len(todo[-1].raw) > 1 and todo[-1].raw.isdigit():
        number = todo.pop()
        rest = number.raw[1:]
        todo.append(Node("number", spelling(rest), literal_value(rest), raw=rest))
        return _argument([Node("number", number.raw[0], Fraction(int(number.raw[0])), raw=number.raw[0])])
    return _argument(todo)


def _argument(todo: list[Node]) -> Node | None:
    """Take one argument: braces, a whole number (``x^10`` is meant as ``x^{10}``), or any other single node."""
    if not todo:
        return None
    node = todo.pop()
    if node.text in {"-", "+"} and todo and todo[-1].kind == "number":
        signed = (node, todo.pop())
        return Node("argument", spell(signed), value_of(signed))
    if node.kind == "braces" or (node.kind == "group" and node.parts):
        return Node("argument", spell(node.parts), node.value)
    return Node("argument", spell((node,)), node.value)


def _root(node: Node, todo: list[Node]) -> Node:
    degree = todo.pop().text if todo and todo[-1].kind == "group" and todo[-1].text.startswith("[") else ""
    radicand = _argument(todo)
    if radicand is None:
        return replace(node, text=node.text + degree)
    return Node("root", f"\\sqrt{degree}{{{radicand.text}}}", spaced=node.spaced)


def _script(node: Node, todo: list[Node]) -> Node:
    argument = _argument(todo)
    text = argument.text if argument else ""
    if node.text == "^" and text == r"\circ":
        return Node("symbol", _DEGREE)
    return Node(
        "power" if node.text == "^" else "index",
        f"{node.text}{{{text}}}",
        argument.value if argument else None,
    )
