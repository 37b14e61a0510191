"""``thinkctl models``: what can be pulled, pull it, and where it lies.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 it could not be done, 2 wrong use.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from thinkctl.cli.text import one_line

__all__ = ["app"]

app = typer.Typer(help="List, pull and find models.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A name or alias of `thinkctl models list`.", metavar="NAME")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("list")
def list_models(*, as_json: Json = False) -> None:
    """Show the models of the catalogue and which of them are on this machine."""
    from thinkctl import models

    with _errors_to_stderr():
        rows = [_row(entry) for entry in models.catalogue().values()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = [("NAME", "ALIASES", "PARAMETERS", "DOWNLOAD", "LICENCE", "HERE")]
    for row in rows:
        parameters, download = f"{row['parameters'] / 1e6:.0f} M", f"{row['download_bytes'] / 1e6:.0f} MB"
        here = row["folder"] or "-"
        table.append((row["name"], ", ".join(row["aliases"]), parameters, download, row["licence"], here))
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@app.command()
def pull(name: Name, *, as_json: Json = False) -> None:
    """Fetch a model, check its hash, convert it, and print its folder. Safe to interrupt and to repeat."""
    from thinkctl import models

    with _errors_to_stderr():
        entry = models.entry_for(name)
        with progress(entry.name) as report:
            models.pull(entry, progress=report)
        row = _row(entry)
    typer.echo(json.dumps(row, indent=2) if as_json else row["folder"])


@app.command()
def path(name: Name) -> None:
    """Print the folder of a model that is on this machine; nothing is downloaded."""
    from thinkctl import models

    with _errors_to_stderr():
        typer.echo(str(models.path(name)))


def _row(entry: Any) -> dict[str, Any]:
    from thinkctl import models

    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "role": entry.role,
        "licence": entry.licence,
        "parameters": entry.card.parameters,
        "active_parameters": entry.card.active_parameters,
        "context": entry.card.context,
        "download_bytes": entry.bytes,
        "sha256": entry.sha256,
        "original": entry.original,
        "folder": str(models.path(entry.name)) if models.is_pulled(entry) else None,
    }


@contextmanager
def _errors_to_stderr() -> Iterator[None]:
    """One line for what the user can understand; anything else is a bug and keeps its traceback."""
    from thinkctl.errors import ConfigurationError, ThinkctlError
    from thinkctl.models import ModelMissing

    try:
        yield
    except ThinkctlError as error:
        typer.echo(f"error: {one_line(str(error))}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigurationError | ModelMissing) else 1) from error
    except KeyboardInterrupt:
        typer.echo("interrupted; what was fetched is kept, pull again to go on", err=True)
        raise typer.Exit(130) from None


@contextmanager
def progress(name: str) -> Iterator[Any]:
    """A bar on a terminal; elsewhere one line for each stage."""
    if not sys.stderr.isatty():
        with _lines(name) as report:
            yield report
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda news: bar.update(
            task, description=f"{name} {news.stage}", completed=news.done, total=news.total
        )


@contextmanager
def _lines(name: str) -> Iterator[Any]:
    seen: set[str] = set()

    def report(news: Any) -> None:
        if news.stage not in seen:
            seen.add(news.stage)
            typer.echo(f"{name}: {news.stage}", err=True)

    yield report
