"""The exact value of one element of an answer, as far as cheap rules can tell."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from thinkctl.answers.nodes import Node, write
from thinkctl.answers.numerals import MAX_DIGITS, fits, show
from thinkctl.answers.units import begins_unit, unit_factor

__all__ = ["spell", "value_of"]


def spell(nodes: Sequence[Node]) -> str:
    """Give the key of one element: its value in lowest terms if it has one, else its canonical writing."""
    value = value_of(nodes)
    if value is not None:
        return show(value)
    return write(nodes[1:] if len(nodes) > 1 and nodes[0].text == "+" else nodes)


def value_of(nodes: Sequence[Node]) -> Fraction | None:
    """Give the value of a number, fraction, mixed number or power of ten, with or without sign and unit.

    Arithmetic is not evaluated: ``(6-4)*12`` stays an expression, since in a game of 24 two expressions of
    one value are two answers.
    """
    negative = bool(nodes) and nodes[0].text == "-"
    unsigned = nodes[1:] if negative or (nodes and nodes[0].text == "+") else nodes
    value = _magnitude(unsigned)
    if value is None:
        value = _measured(unsigned)
    if value is None or not fits(value):
        return None
    return -value if negative else value


def _measured(nodes: Sequence[Node]) -> Fraction | None:
    """Give the value of a number that a unit follows."""
    start = next((place for place, node in enumerate(nodes) if place and begins_unit(node)), 0)
    value = _magnitude(nodes[:start]) if start else None
    factor = None if value is None else unit_factor(nodes[start:])
    return None if value is None or factor is None else value * factor


def _magnitude(nodes: Sequence[Node]) -> Fraction | None:
    match nodes:
        case [Node(kind="number" | "fraction" | "group") as only]:
            return only.value
        case [Node(kind="number") as whole, Node(kind="fraction") as part]:
            return _mixed(whole.value, part.value)
        case [top, Node(text="/"), bottom]:
            return _quotient(top, bottom)
        case [Node(kind="number") as whole, Node(kind="number") as top, Node(text="/"), bottom]:
            return _mixed(whole.value, _quotient(top, bottom))
        case [Node(raw="10"), Node(kind="power") as power]:
            return _scientific(Fraction(1), power.value)
        case [Node(kind="number") as mantissa, Node(text="*"), Node(raw="10"), Node(kind="power") as power]:
            return _scientific(mantissa.value, power.value)
        case _:
            return None


def _quotient(top: Node, bottom: Node) -> Fraction | None:
    operands = {"number", "fraction", "group"}
    if top.kind not in operands or bottom.kind not in operands or top.value is None or not bottom.value:
        return None
    return top.value / bottom.value


def _mixed(whole: Fraction | None, part: Fraction | None) -> Fraction | None:
    """Add the parts of ``1 1/2``. An improper second part would be a product: no value."""
    if whole is None or part is None or whole.denominator != 1 or not 0 < part < 1:
        return None
    return whole + part


def _scientific(mantissa: Fraction | None, power: Fraction | None) -> Fraction | None:
    if mantissa is None or power is None or power.denominator != 1 or abs(power) > MAX_DIGITS:
        return None
    return mantissa * Fraction(10) ** int(power)
