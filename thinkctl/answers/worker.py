r"""The process in which a computer algebra system reads what a model wrote. Started by ``pool``, ended by force.

One line of JSON comes in for each question and one goes out. The process limits its own memory, and its own time
should nobody be left to end it.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
from functools import partial
from itertools import pairwise
from typing import Any, Final, final

from thinkctl.answers.shapes import compare, shape

__all__ = ["MEMORY_BYTES", "Algebra", "main"]

MEMORY_BYTES: Final = 2 * 1024**3
"""Address space that a worker may take, where the system can limit it."""

_LONGEST_REPLY = 2_000
_GRACE_SECONDS = 1.0  # the pool ends a late worker first; this is for a worker whose pool is gone
_DIGITS = 50
_AGREED = 30  # digits: what agrees less far is different; rounding costs far less than the others
_POINTS = (19, 5, -24, 47, -9)  # in thirteenths: not special for any function, on both sides of 0 and of 1
# What the reader takes for something else: relations that it drops, and an index on a number.
_UNREADABLE = re.compile(r"\\(?:pmod|bmod|mod|equiv|approx|cong|sim)(?![A-Za-z])|[0-9]_\{")
_PRIMES = re.compile(r"(?<=[A-Za-z])('{1,4})")
_MIXED = re.compile(r"(?<![0-9.])([0-9]{1,9})\\frac\{([0-9]{1,9})\}\{([0-9]{1,9})\}")
_NAME = re.compile(r"[A-Za-z](?:_.+)?")
_PRODUCT = re.compile(r"(?<=[0-9)])\(|(?<=\\pi)\(")
_MOST_SYMBOLS = 6
_NOT_SAMPLED = ("Integral", "Sum", "Product", "Limit", "Derivative")


@final
class Algebra:
    """Compares expressions by math-verify, and writes them canonically by sympy. Both are imported here."""

    def __init__(self) -> None:
        self._sympy: Any = importlib.import_module("sympy")
        self._verify: Any = importlib.import_module("math_verify")
        latex: Any = importlib.import_module("latex2sympy2_extended")
        normalization = latex.NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
        )
        conversion = importlib.import_module("latex2sympy2_extended.latex2sympy2").ConversionConfig(
            lowercase_symbols=False
        )
        # The reader of math-verify, without its search for formulas in prose, and with the case of variables.
        self._read: Any = partial(
            latex.latex2sympy, is_real=True, normalization_config=normalization, conversion_config=conversion
        )
        relational: Any = importlib.import_module("sympy.core.relational")
        self._relational: Any = relational.Relational
        self._logic: Any = importlib.import_module("latex2sympy2_extended.logic").And

    def parsed(self, text: str) -> Any:
        """Give the expression that ``text`` writes, or ``None``. Variables are real, decimals are exact."""
        if _UNREADABLE.search(text):
            return None
        text = _MIXED.sub(_as_sum, text)  # it takes 2½x for a product
        text = _PRODUCT.sub("*(", text)  # the reader takes 3(4) for 3 + 4, and π(4) for a function's value
        text = _PRIMES.sub(lambda found: f"_{{{'p' * len(found[1])}}}", text)  # it drops primes
        try:
            expression = self._read(text)
        except Exception:  # noqa: BLE001  it raises anything
            return None
        sympy = self._sympy
        if not isinstance(expression, sympy.Basic | sympy.MatrixBase):
            return None
        exact = {number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)}
        names = {symbol: sympy.Symbol(symbol.name, real=True) for symbol in expression.atoms(sympy.Symbol)}
        names |= {symbol: sympy.E for symbol in names if symbol.name == "e"}
        names |= {symbol: sympy.I for symbol in names if symbol.name in {"i", "\\imath"}}
        expression = expression.xreplace(exact | names) if exact or names else expression
        return expression.doit() if isinstance(expression, sympy.MatrixExpr) else expression

    def same(self, one: str, other: str) -> bool | None:
        """Say whether two expressions or relations are equal; ``None`` if one of them cannot be read.

        math-verify is asymmetric, so it is asked both ways, and one yes is enough: each way unfolds what the other
        leaves alone. Before that, both must be of one kind, and sample points decide what they can.
        """
        left, right = self.parsed(one), self.parsed(other)
        if left is None or right is None:
            return None
        if self._kind(left) != self._kind(right):
            return False
        sampled = self._sampled(left, right)
        if sampled is not None:
            return sampled
        if self._proportional(left, right):
            return True
        options = {
            "float_rounding": 12,
            "numeric_precision": _DIGITS,
            "timeout_seconds": None,
            "allow_set_relation_comp": True,
        }
        return bool(
            self._verify.verify(left, right, **options) or self._verify.verify(right, left, **options)
        )

    def _kind(self, expression: Any) -> str:
        sympy = self._sympy
        if isinstance(expression, self._relational | self._logic):
            return "equation" if isinstance(expression, sympy.Eq) else "region"
        if isinstance(expression, sympy.Set):
            return "region"
        if isinstance(expression, sympy.MatrixBase):
            return "matrix"
        return "tuple" if isinstance(expression, sympy.Tuple) else "expression"

    def _sampled(self, one: Any, other: Any) -> bool | None:
        """Compare two expressions at sample points, which spares the simplifier the work at which it hangs.

        They differ if they do so at one point. They are equal if they have variables and agree at every point; two
        constants that agree are left to algebra, since one may be a rounded decimal of the other.
        """
        sympy = self._sympy
        if not (isinstance(one, sympy.Expr) and isinstance(other, sympy.Expr)):
            return None
        symbols = sorted(one.free_symbols | other.free_symbols, key=str)
        slow = [getattr(sympy, name) for name in _NOT_SAMPLED]
        if len(symbols) > _MOST_SYMBOLS or one.has(*slow) or other.has(*slow):
            return None
        points = [
            {symbol: sympy.Rational(start + 7 * place, 13) for place, symbol in enumerate(symbols)}
            for start in (_POINTS if symbols else (0,))
        ]
        verdicts = [self._agree(one.subs(point), other.subs(point)) for point in points]
        if False in verdicts:
            return False
        return True if symbols and None not in verdicts else None

    def _agree(self, one: Any, other: Any) -> bool | None:
        try:
            left, right = (value.doit().evalf(_DIGITS) for value in (one, other))
            if not all(value.is_number and value.is_finite for value in (left, right)):
                return None
            gap, size = abs(left - right), max(abs(left), abs(right))
            return bool(gap <= size * self._sympy.Float(10) ** -_AGREED)
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            return None

    def _proportional(self, one: Any, other: Any) -> bool:
        """Say whether two equations are one up to a constant factor: ``y = 2x + 3`` and ``4x - 2y + 6 = 0``."""
        sympy = self._sympy
        if not (isinstance(one, sympy.Eq) and isinstance(other, sympy.Eq)):
            return False
        try:
            ratio = sympy.cancel((one.lhs - one.rhs) / (other.lhs - other.rhs))
        except (TypeError, ValueError, ArithmeticError, AttributeError, sympy.PolynomialError):
            return False
        return bool(ratio.is_number and ratio.is_finite and ratio.is_nonzero)

    def written(self, text: str) -> str | None:
        """Write an expression or equation as LaTeX, alike for many spellings; ``None`` if it has no such form."""
        sympy = self._sympy
        expression: Any = None if "'" in text else self.parsed(text)
        if isinstance(expression, sympy.Eq):
            return self._written_equation(expression)
        if not isinstance(expression, sympy.Expr):
            return None
        done = sympy.nsimplify(expression.doit(), rational=True)
        simple = sympy.cancel(sympy.together(done)) if done.is_rational_function() else sympy.simplify(done)
        if not simple.free_symbols:
            simple = sympy.expand(sympy.radsimp(sympy.sqrtdenest(sympy.expand_log(simple, factor=True))))
        return self._latex(simple)

    def _latex(self, expression: Any) -> str | None:
        names = {symbol.name: self._sympy.latex(symbol) for symbol in expression.free_symbols}
        if not all(_NAME.fullmatch(name) or form.startswith("\\") for name, form in names.items()):
            return None  # what the reader makes of a bar or a vector cannot be written
        form: str = self._sympy.latex(expression, ln_notation=True)
        return form if len(form) <= _LONGEST_REPLY else None

    def _written_equation(self, equation: Any) -> str | None:
        sympy = self._sympy
        top, _ = sympy.fraction(sympy.together((equation.lhs - equation.rhs).doit()))
        symbols = sorted(top.free_symbols, key=str)
        if not symbols or not top.is_polynomial(*symbols):
            return None
        _, polynomial = sympy.Poly(top, *symbols).primitive()
        if polynomial.LC().is_negative:
            polynomial = -polynomial
        side = self._latex(polynomial.as_expr())
        return f"{side}=0" if side else None


def _as_sum(mixed: re.Match[str]) -> str:
    whole, top, bottom = mixed.groups()
    return f"({whole}+\\frac{{{top}}}{{{bottom}}})" if int(top) < int(bottom) else mixed.group()


def _answer(algebra: Algebra, question: dict[str, Any]) -> dict[str, Any]:
    try:
        match question:
            case {"one": str(one), "other": str(other)}:
                return {"value": compare(shape(one), shape(other), algebra.same)}
            case {"write": str(text)}:
                return {"value": algebra.written(text)}
            case _:
                return {"value": None}
    except Exception as error:  # noqa: BLE001  the libraries raise anything on what they cannot read
        return {"value": None, "error": type(error).__name__}


def _limit_memory() -> None:
    try:
        resource: Any = importlib.import_module("resource")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):  # another system, or a lower limit already
        return


def _alarm(seconds: float) -> None:
    """End the process after ``seconds``, whatever it does then; 0 lets it live."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def main() -> None:
    """Answer questions until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt from the terminal is for the pool's process
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    _limit_memory()
    sys.setrecursionlimit(5_000)
    algebra = Algebra()
    for one, other in pairwise((r"\sqrt{8}", r"2\sqrt{2}", r"\sin x")):  # what is loaded late is loaded now
        algebra.same(one, other)
    print(json.dumps({"value": "ready"}), file=replies, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        _alarm(question["seconds"] + _GRACE_SECONDS)
        reply = _answer(algebra, question)
        _alarm(0)
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
