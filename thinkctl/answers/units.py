"""Which words after a number are only its unit, and which change what it says."""

from __future__ import annotations

from collections.abc import Sequence

from thinkctl.answers.nodes import Node

__all__ = ["begins_unit", "unit_factor"]

_SHORT_UNITS = """
mm cm dm km um nm in ft yd mi mg kg oz lb lbs ml mL cl ms ns hr hrs min Hz kW MW kJ Pa kPa mA cc sq
"""
_CHANGING_WORDS = """
and or to if not but plus minus times over mod modulo divided by squared cubed factorial base remainder choose
less fewer more greater below above under least most negative loss hundred dozen pair pairs
half halves third thirds quarter quarters fourths fifths tenths hundredths
am pm noon midnight ad bc ce bce ago later before after north south east west clockwise counterclockwise
sin cos tan cot sec csc log exp sqrt max gcd lcm pi
"""
_ORDINALS = frozenset({"st", "nd", "rd", "th"})
_RAISED_ORDINALS = frozenset(f"^{{{ending}}}" for ending in _ORDINALS)
_SHORT = frozenset(_SHORT_UNITS.split()) | _ORDINALS
_CHANGES_VALUE = frozenset(_CHANGING_WORDS.split())
_LETTERS = frozenset("mgshLlAVWNJKCFT")
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_MOST_WORDS = 4
_ONLY_SIGNS = frozenset({"%", "\u00b0", "/", ".", "-", "*"})


def begins_unit(node: Node) -> bool:
    """Say whether a unit may begin here: a word, a percent or degree sign, the ending of an ordinal."""
    return node.kind in {"word", "unit"} or node.text in {"%", "\u00b0"} or node.text in _RAISED_ORDINALS


def unit_factor(nodes: Sequence[Node]) -> int | None:
    r"""Give the factor by which a unit multiplies the number before it; ``None`` if ``nodes`` are more than a unit.

    The factor is 1 except for ``thousand`` to ``trillion``. At most four words count as a unit, none of which may
    change the value (``5 less``, ``5 pm``, ``5 km north``). ``3x`` and ``3ab`` are products: outside ``\text{}`` a
    unit has a blank before it and three letters, or is a known short one; inside, ``3\mathrm{i}`` is no unit.

    Units are dropped and never converted: a question asks in one unit, and models that name it and models that do
    not mean the same. Percent is such a unit: on word problems ``50%`` and ``50`` are one answer, while ``50%``
    and ``0.5`` stay apart, which can split a vote but joins nothing.
    """
    words = [node for node in nodes if node.kind in {"word", "unit"}]
    if len(words) > _MOST_WORDS or not all(map(_belongs, nodes)):
        return None
    if any(word.text.lower() in _CHANGES_VALUE for word in words):
        return None
    first = nodes[0]
    if first.kind == "word" and not (first.text in _SHORT or (first.spaced and len(first.text) > 2)):
        return None
    if first.kind == "unit" and len(first.text) == 1 and first.text not in _LETTERS:
        return None
    return _SCALES.get(first.text.lower(), 1)


def _belongs(node: Node) -> bool:
    return (
        node.kind in {"word", "unit"}
        or node.text in _ONLY_SIGNS
        or node.text in _RAISED_ORDINALS
        or (node.kind == "power" and node.text in {"^{2}", "^{3}"})
    )
