"""Public tests out of the examples in a function's docstring. Text is parsed as data; nothing is run."""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

__all__ = ["docstring_tests"]

_LONGEST_PROMPT: Final = 100_000
_LONGEST_CALL: Final = 2_000
_MOST: Final = 32
_MOST_CALLS: Final = 200
_GIVES: Final = re.compile(
    r"""[ \t]*(?:\#[ \t]*)?
    (?: ={1,3}> | [-=]+> | \u279e | \u2192 | \u21d2 | ===? | = | : | (?:should[ ]+(?:return|be|give)|must[ ]+return)s? |
        returns? | gives? | evaluates[ ]to | is(?=[ ]) )
    [ \t:]*""",
    re.VERBOSE | re.IGNORECASE,
)
_PROMPT: Final = re.compile(r"^[ \t]*>>>[ \t]?(.*)$")
_MORE: Final = re.compile(r"^[ \t]*\.\.\.(?:[ \t](.*))?$")
_FOR: Final = re.compile(
    r"\bfor[ ]+(?P<given>[^\n]{1,500}?)[ ,]+(?:the[ ]+)?(?:output|result|answer|function)[ ]+"
    r"(?:should[ ]+(?:be|return)|is|would[ ]+be|returns?|will[ ]+be)[ ]+",
    re.IGNORECASE,
)
_INPUT: Final = re.compile(
    r"\binputs?[ \t]*:[ \t]*(?P<given>.{1,800}?)\boutputs?[ \t]*:[ \t]*(?:\n[ \t]*)?",
    re.IGNORECASE | re.DOTALL,
)
_SUM: Final = re.compile(r"^[\d.\s()*/%+-]+=[ \t]*(?=[^=])")
_AFTER: Final = re.compile(
    r"[ \t]*(?:[.;,][ \t]*)?(?:(?:\#|\(|//|because\b|since\b|as\b)[^\n]*)?[ \t]*(?:\n|$)"
)
_WORDS: Final = {"true": True, "false": False, "none": None, "null": None}
_NOTHING: Final = object()


def docstring_tests(prompt: str, entry_point: str) -> tuple[str, ...]:
    """Return the examples for ``entry_point`` in a prompt as ``assert`` statements, in their order, each once.

    ``prompt`` is the source of a function without a body but with a docstring, or any text. Understood are
    ``>>> f(x)`` with the result on the next line, ``f(x) == y`` and the same with ``=>``, ``->``, an arrow, ``=``,
    "returns y" or "should return y", ``Input: x`` with ``Output: y``, and "for a = x the output should be y". Only
    examples whose arguments and result are literals count, besides after ``>>>``; examples that contradict each other
    are left out, as is what cannot be read. Never raises for any text.

    Source: the examples of HumanEval's prompts as public tests, Chen et al. 2021 (arXiv:2107.03374), section 2.2.
    """
    if not entry_point.isidentifier() or len(prompt) > _LONGEST_PROMPT:
        return ()
    text, names = _docstring(prompt, entry_point)
    found: dict[str, set[str]] = {}
    for call, result in [
        *_prompted(text, entry_point),
        *_called(text, entry_point),
        *_told(text, entry_point, names),
    ]:
        found.setdefault(call, set()).add(result)
    return tuple(_assertion(call, *results) for call, results in found.items() if len(results) == 1)[:_MOST]


def _assertion(call: str, result: str) -> str:
    *before, last = call.split("\x00")
    is_constant = result in ("None", "True", "False")
    return "\n".join(
        [*before, f"assert {last} {'is' if is_constant and result == 'None' else '=='} {result}"]
    )


