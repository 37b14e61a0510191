"""Turning a GGUF file into a folder that vLLM and transformers load: bfloat16 safetensors, config, tokenizer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from thinkctl.errors import MissingExtra
from thinkctl.models.catalogue import CatalogueEntry
from thinkctl.models.errors import ConversionFailed

__all__ = ["Convert", "check_libraries", "convert_gguf"]

Convert = Callable[[CatalogueEntry, Path, Path], Mapping[str, str]]
"""Writes the model ``entry`` from a GGUF file into a new folder; returns the versions of what it used."""

_LIBRARIES = ("torch", "transformers", "gguf", "safetensors")


def convert_gguf(entry: CatalogueEntry, gguf: Path, folder: Path) -> Mapping[str, str]:
    """Convert with transformers, in a process of its own: torch never enters this one, and memory comes back.

    Takes 20 s to 2 minutes, and for the large model 7 GB of memory. Raises ``MissingExtra`` where a library is missing
    and ``ConversionFailed`` where the result is not the model that the catalogue describes.
    """
    check_libraries()
    dimensions = entry.card.dimensions
    job = {
        "gguf": str(gguf),
        "folder": str(folder),
        "tied": bool(dimensions and dimensions.tied_embeddings),
        "parameters": entry.card.parameters,
        "context": entry.card.context,
        "marks": sorted({entry.chat.start, entry.chat.end, *entry.chat.ends}),
        "ends": entry.chat.ends,
        "user": "What is 17*23-4?",
        "rendered": entry.chat.render("What is 17*23-4?"),
    }
    script = Path(__file__).with_name("_conversion.py")
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        # -P: the script's own folder must not shadow anybody's modules. The pipe to its input tells it when we die.
        with subprocess.Popen(
            [sys.executable, "-P", str(script), json.dumps(job)],
            env=os.environ | quiet | {"CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
        ) as running:
            try:
                code = running.wait()
            except BaseException:
                running.kill()
                raise
        said.seek(0)
        lines = [line.strip() for line in said.read().splitlines() if line.strip()]
    if code:
        raise ConversionFailed(
            f"{entry.name}: converting the GGUF file failed (exit {code}): {lines[-1] if lines else 'nothing was said'}"
        )
    return {library: version(library) for library in _LIBRARIES}


def check_libraries() -> None:
    """Raise ``MissingExtra`` where a model could be fetched but not converted."""
    if missing := [library for library in _LIBRARIES if not find_spec(library)]:
        raise MissingExtra(
            f"converting a model needs {', '.join(missing)}: pip install 'thinkctl[transformers]' "
            "(vLLM's extras bring them too)"
        )
