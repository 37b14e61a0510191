"""Looking into a model folder: is everything there, and what do its files say?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from thinkctl.models.errors import BadModelFolder

__all__ = ["added_tokens", "chat_template", "check_folder", "read_json", "stored_parameters"]

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json")


def check_folder(folder: Path) -> Path:
    """Return ``folder`` if it holds a config, a tokenizer and all its safetensors, else raise ``BadModelFolder``."""
    if not folder.is_dir():
        raise BadModelFolder(f"{folder}: there is no such folder")
    if not (folder / "config.json").is_file():
        raise BadModelFolder(f"{folder}: config.json is missing, so this is no model folder")
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise BadModelFolder(f"{folder}: no tokenizer; one of {', '.join(_TOKENIZERS)} must be there")
    for file in _weight_files(folder):
        if not file.is_file():
            raise BadModelFolder(f"{folder}: {file.name} is missing, its index names it; copy or download it")
    return folder


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise BadModelFolder(f"{index}: field 'weight_map' must map weights to files")
        return [folder / name for name in sorted(set(map(str, shards.values())))]
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise BadModelFolder(f"{folder}: no *.safetensors; other kinds of weights are not read")
    return found


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in ``file``; ``BadModelFolder`` names the file and the place where it is none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as wrong:
        raise BadModelFolder(f"{file}: cannot be read as JSON: {wrong}") from wrong
    if not isinstance(value, dict):
        raise BadModelFolder(f"{file}: must be a JSON object, not {type(value).__name__}")
    return value


def chat_template(folder: Path) -> str | None:
    """The folder's chat template; several named ones are put together. ``None`` where there is none."""
    jinja = folder / "chat_template.jinja"
    if jinja.is_file():
        return jinja.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        file = folder / name
        template = read_json(file).get("chat_template") if file.is_file() else None
        if isinstance(template, str):
            return template
        if isinstance(template, list):
            return "\n".join(str(one.get("template", "")) for one in template if isinstance(one, dict))
    return None


def added_tokens(folder: Path) -> frozenset[str]:
    """The texts of the tokens that were added to the vocabulary, as the tokenizer's files list them."""
    return frozenset(_added_tokens(folder))


def _added_tokens(folder: Path) -> Iterator[str]:
    if (file := folder / "added_tokens.json").is_file():
        yield from read_json(file)
    if (file := folder / "tokenizer_config.json").is_file():
        listed = read_json(file).get("added_tokens_decoder")
        yield from _contents(listed.values() if isinstance(listed, Mapping) else ())
    if (file := folder / "tokenizer.json").is_file():
        listed = read_json(file).get("added_tokens")
        yield from _contents(listed if isinstance(listed, list) else ())


def _contents(tokens: Any) -> Iterator[str]:
    return (
        token["content"]
        for token in tokens
        if isinstance(token, dict) and isinstance(token.get("content"), str)
    )


def stored_parameters(folder: Path) -> int:
    """How many numbers the folder's safetensors hold, read from their headers."""
    return sum(_numbers_in(file) for file in _weight_files(folder))


def _numbers_in(file: Path) -> int:
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 0 < length < file.stat().st_size:
                raise BadModelFolder(f"{file}: is no whole safetensors file")
            header = json.loads(stream.read(length))
        return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as wrong:
        if isinstance(wrong, BadModelFolder):
            raise
        raise BadModelFolder(f"{file}: is no whole safetensors file: {wrong}") from wrong
