"""Answer forms: how an answer is asked for, found in a text, and compared with others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, final

from pydantic import JsonValue

from thinkctl.answers import extract
from thinkctl.answers.boxes import closes_box
from thinkctl.answers.choices import choice, choice_key
from thinkctl.answers.equality import canonical_async
from thinkctl.answers.fences import closes_block, last_block
from thinkctl.answers.json_values import closes_json, json_key, json_value, last_json
from thinkctl.answers.keys import code_key, date_key, math_key, text_key
from thinkctl.answers.statements import FINAL_ANSWER
from thinkctl.answers.symbols import structure_key
from thinkctl.answers.tools import closes_calls, last_calls, tools_key
from thinkctl.answers.typed import TypedRules, rules_of
from thinkctl.types import AnswerType, Constraint, Problem

__all__ = ["FORMS", "TYPED", "Form", "form", "form_of"]

TYPED: Final = "typed"
"""Name of the form of an answer that has a type; only :func:`form_of` gives it."""

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
        "tool-calls": _Rules(last_calls, tools_key, closes_calls),
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
        answer_type: what the answer is held to, of the form ``typed``.
    """

    name: str
    instruction: str
    direct: str
    cue: str
    opening: str | None
    answer_type: AnswerType | None = None

    def __post_init__(self) -> None:
        if self.answer_type is None or self.name != TYPED:
            _known(self.name)

    def extract(self, text: str, *, complete: bool = True) -> str | None:
        r"""Give the answer in ``text`` as it is written, or ``None``: the sample abstains.

        ``complete=False`` says that the chain was cut: only an explicit, closed answer counts (a whole
        ``\boxed{}``, a whole ``#### 12`` line, a closed code fence, a whole JSON value). Never raises; time
        is linear, and of more than a million characters only the last million are read.
        """
        return self._rules.extract(text[-_LONGEST_TEXT:], complete=complete)

    def key(self, answer: str) -> str:
        """Give the string on which votes are counted: equal for equal answers, as far as cheap exact rules can tell.

        Never raises and is idempotent. See :mod:`thinkctl.answers.keys` for what is equal.
        """
        return self._rules.key(answer)

    @property
    def by_algebra(self) -> bool:
        """Whether equal answers may have different keys that only algebra finds to be one: see ``key_by_value``."""
        return self.name == "math"

    async def key_by_value(self, answer: str) -> str:
        """Give the key that algebra finds, in a worker process; the one of ``key`` where it finds none in time."""
        return self.key(await canonical_async(answer)) if self.by_algebra else self.key(answer)

    def closed(self, text: str) -> bool:
        """Say whether ``text``, generated *after* the forced cue, completes the answer, so that generation can stop."""
        return self._rules.closes(text)

    @property
    def typed(self) -> bool:
        """Whether answers have a type."""
        return self.answer_type is not None

    @property
    def constraint(self) -> Constraint | None:
        """What all that is generated after the cue must be; ``None`` where anything may."""
        return None if self.answer_type is None else rules_of(self.answer_type).constraint

    def completed(self, text: str) -> str | None:
        """Give the shortest answer that begins with ``text``, which was cut after the cue; ``None`` without a type."""
        return None if self.answer_type is None else rules_of(self.answer_type).completed(text)

    def value(self, answer: str) -> JsonValue:
        """Give the JSON value of an answer, checked against its type; ``None`` for what has none.

        Only the forms ``json`` and ``typed`` (of a type that is JSON) have values.
        """
        if self.answer_type is not None:
            return rules_of(self.answer_type).value(answer)
        return json_value(answer) if self.name == "json" else None

    @property
    def _rules(self) -> _Rules | TypedRules:
        return _RULES[self.name] if self.answer_type is None else rules_of(self.answer_type)


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
            Form(
                "tool-calls",
                instruction="Reason step by step, and then call the tools that are needed, each call as JSON in "
                '<tool_call></tool_call>: {"name": <name>, "arguments": <object>}.',
                direct="Answer at once, without explanation, with the tool calls, each as JSON in "
                '<tool_call></tool_call>: {"name": <name>, "arguments": <object>}.',
                cue="<tool_call>\n",
                opening=r"<tool_call>",
            ),
        )
    }
)
"""Every form by its name."""


def form(name: str) -> Form:
    """Give the form called ``name``; an unknown name is a ``ValueError`` that lists the known ones."""
    return FORMS[_known(name)]


def form_of(problem: Problem) -> Form:
    """Give the form of a problem's answers; with an answer type that of the type.

    Raises ``ConfigurationError`` for a type that no answer can be held to, and ``MissingExtra`` where the library
    that holds them to it is not installed.
    """
    if problem.answer_type is None:
        return form(problem.form)
    rules = rules_of(problem.answer_type)
    if rules.is_json:
        asked = f"with JSON in a ```json code block that has this JSON schema: {rules.what}"
        first = (
            f"Reason step by step, and then give your final answer as JSON {asked.removeprefix('with JSON ')}"
        )
        direct = f"Answer at once, without explanation, {asked}"
    else:
        first = f"Reason step by step, and put {rules.what} within \\boxed{{}}."
        direct = f"Answer at once, without explanation: put {rules.what} within \\boxed{{}}."
    return Form(TYPED, first, direct, rules.cue, rules.opening, problem.answer_type)
