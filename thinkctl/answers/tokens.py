"""Cut a short mathematical answer, plain or LaTeX, into tokens without spacing, sizing or dollar signs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, final

from thinkctl.answers.numerals import literal_at

__all__ = ["WORDS_IN_BRACES", "Kind", "Token", "tokens"]

Kind = Literal["number", "word", "command", "symbol", "open", "close", "separator"]


@final
@dataclass(frozen=True, slots=True)
class Token:
    """One piece of an answer; ``spaced`` says that a blank stood before it."""

    kind: Kind
    text: str
    spaced: bool


_LOOKS = """
text textbf textit textrm textsf texttt textnormal mbox hbox emph underline mathrm mathbf mathit mathsf boldsymbol
operatorname boxed fbox
"""
WORDS_IN_BRACES = frozenset(f"\\{name}" for name in _LOOKS.split())
r"""Commands that only change the looks of the braces after them (``\mathbb`` and ``\mathcal`` change the meaning).
"""

_NOISE = """
quad qquad thinspace displaystyle textstyle limits left right middle rm bf it euro pounds
big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr
"""
_SCAN = re.compile(
    r"(?P<noise>(?:[\s~$\u20ac\u00a3\u00a5\u20b9]|\\[\s,;:!$()\[\]/-]|"
    rf"\\(?:{'|'.join(_NOISE.split())})(?![A-Za-z])(?:\.(?![0-9]))?)+)"
    r"|(?P<begin>\\begin ?\{[A-Za-z]+\*?\})"
    r"|(?P<end>\\end ?\{[A-Za-z]+\*?\})"
    r"|(?P<command>\\[A-Za-z]+)"
    r"|(?P<escape>\\[\s\S])"
    r"|(?P<whole>[0-9]+(?::[0-9]+)+|[0-9]+(?:\.[0-9]+){2,})"  # 4:30, 3:4 and 1.2.3 are neither numbers nor lists
    r"|(?P<number>(?=\.?[0-9]))"
    r"|(?P<word>[^\W\d_]+)"
    r"|(?P<symbol>[\s\S])"
)
_THOUSANDS = re.compile(
    r"(?<![0-9])[0-9]{1,3}(?:(?:\{,\}|,\\!)\s*[0-9]{2,3})*(?:\{,\}|,\\!)\s*[0-9]{3}(?![0-9])"
)
_GROUP_OF_ZEROS = re.compile(r"0[0-9]{2}")  # the end of (1,000): perhaps no zero, so it is not read as one
_LEADING_ZEROS = re.compile(r"^0+(?=[0-9])")
_NOT_A_DIGIT = re.compile(r"[^0-9]+")

_ALIASES = {
    **dict.fromkeys((r"\dfrac", r"\tfrac", r"\cfrac"), r"\frac"),
    r"\le": r"\leq",
    r"\ge": r"\geq",
    r"\ne": r"\neq",
    r"\infin": r"\infty",
}
_SYMBOLS = {
    **dict.fromkeys((r"\times", r"\cdot", r"\ast"), "*"),
    **dict.fromkeys((r"\mid", r"\vert", r"\lvert", r"\rvert"), "|"),
    r"\div": "/",
    r"\lt": "<",
    r"\gt": ">",
    r"\degree": "\u00b0",
    r"\colon": ":",
}
_OPENERS = {
    "(": "(",
    "[": "[",
    "{": "{",
    r"\{": r"\{",
    r"\lbrace": r"\{",
    r"\langle": r"\langle",
    r"\lbrack": "[",
}
_CLOSERS = {
    ")": ")",
    "]": "]",
    "}": "}",
    r"\}": r"\}",
    r"\rbrace": r"\}",
    r"\rangle": r"\rangle",
    r"\rbrack": "]",
}


def tokens(text: str) -> Iterator[Token]:
    r"""Yield the tokens of ``text``, which is expected to have gone through ``characters.plain``.

    Commas group thousands outside brackets only: inside ``( [ \{`` they separate. ``{,}`` and ``,\!`` are
    LaTeX's marks of a thousands comma and always group. Time and memory are linear.
    """
    text = _THOUSANDS.sub(lambda run: _NOT_A_DIGIT.sub("", run.group()), text).replace("{,}", ",")
    depth = position = 0
    spaced = False
    while found := _SCAN.match(text, position):
        position = found.end()
        if found.lastgroup == "noise":
            spaced = True
            continue
        token = _token(found, spaced=spaced)
        if token is None:  # a number; only its reader knows where it ends
            literal, position = literal_at(text, position, grouped=depth == 0)
            token = Token(
                "symbol" if depth and _GROUP_OF_ZEROS.fullmatch(literal) else "number", literal, spaced
            )
        elif token.text != "{" and token.text != "}":
            depth = max(0, depth + (token.kind == "open") - (token.kind == "close"))
        spaced = False
        yield token


def _token(found: re.Match[str], *, spaced: bool) -> Token | None:
    raw = found.group()
    match found.lastgroup:
        case "number":
            return None
        case "word":
            return Token("word", raw, spaced)
        case "begin":
            return Token("open", raw.replace(" ", ""), spaced)
        case "end":
            return Token("close", raw.replace(" ", "").replace("end", "begin", 1), spaced)
        case "whole":
            return Token("symbol", _LEADING_ZEROS.sub("", raw), spaced)
        case _:
            return _symbol(_ALIASES.get(raw, raw), spaced=spaced)


def _symbol(raw: str, *, spaced: bool) -> Token:
    if raw in _OPENERS:
        return Token("open", _OPENERS[raw], spaced)
    if raw in _CLOSERS:
        return Token("close", _CLOSERS[raw], spaced)
    if raw in {",", "&", r"\\"}:
        return Token("separator", raw, spaced)
    if raw in _SYMBOLS:
        return Token("symbol", _SYMBOLS[raw], spaced)
    if raw.startswith("\\") and raw[1:].isalpha():
        return Token("command", raw, spaced)
    return Token("symbol", raw[1:] if raw in {r"\%", r"\|", r"\."} else raw, spaced)
