"""What to do about an error of SQLite: the columns that there are, the name that is taken, the operator that is meant.

SQLite says what it does not find, not what there is. A small model that is told only the first writes the same query
again; the second is what it needs to mend it.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["hint_for"]

_MOST_TABLES: Final = 12
_MOST_COLUMNS: Final = 40
_LONGEST_NAME: Final = 60
_SECONDS: Final = 1.0
_NAMES: Final = (
    "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
)
_COLUMNS: Final = "SELECT name FROM pragma_table_info(?)"
_MISSING: Final = re.compile(r"^no such (?:column|table): (.*)$")
_DEFINED: Final = re.compile(r"\b(\w{1,60})\s{0,9}\(([\w\s,]{1,400})\)\s{1,9}AS\s{0,9}\(", re.IGNORECASE)
"""A table of a WITH clause and the names of its columns."""
_AMBIGUOUS: Final = re.compile(r"^ambiguous column name: (.*)$")
_TWICE: Final = re.compile(r"^(?:multiple references to recursive table|circular reference): (.*)$")
_UNKNOWN: Final = re.compile(r"^no such function: (.*)$")
_MEANT: Final = {
    "concat": "join texts with ||",
    "concat_ws": "join texts with ||",
    "string_agg": "use group_concat(value, separator)",
    "greatest": "use max(a, b)",
    "least": "use min(a, b)",
    "now": "use date('now')",
    "datediff": "use julianday(a) - julianday(b)",
    "date_add": "use date(day, '+1 day')",
    "generate_series": "count with a recursive query",
}
"""Functions that other databases have, and what SQLite has in their place."""


def hint_for(error: str, query: str, database: str) -> str:
    """Return a sentence that says how to mend a query, for SQLite's ``error``; empty where there is none to give.

    Says nothing that the schema of ``database`` does not: its rows are not read.
    """
    if found := _MISSING.match(error):
        tables = _tables(database)
        return _there_are(tables, query) + _of_recursion(found[1], query, tables)
    if found := _AMBIGUOUS.match(error):
        return _which(found[1].rpartition(".")[2], query, _tables(database))
    if found := _TWICE.match(error):
        return _about_recursion(found[1], _tables(database))
    if found := _UNKNOWN.match(error):
        meant = _MEANT.get(found[1].lower())
        return f" In SQLite {meant}." if meant else ""
    return ""


def _there_are(tables: Mapping[str, Sequence[str]], query: str) -> str:
    """Return the tables that the query names with their columns, or all where it names none."""
    named = {name for name in tables if re.search(rf"\b{re.escape(name)}\b", query, re.IGNORECASE)}
    shown = [name for name in tables if name in named or not named][:_MOST_TABLES]
    if not shown:
        return ""
    listed = "; ".join(f"{name}({', '.join(tables[name][:_MOST_COLUMNS])})" for name in shown)
    return f" There is: {listed}."


def _which(column: str, query: str, tables: Mapping[str, Sequence[str]]) -> str:
    """Return how a column is written that more than one table has."""
    made = {found[1]: found[2].split(",") for found in _DEFINED.finditer(query)}
    named = {name: columns for name, columns in tables.items() if re.search(rf"\b{re.escape(name)}\b", query)}
    having = [
        f"{name}.{column}"
        for name, columns in (named | made).items()
        if column.lower() in (each.strip().lower() for each in columns)
    ]
    written = " or ".join(having) if 1 < len(having) <= _MOST_TABLES else f"TABLE.{column}"
    return f" More than one table has it: write {written}."


def _of_recursion(name: str, query: str, tables: Mapping[str, Sequence[str]]) -> str:
    """Return what a column of a WITH table needs, where that is what is missing."""
    table, dot, _ = name.rpartition(".")
    if not dot or table in tables:
        return ""
    defined = rf"\b{re.escape(table)}\s{{0,9}}(\([^()]{{0,400}}\))?\s{{0,9}}\bAS\s{{0,9}}\("
    own = re.search(defined, query, re.IGNORECASE)
    if own is None:
        return ""
    columns = " ".join((own[1] or "").split())
    return (
        f" {table[:_LONGEST_NAME]}{columns} can be read only where it stands in FROM or JOIN, by the column names that "
        "it was given."
    )


def _about_recursion(name: str, tables: Mapping[str, Sequence[str]]) -> str:
    if name in tables:
        return f" {name[:_LONGEST_NAME]} is a table: give the recursive one another name."
    return " Name it once, in the FROM or JOIN of the part after UNION."


def _tables(database: str) -> dict[str, list[str]]:
    """Return the tables and views of a database with their columns; nothing where its schema cannot be read."""
    address = f"{Path(database).resolve().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_SECONDS)) as connection:
            names = [name for (name,) in connection.execute(_NAMES) if len(str(name)) <= _LONGEST_NAME]
            return {
                name: [str(column)[:_LONGEST_NAME] for (column,) in connection.execute(_COLUMNS, (name,))]
                for name in names
            }
    except sqlite3.Error:
        return {}
