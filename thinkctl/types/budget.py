"""The limits of a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = ["DEFAULT_ANSWER_TOKENS", "Budget"]

DEFAULT_ANSWER_TOKENS: Final = 64
_SHARE_FOR_ANSWER: Final = 4
"""The reserve for concluding is at most one part in this many of the whole budget."""


class Budget(BaseModel):
    """A wall in up to five currencies; ``None`` is no limit.

    ``tokens`` are generated tokens over all samples, probes and verifiers, wasted ones included;
    ``thinking_tokens`` bounds the thought of each single sample; ``seconds`` run from the start; ``dollars``
    need a price for every model; ``requests`` are streams opened on engines.

    ``answer_tokens`` are kept back for concluding (default 64): at most a quarter of ``tokens`` and of the
    time. Raises a pydantic ``ValidationError`` for limits that are zero, negative or leave nothing to think.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    tokens: Annotated[int, Field(gt=0)] | None = None
    thinking_tokens: Annotated[int, Field(gt=0)] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    dollars: Annotated[Decimal, Field(gt=0, allow_inf_nan=False)] | None = None
    requests: Annotated[int, Field(gt=0)] | None = None
    answer_tokens: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _something_is_left_to_think(self) -> Self:
        if self.answer_tokens is not None and self.tokens is not None and self.answer_tokens >= self.tokens:
            raise ValueError(
                f"answer_tokens={self.answer_tokens} leaves nothing of tokens={self.tokens} to think with; "
                "give more tokens or a smaller answer reserve"
            )
        return self

    @property
    def answer_reserve(self) -> int:
        """Tokens kept back for concluding."""
        wanted = self.answer_tokens or DEFAULT_ANSWER_TOKENS
        return wanted if self.tokens is None else min(wanted, self.tokens // _SHARE_FOR_ANSWER)

    @property
    def longest_time_reserve(self) -> float:
        """Most seconds that may be kept back for concluding."""
        return 0.0 if self.seconds is None else self.seconds / _SHARE_FOR_ANSWER

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``tokens=300,seconds=10``. Raises ``ValueError`` with the item that is wrong."""
        values: dict[str, str] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            name, equals, value = (piece.strip() for piece in item.partition("="))
            if not equals or name not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise ValueError(
                    f"budget item {item!r} is not understood; write NAME=NUMBER with one of {known}"
                )
            if name in values:
                raise ValueError(f"budget names {name!r} twice; give it once")
            values[name] = value.replace("_", "")
        if not values:
            raise ValueError("the budget is empty; write for instance tokens=300,seconds=10")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError("; ".join(_in_words(item) for item in error.errors())) from None


def _in_words(item: object) -> str:
    details = dict(item) if isinstance(item, dict) else {}
    where = ".".join(str(part) for part in details.get("loc", ())) or "budget"
    given = details.get("input")
    value = f"={given}" if isinstance(given, str | int | float | Decimal) else ""
    return f"budget {where}{value}: {str(details.get('msg', '')).removeprefix('Value error, ')}"
