"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Json", "Model", "Quiet"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="vllm:NAME, openai:MODEL@URL, transformers:NAME, replay:FILE, or the name or folder of a model for vLLM.",
        show_default="the catalogue's small model, pulled on first use",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress on stderr.")]
