"""One character for each meaning, before anything is parsed.

Only changes that cannot alter a value are made. ``unicodedata.normalize("NFKC")`` is not used on the whole
text, since it turns ``10²`` into ``102``.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["bare", "collapse", "plain"]

_ONE_FOR_ANOTHER = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63", "-"),  # hyphens, figure and en dash, minus sign
    **dict.fromkeys("\u2018\u2019\u02bc\u2032", "'"),
    **dict.fromkeys("\u201c\u201d\u2033", '"'),
    **dict.fromkeys("\u2044\u2215\u00f7", "/"),  # fraction slash, division slash, division sign
    **dict.fromkeys("\u00d7\u00b7\u22c5\u2217", "*"),
    "\u066b": ".",  # Arabic decimal separator
    "\u066c": ",",  # Arabic thousands separator
    "\u3001": ",",
    "\u3002": ".",
    "\u2026": "...",
    "\u03c0": r"\pi ",
    "\u221e": r"\infty ",
    "\u221a": r"\sqrt ",
    "\u00b1": r"\pm ",
    "\u2264": r"\leq ",
    "\u2265": r"\geq ",
    "\u2260": r"\neq ",
    "\u2248": r"\approx ",
    "\u2208": r"\in ",
    "\u222a": r"\cup ",
    "\u2229": r"\cap ",
}
_SUPERSCRIPT = "\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u207b"
_SUBSCRIPT = "\u2080-\u2089"
_FOREIGN = re.compile(f"(?P<up>[{_SUPERSCRIPT}]+)|(?P<down>[{_SUBSCRIPT}]+)|[^\x00-\x7f]")
_FULLWIDTH = range(0xFF01, 0xFF5F)
_FULLWIDTH_OFFSET = 0xFEE0
_WRAPPERS = ("**", "__", "`", '"', "'")


def plain(text: str) -> str:
    r"""Give ``text`` in ASCII where a character has an ASCII or LaTeX spelling of the same meaning.

    Digits of every script and full-width characters become ASCII, every kind of minus ``-``, every space a
    blank, ``½`` becomes ``\frac{1}{2}``, ``x²`` becomes ``x^{2}``, ``π`` becomes ``\pi``. Invisible format
    characters go. Everything else stays, lone surrogates too.
    """
    return text if text.isascii() else _FOREIGN.sub(_spelling, text)


def _spelling(match: re.Match[str]) -> str:
    found = match.group()
    if match.lastgroup:
        mark = "^" if match.lastgroup == "up" else "_"
        return f"{mark}{{{unicodedata.normalize('NFKC', found).replace(chr(0x2212), '-')}}}"
    if found in _ONE_FOR_ANOTHER:
        return _ONE_FOR_ANOTHER[found]
    if (digit := unicodedata.decimal(found, None)) is not None:
        return str(digit)
    if ord(found) in _FULLWIDTH:
        return chr(ord(found) - _FULLWIDTH_OFFSET)
    if found.isspace():
        return " "
    if unicodedata.category(found) == "Cf":
        return ""
    return _vulgar_fraction(found)


def _vulgar_fraction(found: str) -> str:
    if not unicodedata.decomposition(found).startswith("<fraction>"):
        return found
    top, _, bottom = unicodedata.normalize("NFKC", found).partition("\u2044")
    return f"\\frac{{{top}}}{{{bottom}}}" if top and bottom else found


def collapse(text: str) -> str:
    """Give ``text`` without outer whitespace and with one blank for every inner run of it."""
    return " ".join(text.split())


def bare(text: str) -> str:
    """Give ``text`` without what surrounds an answer in prose: blanks, ``**`` and quotes in pairs, an end mark.

    One final ``.``, ``,`` or ``;`` goes, but ``0.333...`` keeps its dots, since it is not ``0.333``.
    """
    before = None
    while text != before:
        before = text
        text = text.strip()
        if text.endswith((",", ";", ".")) and not text.endswith(".."):
            text = text[:-1]
        for mark in _WRAPPERS:
            if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
                text = text[len(mark) : -len(mark)]
                break
    return text
