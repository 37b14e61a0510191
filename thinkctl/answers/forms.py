"""Answer forms: how an answer is asked for, found in a text, and compared with others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, final

from thinkctl.answers import extract
from thinkctl.answers.boxes import closes_box
from thinkctl.answers.choices import choice, choice_key
from thinkctl.answers.equality import canonical_async
from thinkctl.answers.fences import closes_block, last_block
from thinkctl.answers.json_values import closes_json, json_key, last_json
from thinkctl.answers.keys import code_key, date_key, math_key, text_key
from thinkctl.answers.statements import FINAL_ANSWER
from thinkctl.answers.symbols import structure_key

__all__ = ["FORMS", "Form", "form"]

_LONGEST_TEXT = 1_000_000


class _Extract(Protocol):
    def __call__(self, text: str, *, complete: bool) -> str | None: ...


@final
@dataclass(frozen=True, slots=True)
class _Rules:
    extract: _Extract
    key: Callable[[str], str]
    closes: Callable[[str], bool]


def _known(name: str) -> str:
    if name not in _RULES:
        raise ValueError(f"unknown answer form {name!r}; known forms: {', '.join(_RULES)}")
    return name


def _closes_line(text: str) -> bool:
    return "\n" in text.lstrip()


_RULES: Final[Mapping[str, _Rules]] = MappingProxyType(
    {
        "boxed": _Rules(extract.boxed, math_key, closes_box),
        "hashes": _Rules(extract.hashes, math_key, _closes_line),
        "number": _Rules(extract.number, math_key, closes_box),
        "choice": _Rules(choice, choice_key, closes_box),
        "json": _Rules(last_json, json_key, closes_json),
        "code": _Rules(last_block, code_key, closes_block),
        "text": _Rules(extract.free_text, text_key, _closes_line),
        "date": _Rules(extract.date, date_key, closes_box),
        "math": _Rules(extract.boxed, structure_key, closes_box),
    }
)


@final
@dataclass(frozen=True, slots=True)
class Form:
    """One expected answer form.

    The name chooses the rules; the sentences may be replaced (``dataclasses.replace(form("boxed"), instruction=...)``),
    for another language for example. A name without rules is a ``ValueError``.

    Attributes:
        name: one of :data:`FORMS`.
        instruction: sentence appended to the prompt when the model may reason.
        direct: sentence appended to the prompt for a zero-shot answer without reasoning.
        cue: text forced after a closed thought; the answer follows it directly.
        opening: regular expression whose first match is where the answer begins, and so where the thinking ends, for
            models without thinking marks; ``None`` if free text shows no such place.
    """

    name: str
    instruction: str
    direct: str
    cue: str
    opening: str | None

    def __post_init__(self) -> None:
        _known(self.name)

    def extract(self, text: str, *, complete: bool = True) -> str | None:
        r"""Give the answer in ``text`` as it is written, or ``None``: the sample abstains.

        ``complete=False`` says that the chain was cut: only an explicit, closed answer counts (a whole
        ``\boxed{}``, a whole ``#### 12`` line, a closed code fence, a whole JSON value). Never raises; time
        is linear, and of more than a million characters only the last million are read.
        """
        return _RULES[self.name].extract(text[-_LONGEST_TEXT:], complete=complete)

    def key(self, answer: str) -> str:
        """Give the string on which votes are counted: equal for equal answers, as far as cheap exact rules can tell.

        Never raises and is idempotent. See :mod:`thinkctl.answers.keys` for what is equal.
        """
        return _RULES[self.name].key(answer)

    @property
    def by_algebra(self) -> bool:
        """Whether equal answers may have different keys that only algebra finds to be one: see ``key_by_value``."""
        return self.name == "math"

    async def key_by_value(self, answer: str) -> str:
        """Give the key that algebra finds, in a worker process; the one of ``key`` where it finds none in time."""
        return self.key(await canonical_async(answer)) if self.by_algebra else self.key(answer)

    def closed(self, text: str) -> bool:
        """Say whether ``text``, generated *after* the forced cue, completes the answer, so that generation can stop."""
        return _RULES[self.name].closes(text)


def _boxed(name: str, what: str = "your final answer") -> Form:
    return Form(
        name,
        instruction=f"Reason step by step, and put {what} within \\boxed{{}}.",
        direct=f"Answer at once, without explanation: put {what} within \\boxed{{}}.",
        cue="\\boxed{",
        opening=r"\\(?:boxed|fbox)\s{0,4}\{",
    )


FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        found.name: found
        for found in (
            _boxed("boxed"),
            Form(
                "hashes",
                instruction="Reason step by step, and end with a line of the form '#### <answer>'.",
                direct="Answer at once, without explanation, with one line of the form '#### <answer>'.",
                cue="#### ",
                opening=r"(?m)^####[ \t]{0,4}(?=[-+\u2212$\u20ac\u00a3.\\\d])",  # a letter makes it a heading
            ),
            _boxed("number", "your final answer, a single number,"),
            _boxed("choice", "only the letter of your choice"),
            Form(
                "json",
                instruction="Reason step by step, and then give your final answer as JSON in a ```json code block.",
                direct="Answer at once, without explanation, with JSON in a ```json code block.",
                cue="```json\n",
                opening=r"(?m)^[ \t]{0,8}(?:```json\b|[{\[][ \t]{0,8}(?:[\"\[{\]}]|$))",
            ),
            Form(
                "code",
                instruction="Reason step by step, and then give your final code in one fenced code block (```).",
                direct="Answer at once, without explanation, with one fenced code block (```).",
                cue="```",
                opening=r"(?m)^[ \t]{0,8}(?:`{3,}|~{3,})",
            ),
            Form(
                "text",
                instruction="Reason step by step, and give your final answer on a last line 'Final answer: <answer>'.",
                direct="Answer at once, without explanation, with one line 'Final answer: <answer>'.",
                cue="Final answer: ",
                opening=FINAL_ANSWER,
            ),
            _boxed("date", "your final answer, a date as MM/DD/YYYY,"),
            _boxed("math", "your final answer, as mathematics in LaTeX,"),
        )
    }
)
"""Every form by its name."""


def form(name: str) -> Form:
    """Give the form called ``name``; an unknown name is a ``ValueError`` that lists the known ones."""
    return FORMS[_known(name)]
