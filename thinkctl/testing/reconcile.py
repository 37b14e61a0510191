"""Whether receipts agree with what the engine counted for itself, token by token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from thinkctl.types import EngineCounters, Receipt, Usage

__all__ = ["Reconciliation", "Row", "reconcile"]

_UNKNOWN: Final = "unknown"


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One kind of tokens: what the engine counted, and what the receipts say. ``None``: that side does not tell.

    ``estimated`` says that the receipts hold a guess, which proves nothing.
    """

    name: str
    counted: int | None
    billed: int | None
    estimated: bool = False

    @property
    def difference(self) -> int | None:
        """How many more the engine counted than are on the receipts; ``None`` where a side does not tell."""
        if self.counted is None or self.billed is None or self.estimated:
            return None
        return self.counted - self.billed


@final
@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Receipts beside an engine's own counters, kind by kind, in tokens."""

    generated: Row
    prompt: Row
    cached: Row

    @property
    def rows(self) -> tuple[Row, Row, Row]:
        """All kinds: generated, prompt tokens computed, prompt tokens read from the cache."""
        return self.generated, self.prompt, self.cached

    @property
    def generated_tokens(self) -> int | None:
        """How many more generated tokens the engine counted than were billed; ``None``: not told."""
        return self.generated.difference

    @property
    def prompt_tokens(self) -> int | None:
        """How many more computed prompt tokens the engine counted than were billed; ``None``: not told."""
        return self.prompt.difference

    @property
    def cached_tokens(self) -> int | None:
        """How many more cached prompt tokens the engine counted than were billed; ``None``: not told."""
        return self.cached.difference

    @property
    def exact(self) -> bool:
        """Whether both sides tell everything and agree to the token."""
        return all(row.difference == 0 for row in self.rows)

    @property
    def agrees(self) -> bool:
        """Whether nothing that both sides tell differs; also where they tell nothing."""
        return not any(row.difference for row in self.rows)

    @property
    def verdict(self) -> str:
        """One sentence: whether they agree, where not, and what is not known."""
        unknown = [row.name for row in self.rows if row.difference is None]
        apart = [f"{row.name} by {row.difference:+,}" for row in self.rows if row.difference]
        if apart:
            return f"the engine's counters and the receipt differ: {', '.join(apart)}"
        if len(unknown) == len(self.rows):
            return "nothing to compare: the engine or the receipt does not tell"
        besides = f"; not told: {', '.join(unknown)}" if unknown else ""
        return f"the receipt is what the engine counted{besides}"

    def __str__(self) -> str:
        """Return a table of all kinds with the verdict under it."""
        cells = [
            ("tokens", "engine", "receipt", "difference"),
            *(
                (
                    row.name,
                    _amount(row.counted),
                    f"{_amount(row.billed)}{' (estimated)' if row.estimated else ''}",
                    _UNKNOWN if row.difference is None else f"{row.difference:+,}" if row.difference else "0",
                )
                for row in self.rows
            ),
        ]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(
                [
                    name.ljust(widths[0]),
                    *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)),
                ]
            )
            for name, *rest in cells
        ]
        return "\n".join([*lines, self.verdict])


def reconcile(
    before: EngineCounters,
    after: EngineCounters,
    receipts: Receipt | Iterable[Receipt],
    *,
    model: str | None = None,
) -> Reconciliation:
    """Compare what an engine counted between two looks at it with the receipts of all that it did meanwhile.

    Look while the engine is idle: before the first run and after the last, with nobody else on it. A counter
    that went down was begun anew, and tells nothing. ``model`` takes only the lines of that model, where the
    runs used several engines. Lines that thinkctl estimated are shown, and not compared.
    """
    bills = [receipts] if isinstance(receipts, Receipt) else list(receipts)
    lines = [line.usage for bill in bills for line in bill.lines if model is None or line.model == model]
    used = sum(lines, Usage())
    computed = None if used.cached_tokens is None else used.prompt_tokens - used.cached_tokens

    def row(name: str, start: int | None, end: int | None, billed: int | None) -> Row:
        return Row(name, _growth(start, end), billed, used.estimated)

    return Reconciliation(
        row("generated", before.generated_tokens, after.generated_tokens, used.generated_tokens),
        row("computed prompt", before.prompt_tokens, after.prompt_tokens, computed),
        row("cached prompt", before.cached_tokens, after.cached_tokens, used.cached_tokens),
    )


def _growth(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None or after < before else after - before


def _amount(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}"