def _parsed(text: str, mode: str = "exec") -> Any:
    """Return the tree of a text, or ``None``. The parser's own limits are errors too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, mode=mode)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _docstring(prompt: str, entry_point: str) -> tuple[str, tuple[str, ...]]:
    """Return the docstring of a function and the names of its parameters; else the whole text."""
    for candidate in (prompt, prompt.rstrip() + "\n    pass\n"):
        tree = _parsed(candidate)
        if tree is None:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry_point:
                names = tuple(place.arg for place in (*node.args.posonlyargs, *node.args.args))
                docstring = ast.get_docstring(node, clean=False)
                return textwrap.dedent(docstring) if docstring else prompt, names
    return prompt, ()


def _prompted(text: str, entry_point: str) -> Iterator[tuple[str, str]]:
    """Examples as an interpreter shows them; the statements before a call belong to it."""
    lines = text.splitlines()
    before: list[str] = []
    at = 0
    while at < len(lines):
        first = _PROMPT.match(lines[at])
        at += 1
        if first is None:
            continue
        source = [first[1]]
        while at < len(lines) and (more := _MORE.match(lines[at])):
            source.append(more[1] or "")
            at += 1
        start = at
        while at < len(lines) and lines[at].strip() and not _PROMPT.match(lines[at]):
            at += 1
        tree = _parsed("\n".join(source))
        if tree is None or len(tree.body) != 1:
            continue
        statement = tree.body[0]
        if not isinstance(statement, ast.Expr):
            before.append(ast.unparse(statement))
            continue
        left, value = statement.value, _longest_literal("\n".join(lines[start:at]))
        match left:
            case ast.Compare(left=call, ops=[ast.Eq()], comparators=[result]) if at == start:
                left, value = call, _literal(result)
            case _:
                pass
        if value is not _NOTHING and _mentions(left, entry_point):
            yield "\x00".join([*before, ast.unparse(left)]), repr(value)


def _mentions(tree: ast.AST, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))


def _called(text: str, entry_point: str) -> Iterator[tuple[str, str]]:
    """Calls with literal arguments, and after an arrow or a word for it a literal result.

    One equals sign may also define a function step by step: it counts from the last word "example" on only.
    """
    examples = [found.start() for found in re.finditer(r"\bexamples?\b", text, re.IGNORECASE)]
    starts = re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\(", text)
    for start in itertools.islice(starts, _MOST_CALLS):
        line = text.rfind("\n", 0, start.start()) + 1
        if ">>>" in text[line : start.start()]:
            continue
        end = _end_of_call(text, start.start())
        call = _parsed(text[start.start() : end].replace("\n", " "), "eval") if end else None
        gives = _GIVES.match(text, end) if end else None
        if call is None or gives is None or not _has_literal_arguments(call.body):
            continue
        if gives[0].strip() == "=" and examples and start.start() < examples[-1]:
            continue
        value = _literal_at(text, gives.end())
        if value is not _NOTHING:
            yield ast.unparse(call), repr(value)


def _end_of_call(text: str, start: int) -> int:
    """Return where a call ends; 0 if it does not. Brackets in quotes are no brackets."""
    depth, quote, at = 0, "", start
    while at < min(len(text), start + _LONGEST_CALL):
        sign = text[at]
        if quote:
            at += sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return 0


def _has_literal_arguments(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    values = [*node.args, *(word.value for word in node.keywords)]
    return all(_literal(value) is not _NOTHING for value in values)


def _literal(what: ast.expr | str) -> Any:
    """Return the value of a literal, or ``_NOTHING``."""
    if isinstance(what, str) and what.strip().lower() in _WORDS:
        return _WORDS[what.strip().lower()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(what.strip() if isinstance(what, str) else what)
        return value if ast.literal_eval(repr(value)) == value else _NOTHING
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return _NOTHING


def _longest_literal(text: str) -> Any:
    """Return the literal that a text begins with, by whole lines."""
    lines = text.splitlines()
    for count in range(len(lines), 0, -1):
        value = _literal("\n".join(lines[:count]))
        if value is not _NOTHING:
            return value
    return _literal(lines[0].partition("#")[0]) if lines else _NOTHING


def _literal_at(text: str, start: int) -> object:
    """Return the literal that stands here and is all that is said: what follows is the end of the line or a comment."""
    if sum_of := _SUM.match(text[start : start + 200].partition("\n")[0]):
        start += sum_of.end()
    end = _end_of_literal(text, start)
    value = cast("object", _literal(" ".join(text[start:end].split("\n")))) if end > start else _NOTHING
    # whether a tuple of one was meant cannot be told
    ambiguous = text[start:end].startswith("(") and not repr(value).startswith("(")
    return _NOTHING if ambiguous or not _AFTER.match(text, end) else value


def _end_of_literal(text: str, start: int) -> int:
    """Return where a bracket, a quoted text, a number or a word that begins here ends."""
    sign = text[start : start + 1]
    if sign and sign in "([{":
        return _end_of_call(text, start)
    if sign and sign in "'\"":
        found = re.compile(rf"{sign}(?:[^\\\n{sign}]|\\.)*{sign}").match(text, start)
    else:
        found = re.compile(r"[-+]?\d[\w.+]*(?<!\.)|[A-Za-z]+").match(text, start)
    return found.end() if found else start


def _told(text: str, entry_point: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Arguments that are told without a call: ``Input: ... Output: ...`` and "for a = x the output should be y"."""
    for pattern in (_INPUT, _FOR):
        for found in pattern.finditer(text):
            value = _literal_at(text, found.end())
            told = found["given"].split(",")
            tried = (_arguments(",".join(told[:count]), names) for count in range(len(told), 0, -1))
            arguments = next((arguments for arguments in tried if arguments is not None), None)
            if value is not _NOTHING and arguments is not None:
                yield f"{entry_point}({', '.join(arguments)})", repr(value)


def _arguments(given: str, names: Sequence[str]) -> list[str] | None:
    """Return the arguments in order, if there is one for each parameter; their names may differ."""
    given = given.strip().rstrip(",")
    if len(names) == 1 and (value := _literal(given)) is not _NOTHING:
        return [repr(value)]
    equations = ", ".join(
        re.sub(r"^\s*(\w+)\s*:", r"\1 =", line.strip().rstrip(","))
        for line in given.splitlines()
        if line.strip()
    )
    call = _parsed(f"f({equations})", "eval")
    if call is None or not isinstance(call.body, ast.Call) or call.body.args:
        return None
    values = {word.arg: _literal(word.value) for word in call.body.keywords}
    elsewhere = any(name in names and name != there for name, there in zip(values, names, strict=False))
    if len(values) != len(names) or elsewhere or any(value is _NOTHING for value in values.values()):
        return None
    return [repr(value) for value in values.values()]
