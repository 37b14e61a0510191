"""What a server says of a model that it serves, and what lies in the model's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from thinkctl.engines.tokenizer import FolderTokenizer
from thinkctl.errors import ConfigurationError
from thinkctl.types import ModelCard, ThinkingMarks

__all__ = ["RUNNING_COUNTS", "card_of", "folder_of", "lists_all", "tokenizer_in"]

RUNNING_COUNTS: Final = frozenset({"vllm", "sglang"})
"""Whose models these owners name can tell in every chunk how many tokens there were."""


def lists_all(served: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the list is complete: hosted providers leave out names that they serve."""
    return any(about.get("owned_by") in RUNNING_COUNTS for about in served.values())


def folder_of(about: Mapping[str, Any]) -> Path | None:
    """Return the model's folder where the server names one that is on this machine too."""
    root = about.get("root")
    folder = Path(root) if isinstance(root, str) and root else None
    return folder if folder is not None and folder.is_dir() else None


def card_of(model: str, about: Mapping[str, Any], given: ModelCard | None, folder: Path | None) -> ModelCard:
    """Return the card that was given, else that of the folder, with the context that the server tells."""
    context = about.get("max_model_len")
    known = {"context": context} if type(context) is int and context > 0 else {}
    if given is not None:
        return given.model_copy(update={} if given.context else known)
    folder = folder or folder_of(about)
    if folder is not None and (folder / "config.json").is_file():
        from thinkctl.models import card_for

        return card_for(folder).model_copy(update={"name": model} | known)
    return ModelCard(name=model, context=known.get("context"))


def tokenizer_in(folder: Path | None, thinking: ThinkingMarks | None) -> FolderTokenizer | None:
    """Return the tokenizer of a folder. Raises ``ConfigurationError`` where it is no folder."""
    if folder is None:
        return None
    if not folder.is_dir():
        raise ConfigurationError(
            f"tokenizer={str(folder)!r} is no folder; give the folder of the model's tokenizer"
        )
    return FolderTokenizer(str(folder), thinking)
