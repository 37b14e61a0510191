"""Reference answers: read from a file, and compared with what a run answered.

Only what is in this folder knows them: no strategy, policy, selector or verifier can reach one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast

from thinkctl.answers import equal, form
from thinkctl.errors import RunFileError
from thinkctl.runfile.reading import opened

__all__ = ["is_right", "read_gold"]

_BY_ALGEBRA: Final = frozenset({"boxed", "hashes", "math"})
"""Forms whose answers may be mathematics. The others are compared by their key alone."""


def read_gold(path: str | Path) -> Mapping[str, str]:
    """Return the reference answers by problem id.

    One JSON object a line, plain or ``.gz``, with ``id`` and ``answer`` (or ``gold``, as in pools): a text or a
    number; other fields are left alone, so a file of questions will do. A number's text has no ``.0``.

    Raises:
        RunFileError: with the line that is wrong, and for an id that has two different answers.
    """
    path = Path(path)
    gold: dict[str, str] = {}
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                name, answer = _row(json.loads(line.decode("utf-8")))
                if gold.setdefault(name, answer) != answer:
                    raise ValueError(f"the id {name!r} had the answer {gold[name]!r} before")
            except (ValueError, RecursionError) as error:
                raise RunFileError(
                    f"{path}: line {number} is no reference answer: {error}; mend it"
                ) from None
    if not gold:
        raise RunFileError(f'{path}: it holds no reference answer; write {{"id": ..., "answer": ...}} a line')
    return gold


@lru_cache(maxsize=1 << 16)
def is_right(answer: str, gold: str, form_name: str) -> bool:
    """Say whether an answer is the reference answer, in the answer form of this name.

    Right is what has the reference's canonical key. Where the form may hold mathematics (``boxed``, ``hashes``,
    ``math``), right is also what algebra finds equal, if ``thinkctl[math]`` is installed; what cannot be compared
    in time is wrong. An answer is an answer, not a text to find one in: ``"x = 5 or so"`` is not ``"5"``.
    """
    rules = form(form_name)
    return rules.key(answer) == rules.key(gold) or (form_name in _BY_ALGEBRA and bool(equal(answer, gold)))


def _row(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, got {type(entry).__name__}")
    row = cast("dict[str, Any]", entry)
    name, answer = row.get("id"), row.get("answer", row.get("gold"))
    if not isinstance(name, str) or not name:
        raise ValueError(f"id: expected a text, got {name!r}")
    if isinstance(answer, float):
        answer = None if not math.isfinite(answer) else int(answer) if answer.is_integer() else answer
    if isinstance(answer, bool) or not isinstance(answer, str | int | float) or not str(answer).strip():
        raise ValueError(f"answer: expected a text or a number, got {answer!r}")
    return name, str(answer).strip()
