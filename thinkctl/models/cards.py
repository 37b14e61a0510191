"""A model card from a local folder: what its own files say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from thinkctl.models.cache import read_manifest
from thinkctl.models.errors import BadModelFolder
from thinkctl.models.folders import added_tokens, chat_template, check_folder, read_json, stored_parameters
from thinkctl.models.parameters import FAMILIES, Config, Count, count, dimensions
from thinkctl.types.card import ModelCard, ThinkingMarks

__all__ = ["card_for"]

_MARKS = (
    ThinkingMarks(start="<think>", end="</think>"),
    ThinkingMarks(start="[THINK]", end="[/THINK]"),
    ThinkingMarks(start="<seed:think>", end="</seed:think>"),
    ThinkingMarks(start="<|begin_of_thought|>", end="<|end_of_thought|>"),
    ThinkingMarks(start="<thought>", end="</thought>"),
)
_FIELDS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size")


def card_for(folder: str | Path) -> ModelCard:
    """Read the card of the model in ``folder``, without loading it.

    Parameters are counted by formula for the architectures of ``thinkctl.models.parameters.FAMILIES`` and from the
    weight files for others; what cannot be known is ``None``. Prices are never known. Raises ``BadModelFolder`` with
    the file and the field where something is missing or malformed.
    """
    place = check_folder(Path(folder).expanduser())
    file = place / "config.json"
    raw = _language_part(file, read_json(file))
    config = _parse(file, raw)
    counted = _count(place, raw, config)
    return ModelCard(
        name=_name(place),
        parameters=counted.total if counted else None,
        active_parameters=counted.active if counted else None,
        dimensions=dimensions(config) if config else None,
        context=_context(file, raw),
        thinking=_thinking(place),
    )


def _language_part(file: Path, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of the language model; models that also see or hear nest it."""
    text = raw.get("text_config")
    if text is None:
        return raw
    if not isinstance(text, dict):
        raise BadModelFolder(f"{file}: field 'text_config' must be an object, not {type(text).__name__}")
    outer = {
        key: raw[key] for key in ("tie_word_embeddings", "quantization_config", "model_type") if key in raw
    }
    return outer | text


def _parse(file: Path, raw: Mapping[str, Any]) -> Config | None:
    """``None`` for an architecture we do not know that lacks what others have, such as a state space model."""
    if not isinstance(raw.get("model_type"), str):
        raise BadModelFolder(f"{file}: field 'model_type' must be a text, it is {raw.get('model_type')!r}")
    if raw["model_type"] not in FAMILIES and any(raw.get(field) is None for field in _FIELDS):
        return None
    try:
        config = Config.model_validate(raw)
        _check(config)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        field = ".".join(map(str, first["loc"]))
        got = "" if first["type"] == "missing" else f", it is {first['input']!r}"
        raise BadModelFolder(f"{file}: field {field!r}: {first['msg']}{got}") from wrong
    except ValueError as wrong:
        raise BadModelFolder(f"{file}: {wrong}") from wrong
    return config


def _check(config: Config) -> None:
    """What no single field can tell."""
    if config.experts and not config.num_experts_per_tok:
        raise ValueError(f"field 'num_experts_per_tok' is missing, but there are {config.experts} experts")
    if (config.num_experts_per_tok or 0) > (config.experts or 0) > 0:
        raise ValueError(f"field 'num_experts_per_tok' is more than the {config.experts} experts there are")
    if (
        config.head_dim is None
        and not config.kv_lora_rank
        and config.hidden_size % config.num_attention_heads
    ):
        raise ValueError(
            "field 'hidden_size' is no multiple of 'num_attention_heads', and 'head_dim' is missing"
        )
    latent = ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    for field in latent if config.kv_lora_rank else ():
        if getattr(config, field) is None:
            raise ValueError(f"field {field!r} is missing, but 'kv_lora_rank' is there")


def _count(folder: Path, raw: Mapping[str, Any], config: Config | None) -> Count | None:
    if config and (counted := count(config)):
        return counted
    if raw.get("quantization_config"):
        return None  # packed weights hold several parameters in a number
    stored = stored_parameters(folder)
    return None if config is None or config.experts else Count(stored, stored)


def _context(file: Path, raw: Mapping[str, Any]) -> int | None:
    """Tokens. Stretched by YaRN where the config says so, as vLLM does."""
    said = raw.get("max_position_embeddings")
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, int) or said < 1:
        raise BadModelFolder(
            f"{file}: field 'max_position_embeddings' must be a positive integer, it is {said!r}"
        )
    rope = raw.get("rope_scaling") or raw.get("rope_parameters") or {}
    if not isinstance(rope, dict) or "yarn" not in (rope.get("rope_type"), rope.get("type")):
        return said
    original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    if not isinstance(original, int) or not isinstance(factor, int | float):
        return said
    return max(said, int(original * factor))


def _thinking(folder: Path) -> ThinkingMarks | None:
    """The marks that the chat template handles; without a template, those that are tokens of their own.

    Some templates write only the end mark: the start then has to be a token.
    """
    template = chat_template(folder)
    possible = [marks for marks in _MARKS if template is None or marks.end in template]
    if not possible:
        return None
    if template is not None and (sure := [marks for marks in possible if marks.start in template]):
        return sure[0]
    tokens = added_tokens(folder)
    return next((marks for marks in possible if {marks.start, marks.end} <= tokens), None)


def _name(folder: Path) -> str:
    """The catalogue's name, the hub's ``org/name``, or else the folder's own name."""
    if manifest := read_manifest(folder):
        return manifest.model
    full = folder.absolute()
    if full.parent.name == "snapshots" and full.parent.parent.name.startswith("models--"):
        return full.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
    return full.resolve().name or str(folder)
