"""``thinkctl list``: what can be named in options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

from thinkctl import registry
from thinkctl.answers import FORMS
from thinkctl.cli.output import print_json
from thinkctl.cli.text import one_line
from thinkctl.engines import KINDS as ENGINES
from thinkctl.errors import ConfigurationError

__all__ = ["Row", "print_list", "rows_of"]


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One thing that can be named. ``parameters`` maps each to its default, ``None`` where it must be given."""

    name: str
    summary: str
    parameters: Mapping[str, str | None]

    @property
    def written(self) -> str:
        """How it is written, with its defaults."""
        inside = [name if value is None else f"{name}={value}" for name, value in self.parameters.items()]
        return f"{self.name}({', '.join(inside)})" if inside else self.name


def _parts(kind: registry.Kind) -> list[Row]:
    return [
        Row(part.name, one_line(part.summary.replace("``", "")), part.parameters)
        for part in registry.describe(kind)
    ]


def _engines() -> list[Row]:
    return [Row(f"{name}:...", meaning, {}) for name, meaning in ENGINES.items()]


def _forms() -> list[Row]:
    return [Row(name, one_line(found.instruction), {}) for name, found in FORMS.items()]


def _models() -> list[Row]:
    from thinkctl import models

    return [
        Row(
            entry.name,
            f"{', '.join(entry.aliases)}: {entry.licence}, {entry.bytes / 1e6:,.0f} MB to fetch, "
            f"{'on this machine' if models.is_pulled(entry) else 'not on this machine yet'}",
            {},
        )
        for entry in models.catalogue().values()
    ]


_KINDS: Final[Mapping[str, Callable[[], list[Row]]]] = {
    **{kind: partial(_parts, kind) for kind in registry.KINDS},
    "engines": _engines,
    "forms": _forms,
    "models": _models,
}


def rows_of(kind: str) -> list[Row]:
    """Return all of a kind. Raises ``ConfigurationError`` with the known kinds."""
    if kind not in _KINDS:
        raise ConfigurationError(f"there is nothing called {kind!r} to list; known: {', '.join(_KINDS)}")
    return _KINDS[kind]()


def print_list(kind: str | None, *, as_json: bool) -> None:
    """Write one kind, or all of them, on stdout."""
    found = {name: rows_of(name) for name in ([kind] if kind is not None else _KINDS)}
    if as_json:
        plain = {name: [_plain(row) for row in rows] for name, rows in found.items()}
        print_json(plain if kind is None else plain[kind])
        return
    for place, (name, rows) in enumerate(found.items()):
        if kind is None:
            print(f"{'' if place == 0 else chr(10)}{name}")  # noqa: T201 - this is the command line
        _print_rows(rows, indent="  " if kind is None else "")


def _plain(row: Row) -> dict[str, Any]:
    return {"name": row.name, "parameters": dict(row.parameters), "summary": row.summary}


def _print_rows(rows: list[Row], indent: str) -> None:
    for row in rows or [Row("none yet", "", {})]:
        print(f"{indent}{row.written}")  # noqa: T201 - this is the command line
        if row.summary:
            print(f"{indent}    {row.summary}")  # noqa: T201 - this is the command line
